package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/position"
)

func TestMillionRowsWithWriters(t *testing.T) {
	rows := 1_000_000
	if testing.Short() {
		rows = 50_000
	}
	r := newRig(t, "", fmt.Sprintf(`CREATE TABLE big (id bigint PRIMARY KEY, n int, t text, at timestamptz);
		INSERT INTO big SELECT i, i %% 1000, md5(i::text), to_timestamp(i) FROM generate_series(1, %d) i;
		ANALYZE big`, rows))
	var committed atomic.Int64
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 2 {
		rng := rand.New(rand.NewPCG(seed(t), uint64(i)))
		conn := r.connect()
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a, b := 1+rng.IntN(rows), rows+rng.IntN(rows)
				sql := []string{
					fmt.Sprintf("UPDATE big SET n = n + 1 WHERE id = %d", a),
					fmt.Sprintf("DELETE FROM big WHERE id = %d", a),
					fmt.Sprintf("INSERT INTO big VALUES (%d, 0, 'new', now()) ON CONFLICT DO NOTHING", b),
					fmt.Sprintf("UPDATE big SET id = %d WHERE id = %d AND NOT EXISTS (SELECT FROM big WHERE id = %[1]d)", b, a),
					fmt.Sprintf("UPDATE big SET t = md5(t) WHERE id BETWEEN %d AND %[1]d + 20", a),
				}[rng.IntN(5)]
				if _, err := conn.Exec(context.Background(), sql); err == nil {
					committed.Add(1)
				}
			}
		})
	}
	finish := sync.OnceFunc(func() { close(stop); writers.Wait() })
	t.Cleanup(finish)

	r.start().await("publication brought into step")
	before := committed.Load()
	r.now.await("msg=copied")
	during := committed.Load() - before
	r.now.await("caught up")
	finish()
	r.settle()
	r.equal("big")
	t.Logf("%d transactions during the copy, %d in all", during, committed.Load())
	if during < 20 {
		t.Errorf("only %d transactions fell into the copy", during)
	}
}

// A copy that was cut off goes on with the chunks that are missing: those that
// are done are not read again, which would show in rows that stand twice.
func TestCopyGoesOnWithTheMissingChunks(t *testing.T) {
	r := newRig(t, "", manyPages)
	r.binary = seamBinary(t)
	r.set("snapshot.chunk_rows=20", "snapshot.workers=1")
	for _, step := range []struct {
		seam          string
		done, written int // chunks after it, in the state file and in ClickHouse
	}{
		{"chunk-done:3", 3, 3},
		{"chunk-written:2", 4, 5},
		{"chunk-done:2", 6, 7},
	} {
		r.env = []string{"MILLRACE_SEAM=" + step.seam}
		r.start().died()
		r.ch.query("SYSTEM STOP MERGES " + r.ch.database + ".pages")
		plan, done := r.chunks("public.pages")
		if len(done) != step.done {
			t.Errorf("after %s, %d chunks are done, want %d", step.seam, len(done), step.done)
		}
		if n := strings.Count(plan, `"Part"`) + strings.Count(plan, `"part"`); n < 10 {
			t.Fatalf("plan %s has %d chunks, want more", plan, n)
		}
		if parts := r.ch.query("SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'pages'"); parts != fmt.Sprint(step.written) {
			t.Errorf("after %s, %s chunks are in ClickHouse, want %d", step.seam, parts, step.written)
		}
	}
	r.env = nil
	p := r.begin()
	if !p.log.has("done=6") {
		t.Errorf("the log does not say how many chunks were done:\n%s", p.log.tail())
	}
	r.settle()
	r.equal("pages")
	chunk := r.ch.query("SELECT count() - uniqExact(id) FROM pages")
	if chunk == "0" || len(chunk) > 2 {
		t.Errorf("%s rows stand twice, want those of the one chunk that was written and not noted", chunk)
	}
}

func TestRewrittenTableIsCopiedAgain(t *testing.T) {
	for _, rewrite := range []string{
		"VACUUM FULL pages",
		"CREATE INDEX by_pad ON pages (md5(pad)); CLUSTER pages USING by_pad",
		"TRUNCATE pages; INSERT INTO pages SELECT i, 'again' FROM generate_series(200, 400) i",
	} {
		t.Run(strings.Fields(rewrite)[0], func(t *testing.T) {
			r := newRig(t, "", manyPages)
			r.exec("DELETE FROM pages WHERE id <= 125") // so that rows move to other pages
			r.binary = seamBinary(t)
			r.set("snapshot.chunk_rows=20", "snapshot.workers=1")
			r.env = []string{"MILLRACE_SEAM=chunk-done:5"}
			r.start().died()
			r.exec(rewrite, "UPDATE pages SET pad = 'later' WHERE id % 10 = 0")
			r.env = nil
			r.begin().await("was rewritten")
			r.settle()
			r.equal("pages")
		})
	}
}

// chunks returns the plan of a copy and the chunks that are done.
func (r *rig) chunks(table string) (plan string, done map[int]int64) {
	r.t.Helper()
	r.store(func(s *position.Store) {
		raw, d, err := s.Copy(table)
		if err != nil {
			r.t.Fatal(err)
		}
		plan, done = string(raw), d
	})
	return plan, done
}
