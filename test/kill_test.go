package test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestKillsAtRandomMoments(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	n := seed(t)
	rng := rand.New(rand.NewPCG(n, 1<<32))
	r := newRig(t, "", workloadSchema...)
	r.set("flush.rows=40", "snapshot.chunk_rows=20")
	w := r.workload(n, 2, 4*time.Millisecond)
	r.begin().kill()
	early := r.mark()
	for range kills {
		r.start()
		// From before the first connection to well into the stream.
		moment := time.NewTimer(time.Duration(50+rng.IntN(900)) * time.Millisecond)
		select {
		case <-moment.C:
		case <-r.now.child.Done():
		}
		r.alive()
		r.now.kill()
	}
	r.start()
	w.stop()
	r.settle()
	r.equal(workloadTables...)
	t.Logf("%d transactions", w.committed.Load())

	// All of it once more, on top of what is there, with other cuts.
	r.now.kill()
	r.replay(early)
	r.set("flush.bytes=64KiB", "memory=1MiB")
	r.start()
	r.settle()
	r.equal(workloadTables...)
}

func TestKillsBetweenWriteSaveAndAck(t *testing.T) {
	for _, seam := range []string{"written", "saved", "acked"} {
		t.Run(seam, func(t *testing.T) {
			r := newRig(t, "", append([]string{ledgerSchema}, workloadSchema...)...)
			r.binary = seamBinary(t)
			r.set("flush.rows=20")
			r.begin().stop()
			var l ledger
			for _, count := range []int{1, 2, 5} {
				w := r.workload(seed(t), 1, 5*time.Millisecond)
				r.env = []string{fmt.Sprintf("MILLRACE_SEAM=%s:%d", seam, count)}
				r.start()
				for !r.now.ended() {
					r.write(&l, 1)
				}
				w.stop()
				r.now.died()
				r.kept(&l)
			}
			r.env = nil
			r.start()
			r.settle()
			r.equal("ledger")
			r.equal(workloadTables...)
		})
	}
}

func TestKillsDuringTheCopy(t *testing.T) {
	for _, seam := range []string{"begun", "first-saved", "chunk-written", "chunk-done"} {
		t.Run(seam, func(t *testing.T) {
			r := newRig(t, "", append([]string{manyPages}, workloadSchema...)...)
			r.binary = seamBinary(t)
			r.set("snapshot.chunk_rows=20")
			w := r.workload(seed(t), 1, 5*time.Millisecond)
			counts := []int{1, 2, 4}
			if seam == "begun" || seam == "first-saved" {
				counts = []int{1} // where each start comes by once
			}
			for _, count := range counts {
				r.env = []string{fmt.Sprintf("MILLRACE_SEAM=%s:%d", seam, count)}
				r.start().died()
			}
			r.env = nil
			r.begin()
			w.stop()
			r.settle()
			r.equal("pages")
			r.equal(workloadTables...)
		})
	}
}

// manyPages is a table of at least twelve chunks of twenty rows.
const manyPages = `CREATE TABLE pages (id int PRIMARY KEY, pad text);
	INSERT INTO pages SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 250) i;
	ANALYZE pages`
