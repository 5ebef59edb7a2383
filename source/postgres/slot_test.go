package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

func testReplication(t *testing.T, s *Source) *pgconn.PgConn {
	t.Helper()
	repl, err := s.connectReplication(t.Context(), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repl.Close(context.Background()) })
	return repl
}

func testSlot(t *testing.T, s *Source) slotInfo {
	t.Helper()
	info, err := s.readSlot(t.Context(), testConnect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// countIn counts a table's rows as a snapshot sees them.
func countIn(t *testing.T, s *Source, snapshot, table string) (rows int) {
	t.Helper()
	conn := testConnect(t, s)
	if _, err := conn.Exec(t.Context(), `BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT `+literal(snapshot)); err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCreateSlot(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int)`, `INSERT INTO a VALUES (1)`)
	s := newTestSource(t, dsn)
	if info := testSlot(t, s); info.exists || info.usable(s.cfg.Slot) == nil {
		t.Errorf("before: %+v", info)
	}
	repl := testReplication(t, s)
	lsn, snapshot, err := s.createSlot(t.Context(), repl)
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, dsn, `INSERT INTO a VALUES (2)`)
	if got := countIn(t, s, snapshot, "public.a"); got != 1 {
		t.Errorf("the snapshot sees %d rows, want the one before it", got)
	}
	info := testSlot(t, s)
	if !info.exists || info.active || info.plugin != "pgoutput" || !info.here || info.temporary || info.confirmed != lsn ||
		info.restart == 0 || info.restart > lsn || info.walStatus != "reserved" || info.usable(s.cfg.Slot) != nil {
		t.Errorf("got %+v, want one at %s", info, lsn)
	}
	_, _, err = s.createSlot(t.Context(), testReplication(t, s))
	if err == nil || !strings.Contains(hintOf(err), "state") {
		t.Errorf("creating it again: %v", err)
	}
	s.cfg.Slot = "Not a name"
	if _, _, err := s.createSlot(t.Context(), repl); err == nil || hintOf(err) == "" {
		t.Errorf("a bad name: %v", err)
	}
}

// A slot is made when the transactions before it have ended, and the log tells
// which one it waits for.
func TestWaitOut(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int)`)
	s := newTestSource(t, dsn)
	log := captureLog(s)
	writer := testConnect(t, s)
	if _, err := writer.Exec(t.Context(), `BEGIN; INSERT INTO public.a VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	repl := testReplication(t, s)
	type result struct {
		snapshot string
		err      error
	}
	done := make(chan result, 1)
	go func() {
		snapshot, err := s.waitOut(t.Context(), repl)
		done <- result{snapshot, err}
	}()
	poll(t, "the log to name the transaction", func() bool {
		return strings.Contains(log.String(), fmt.Sprintf("process %d", writer.PgConn().PID()))
	})
	if strings.Contains(log.String(), "INSERT") {
		t.Errorf("the log holds a statement's text: %s", log)
	}
	if _, err := writer.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got := countIn(t, s, r.snapshot, "public.a"); got != 1 {
		t.Errorf("the snapshot sees %d rows, want that of the transaction which was running", got)
	}
	if err := repl.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := testConnect(t, s)
	poll(t, "the temporary slot to go", func() bool {
		var left int
		if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_replication_slots WHERE database = current_database()`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
}

func TestCreateSlotEndsWithItsContext(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int)`)
	s := newTestSource(t, dsn)
	writer := testConnect(t, s)
	if _, err := writer.Exec(t.Context(), `BEGIN; INSERT INTO public.a VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := s.createSlot(ctx, testReplication(t, s)); err == nil || ctx.Err() == nil {
		t.Fatalf("got %v", err)
	}
	poll(t, "the half-made slot to go", func() bool { return !testSlot(t, s).exists })
}

func TestSlotsThatAreNotUsable(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn, other := pg.Database(t), pg.Database(t)
	s := newTestSource(t, dsn)
	for _, tt := range []struct{ dsn, create, want string }{
		{dsn, `SELECT pg_create_physical_replication_slot('NAME')`, "is a physical one"},
		{dsn, `SELECT pg_create_logical_replication_slot('NAME', 'test_decoding')`, "decodes with test_decoding"},
		{other, `SELECT pg_create_logical_replication_slot('NAME', 'pgoutput')`, "belongs to database"},
		{dsn, `SELECT pg_create_logical_replication_slot('NAME', 'pgoutput', twophase => true)`, "prepared transactions"},
	} {
		pg.Exec(t, tt.dsn, strings.ReplaceAll(tt.create, "NAME", s.cfg.Slot))
		err := testSlot(t, s).usable(s.cfg.Slot)
		if err == nil || !strings.Contains(err.Error(), tt.want) || hintOf(err) == "" {
			t.Errorf("got %v, want %q", err, tt.want)
		}
		if err := s.dropSlot(t.Context()); err == nil {
			t.Errorf("%s: it was dropped", tt.want)
		}
		pg.Exec(t, tt.dsn, `SELECT pg_drop_replication_slot('`+s.cfg.Slot+`')`)
	}
}

func TestSlotInUse(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	first := testReplication(t, s)
	lsn, _, err := s.createSlot(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	options := pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", "publication_names 'x'"}}
	if err := pglogrepl.StartReplication(t.Context(), first, s.cfg.Slot, lsn, options); err != nil {
		t.Fatal(err)
	}
	if info := testSlot(t, s); !info.active || info.activePID != int32(first.PID()) {
		t.Errorf("got %+v, want it read by %d", info, first.PID())
	}
	if err := s.dropSlot(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprint(first.PID())) || hintOf(err) == "" {
		t.Errorf("dropping it: %v", err)
	}
	err = classify(pglogrepl.StartReplication(t.Context(), testReplication(t, s), s.cfg.Slot, lsn, options))
	if !errors.Is(err, source.ErrDisconnected) || hintOf(err) == "" {
		t.Errorf("reading it twice: %v, want an error that is worth another try", err)
	}
}

func TestLostSlot(t *testing.T) {
	pg := testenv.StartPostgres(t, "max_slot_wal_keep_size=1MB", "max_wal_size=32MB", "min_wal_size=32MB")
	s := newTestSource(t, pg.Database(t))
	pg.Exec(t, s.cfg.DSN, `SELECT pg_create_logical_replication_slot('`+s.cfg.Slot+`', 'pgoutput')`, `CREATE TABLE a (id int)`)
	poll(t, "the slot to be lost", func() bool {
		pg.Exec(t, s.cfg.DSN, `INSERT INTO a VALUES (1)`, `SELECT pg_switch_wal()`, `CHECKPOINT`)
		return testSlot(t, s).invalidation != ""
	})
	if err := testSlot(t, s).usable(s.cfg.Slot); err == nil || !strings.Contains(err.Error(), "lost") || !strings.Contains(hintOf(err), "max_slot_wal_keep_size") {
		t.Errorf("got %v", err)
	}
	if f := find(s.Check(t.Context()), source.Fail, "slot"); f == nil {
		t.Error("check does not fail")
	}
	if err := s.dropSlot(t.Context()); err != nil {
		t.Errorf("a lost slot is to be dropped like any: %v", err)
	}
}

func TestParseSlotOfLaterVersions(t *testing.T) {
	for text, want := range map[string]string{
		`{"wal_status": "reserved"}`:                      "",
		`{"wal_status": "lost"}`:                          "wal_removed",
		`{"wal_status": "reserved", "conflicting": true}`: "conflict with recovery",
		`{"wal_status": "lost", "conflicting": true, "invalidation_reason": "rows_removed"}`:       "rows_removed",
		`{"wal_status": "unreserved", "conflicting": false, "invalidation_reason": null}`:          "",
		`{"wal_status": "lost", "conflicting": null, "invalidation_reason": "idle_timeout"}`:       "idle_timeout",
		`{"wal_status": null, "restart_lsn": "16/B374D848", "confirmed_flush_lsn": "16/B374D850"}`: "",
	} {
		info, err := parseSlot([]byte(text))
		if err != nil || info.invalidation != want {
			t.Errorf("%s: %+v, %v; want %q", text, info, err, want)
		}
	}
	for _, text := range []string{`{"restart_lsn": "x"}`, `{"confirmed_flush_lsn": "1"}`, `[]`} {
		if _, err := parseSlot([]byte(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
