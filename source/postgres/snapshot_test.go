package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// cutTable is a table of some chunks, and a snapshot of it.
func cutTable(t *testing.T, pg *testenv.PG) (dsn string, table *source.Table, snap *snapshot, plan *source.Plan) {
	t.Helper()
	dsn = pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 2000) g")
	s := newTestSource(t, dsn)
	s.cfg.Memory, s.cfg.ChunkRows, s.cfg.Workers = new(testMemory), 300, 2
	table = testTables(t, s)["public.t"]
	opened, err := s.Begin(t.Context(), nil, []*source.Table{table}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	snap = opened.(*snapshot)
	if plan, err = snap.Plan(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	if len(plan.Chunks) < 3 {
		t.Fatalf("%d chunks", len(plan.Chunks))
	}
	return dsn, table, snap, plan
}

// end ends a session as an administrator would.
func end(t *testing.T, pg *testenv.PG, dsn string, pid uint32) {
	t.Helper()
	pg.Exec(t, dsn, fmt.Sprintf("SELECT pg_terminate_backend(%d, 5000)", pid))
}

// A session that is lost costs one chunk, and its successor sees the same.
func TestSnapshotOutlivesASession(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn, table, snap, plan := cutTable(t, pg)
	for range 2 {
		conn, err := snap.acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end(t, pg, dsn, conn.PgConn().PID())
		snap.free <- conn
	}
	pg.Exec(t, dsn, "INSERT INTO t VALUES (5000, 'later')", "DELETE FROM t WHERE id < 100")
	h := &quiet{}
	failed := 0
	for _, c := range plan.Chunks {
		for {
			before := h.rows
			err := snap.Read(t.Context(), table, c, h)
			if err == nil {
				break
			}
			failed++
			if !errors.Is(err, source.ErrDisconnected) || h.rows != before {
				t.Fatalf("%d rows, then %v", h.rows-before, err)
			}
		}
	}
	if h.rows != 2000 || failed == 0 || failed > 2 {
		t.Errorf("%d rows of 2,000, and %d chunks failed", h.rows, failed)
	}
	if len(snap.opened) > 2 {
		t.Errorf("%d sessions are kept", len(snap.opened))
	}
}

// Without sessions nothing keeps the table as it is: rows that moved would be
// in no chunk, or in two.
func TestSnapshotNoticesARewrite(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn, table, snap, plan := cutTable(t, pg)
	snap.closeSessions()
	if err := snap.Read(t.Context(), table, plan.Chunks[0], &quiet{}); err != nil {
		t.Fatalf("in a new session: %v", err)
	}
	snap.closeSessions()
	pg.Exec(t, dsn, "DELETE FROM t WHERE id < 1000", "VACUUM FULL t")
	h := &quiet{}
	if err := snap.Read(t.Context(), table, plan.Chunks[0], h); !errors.Is(err, errRewritten) || h.rows > 0 {
		t.Errorf("a rewritten table gave %d rows, %v", h.rows, err)
	}
}

func TestSnapshotWithoutItsExporter(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn, table, snap, plan := cutTable(t, pg)
	end(t, pg, dsn, snap.exporter.PID())
	if err := snap.Read(t.Context(), table, plan.Chunks[0], &quiet{}); err != nil {
		t.Errorf("sessions that have the snapshot keep it: %v", err)
	}
	snap.closeSessions()
	if err := snap.Read(t.Context(), table, plan.Chunks[0], &quiet{}); !errors.Is(err, source.ErrDisconnected) {
		t.Errorf("a new session gets %v", err)
	}
}

// A copy is one long transaction, which a server since 17 may limit.
func TestSnapshotOutlivesATransactionTimeout(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	if serverVersion(testConnect(t, s).PgConn()) < 17 {
		t.Skip("this server has no transaction_timeout")
	}
	pg.Exec(t, dsn, "CREATE TABLE t (id int PRIMARY KEY)", "ALTER DATABASE "+databaseOf(t, dsn)+" SET transaction_timeout = '100ms'")
	s.cfg.Memory = new(testMemory)
	tables := []*source.Table{testTables(t, s)["public.t"]}
	snap, err := s.Begin(t.Context(), nil, tables, true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	conn := testConnect(t, s)
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT pg_sleep(0.3); COMMIT", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("a transaction of ours was cut off: %v", err)
	}
	snap.(*snapshot).closeSessions()
	for range 2 { // one in a session of before, one in a new one
		if _, err := snap.Plan(t.Context(), tables[0]); err != nil {
			t.Error(err)
		}
	}
}

// A process that is killed while its slot is made leaves a session that waits
// for a transaction, and holds the slot.
func TestBeginAfterAKillWhileTheSlotWasMade(t *testing.T) {
	pg := testenv.Postgres(t)
	direct := pg.Database(t)
	p, cuttable := newProxy(t, direct)
	pg.Exec(t, direct, "CREATE TABLE t (id int PRIMARY KEY)")
	writer, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close(context.Background())
	if _, err := writer.Exec(t.Context(), "BEGIN; INSERT INTO t VALUES (1)", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	memory := new(testMemory)
	begin := func(dsn string) <-chan error {
		s := newTestSource(t, dsn)
		s.cfg.Memory = memory
		tables := []*source.Table{testTables(t, s)["public.t"]}
		done := make(chan error, 1)
		go func() {
			snap, err := s.Begin(t.Context(), nil, tables, true)
			if err == nil {
				err = snap.Close()
			}
			done <- err
		}()
		return done
	}
	killed := begin(cuttable)
	s := newTestSource(t, direct)
	look := testConnect(t, s)
	slot := func() slotInfo {
		info, err := s.readSlot(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	poll(t, "the slot to be made", func() bool { return slot().active })
	first := slot().activePID
	p.listener.Close() // a process that is killed does not cancel its query
	p.each(func(l link) { l.client.Close(); l.server.Close() })
	if err := <-killed; err == nil {
		t.Fatal("the first begin came through")
	}
	if !slot().active {
		t.Fatal("the server noticed that the client is gone, and this test shows nothing")
	}
	again := begin(direct)
	poll(t, "another session to make the slot", func() bool { i := slot(); return i.active && i.activePID != first })
	if err := writer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-again:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the second begin still waits")
	}
}
