package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/testenv"
)

func TestClickHouseIsKilled(t *testing.T) {
	ch, server := ownClickHouse(t)
	r := newRigOn(t, testenv.Postgres(t), ch, "", workloadSchema...)
	r.set("flush.rows=50")
	r.begin()
	w := r.workload(seed(t), 2, 3*time.Millisecond)
	for range 4 {
		r.progress(w, 100)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		r.progress(w, 50) // the source goes on
		server = testenv.RestartClickHouse(t, server)
	}
	w.stop()
	r.settle()
	r.equal(workloadTables...)
}

// progress waits until some more transactions have been committed.
func (r *rig) progress(w *workload, transactions int64) {
	r.t.Helper()
	goal := w.committed.Load() + transactions
	r.until(fmt.Sprintf("%d transactions", transactions), func() bool {
		r.alive()
		return w.committed.Load() >= goal
	})
}

func TestPostgresIsKilled(t *testing.T) {
	pg := testenv.StartPostgres(t, "max_wal_size=2GB")
	r := newRigOn(t, pg, sharedClickHouse(t), "", workloadSchema...)
	r.set("flush.rows=50")
	r.begin()
	w := r.workload(seed(t), 2, 3*time.Millisecond)
	for i := range 3 {
		r.until("millrace streams again", func() bool { r.alive(); return r.now.log.count("msg=streaming") > i })
		r.progress(w, 100)
		if i%2 == 0 {
			pg.Kill(t)
		} else {
			pg.Stop(t)
		}
		pg.Start(t)
	}
	r.progress(w, 100)
	w.stop()
	r.settle()
	r.equal(workloadTables...)
	if n := r.now.log.count("lost the source"); n < 3 {
		t.Errorf("the source was lost %d times, want 3", n)
	}
}

// What ClickHouse has not acknowledged is neither saved nor acknowledged.
func TestNothingIsSavedThatIsNotWritten(t *testing.T) {
	ch, server := ownClickHouse(t)
	r := newRigOn(t, testenv.Postgres(t), ch, "", oneTable, "CREATE TABLE u (id int PRIMARY KEY)")
	r.begin()
	r.settle()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	before := r.value("SELECT pg_current_wal_insert_lsn()")
	r.exec("INSERT INTO t VALUES (2, 'two')", "INSERT INTO u VALUES (2)")
	r.now.await("trying again")
	confirmed := r.value("SELECT confirmed_flush_lsn <= '" + before + "' FROM pg_replication_slots WHERE slot_name = " + literal(r.name))
	r.now.kill()
	saved := r.value("SELECT '" + r.saved().Text + "'::pg_lsn <= '" + before + "'")
	if confirmed != "t" || saved != "t" {
		t.Errorf("up to %s: confirmed %s, saved %s", before, confirmed, saved)
	}
	testenv.RestartClickHouse(t, server)
	r.begin()
	r.settle()
	r.equal("t", "u")
}

// The target is away for longer than wal_sender_timeout, while the source
// writes more than fits into the buffers.
func TestTargetIsDownForLong(t *testing.T) {
	const timeout = 2 * time.Second
	pg := testenv.StartPostgres(t, "wal_sender_timeout=2s")
	ch, server := ownClickHouse(t)
	r := newRigOn(t, pg, ch, "", "CREATE TABLE t (id int PRIMARY KEY, v text)")
	r.set("flush.rows=1000", "memory=1MiB")
	r.begin()
	reader := "SELECT active_pid FROM pg_replication_slots WHERE slot_name = " + literal(r.name)
	var walsender string
	r.until("the slot is read", func() bool { walsender = r.value(reader); return walsender != "" })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	for i := 0; time.Since(down) < 3*timeout; i++ {
		r.exec(fmt.Sprintf("INSERT INTO t SELECT i, repeat(md5(i::text), 20) FROM generate_series(%d, %d) i", i*1000, i*1000+999))
	}
	testenv.RestartClickHouse(t, server)
	r.settle()
	r.equal("t")
	if now := r.value(reader); now != walsender {
		t.Errorf("the walsender was %q and is %q", walsender, now)
	}
	if n := r.now.log.count("lost the source"); n > 0 {
		t.Errorf("the source was lost %d times:\n%s", n, r.now.log.tail())
	}
}

// Another database of the cluster writes; ours has nothing to say. Its slot
// must move on, or it would pin the whole cluster's log.
func TestIdleDatabaseLetsTheLogGo(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	other := r.pg.Database(t)
	r.begin()
	for range 3 {
		r.pg.Exec(t, other, "CREATE TABLE IF NOT EXISTS noise (t text)", "INSERT INTO noise SELECT md5(i::text) FROM generate_series(1, 10000) i")
		r.settle()
	}
	r.now.kill()
	if at := r.saved(); r.value("SELECT confirmed_flush_lsn <= '"+at.Text+"' FROM pg_replication_slots WHERE slot_name = "+literal(r.name)) != "t" {
		t.Errorf("the slot is ahead of the saved position %s", at)
	}
	r.equal("t")
}
