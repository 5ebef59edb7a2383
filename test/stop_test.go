package test

import (
	"fmt"
	"testing"
	"time"
)

func TestCtrlCDuringTheStream(t *testing.T) {
	r := newRig(t, "", workloadSchema...)
	r.set("flush.rows=30")
	n := seed(t)
	w := r.workload(n, 2, 3*time.Millisecond)
	r.begin().stop()
	for range 4 {
		r.begin()
		r.progress(w, 60)
		r.now.stop()
	}
	w.stop()
	// What was read is written, saved and acknowledged: a run that has nothing
	// left to read ends with the same place on all three sides.
	r.begin()
	r.settle()
	r.now.stop()
	at := r.saved()
	if r.value("SELECT confirmed_flush_lsn = '"+at.Text+"' FROM pg_replication_slots WHERE slot_name = "+literal(r.name)) != "t" {
		t.Errorf("the position %s is not the slot's", at)
	}
	r.equal(workloadTables...)
}

func TestCtrlCDuringTheCopy(t *testing.T) {
	r := newRig(t, "", `CREATE TABLE big (id int PRIMARY KEY, v text);
		INSERT INTO big SELECT i, repeat(md5(i::text), 10) FROM generate_series(1, 200000) i; ANALYZE big`)
	r.set("snapshot.chunk_rows=2000", "snapshot.workers=1")
	r.start()
	r.until("some chunks are in ClickHouse", func() bool {
		r.alive()
		rows, err := r.ch.try("SELECT count() FROM big")
		return err == nil && len(rows) >= len("10000")
	})
	r.now.stop()
	if r.now.log.has("msg=copied") {
		t.Fatal("the copy was faster than Ctrl-C: this test needs more rows")
	}
	_, done := r.chunks("public.big")
	r.exec("UPDATE big SET v = 'meanwhile' WHERE id % 1000 = 0", "DELETE FROM big WHERE id % 1001 = 0")
	r.begin().await(fmt.Sprintf("done=%d", len(done)))
	if len(done) == 0 {
		t.Error("no chunk was done")
	}
	r.settle()
	r.equal("big")
}

func TestOnce(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t SELECT i, i FROM generate_series(1, 1000) i")
	r.once().wantExit(0)
	r.equal("t")
	r.exec("UPDATE t SET v = -v", "DELETE FROM t WHERE id % 3 = 0")
	r.once().wantExit(0)
	r.equal("t")
	r.once().wantExit(0) // with nothing to do
	r.equal("t")
}

func TestOnceEndsWith1WhenATableFailed(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE bad (id int PRIMARY KEY, d date)", "CREATE TABLE good (id int PRIMARY KEY)",
		"INSERT INTO bad VALUES (1, '2000-01-01')", "INSERT INTO good VALUES (1)")
	r.set("value_policy=fail")
	r.once().wantExit(0)
	r.exec("INSERT INTO bad VALUES (2, '4000-01-01')", "INSERT INTO good VALUES (2)")
	r.once().wantExit(1, "public.bad", "column d", "value_policy")
	r.equal("good")
	// It stays failed, and the other goes on.
	r.exec("INSERT INTO bad VALUES (3, '2000-01-01')", "INSERT INTO good VALUES (3)")
	r.once().wantExit(1, "public.bad", "resync")
	r.equal("good")
	if n := r.ch.query("SELECT count() FROM bad FINAL"); n != "1" {
		t.Errorf("the failed table has %s rows, want the 1 from before it failed", n)
	}
	// In the copy, too.
	s := newRig(t, "", "CREATE TABLE bad (id int PRIMARY KEY, d date)", "CREATE TABLE good (id int PRIMARY KEY)",
		"INSERT INTO bad VALUES (1, '4000-01-01')", "INSERT INTO good VALUES (1)")
	s.set("value_policy=fail")
	s.once().wantExit(1, "public.bad")
	s.equal("good")
}

func TestOlderStateFileIsRefused(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY)")
	r.begin().stop()
	old := r.state + ".old"
	r.copyFile(r.state, old)
	r.begin()
	r.exec("INSERT INTO t VALUES (1)")
	r.settle()
	r.now.stop()
	newest := r.state + ".newest"
	r.copyFile(r.state, newest)
	r.copyFile(old, r.state)
	r.start().wantExit(1, "ahead of the saved position", "hint")
	r.copyFile(newest, r.state)
	r.exec("INSERT INTO t VALUES (2)")
	r.begin()
	r.settle()
	r.equal("t")
}

func TestLostStateFileIsRefused(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	r.once().wantExit(0)
	kept := r.state
	r.state += ".new"
	p := r.start()
	p.wantExit(1, "has rows", "bring back the state file", "teardown")
	// The first way out.
	r.state = kept
	r.exec("INSERT INTO t VALUES (2)")
	r.once().wantExit(0)
	r.equal("t")
	// The second one.
	startProcess(t, r.binary, r.dir, nil, r.command("teardown")...).wantExit(0)
	if n := r.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = " + literal(r.name)); n != "0" {
		t.Error("teardown left the slot")
	}
	if n := r.value("SELECT count(*) FROM pg_publication WHERE pubname = " + literal(r.name)); n != "0" {
		t.Error("teardown left the publication")
	}
	r.ch.query("DROP TABLE t SYNC")
	r.state += ".newer"
	r.exec("DELETE FROM t WHERE id = 1")
	r.once().wantExit(0)
	r.equal("t")
	// An empty target and a slot that nobody knows.
	r.ch.query("DROP TABLE t SYNC")
	r.state += ".newest"
	r.once().wantExit(1, "slot", "teardown")
}
