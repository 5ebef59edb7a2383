package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/position"
)

func walEnd(t *testing.T, s *Source) pglogrepl.LSN {
	t.Helper()
	var text string
	if err := testConnect(t, s).QueryRow(t.Context(), `SELECT pg_current_wal_flush_lsn()::text`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// restart starts a server again after a signal file was put into its data.
func restart(t *testing.T, pg *testenv.PG, s *Source, signal string) {
	t.Helper()
	var data string
	if err := testConnect(t, s).QueryRow(t.Context(), `SHOW data_directory`).Scan(&data); err != nil {
		t.Fatal(err)
	}
	pg.Stop(t)
	if err := os.WriteFile(filepath.Join(data, signal), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	pg.Start(t)
}

func TestIdentifyAcrossAPromotion(t *testing.T) {
	pg := testenv.StartPostgres(t, "restore_command=false")
	s := newTestSource(t, pg.DSN("postgres"))
	id, continued, err := s.Identify(t.Context(), nil)
	if err != nil || continued || id.Server == "" || id.Log != "1" {
		t.Fatalf("a first start: %+v, %v, %v", id, continued, err)
	}
	reached := walEnd(t, s)
	saved := &position.Saved{Identity: id, Position: position.Position{Order: uint64(reached)}}
	if again, continued, err := s.Identify(t.Context(), saved); err != nil || !continued || again != id {
		t.Errorf("the same log: %+v, %v, %v", again, continued, err)
	}
	beyond := &position.Saved{Identity: id, Position: position.Position{Order: uint64(reached) + 1<<40}}
	if _, _, err := s.Identify(t.Context(), beyond); err == nil || !strings.Contains(err.Error(), "restored") || hintOf(err) == "" {
		t.Errorf("a log that ends before the position: %v", err)
	}

	restart(t, pg, s, "recovery.signal")
	conn := testConnect(t, s)
	poll(t, "the promotion", func() bool {
		var standby bool
		if err := conn.QueryRow(t.Context(), `SELECT pg_is_in_recovery()`).Scan(&standby); err != nil {
			t.Fatal(err)
		}
		return !standby
	})
	now, continued, err := s.Identify(t.Context(), saved)
	if err != nil || continued || now.Server != id.Server || now.Log != "2" {
		t.Errorf("the next timeline: %+v, %v, %v; want it to go on under another identity", now, continued, err)
	}
	if _, _, err := s.Identify(t.Context(), beyond); err == nil || !strings.Contains(err.Error(), "left timeline 1") || hintOf(err) == "" {
		t.Errorf("a position past the fork: %v", err)
	}
	for log, want := range map[string]string{"3": "which is later", "0": "does not come from", "x": "not a number"} {
		other := &position.Saved{Identity: position.Identity{Server: id.Server, Log: log}}
		if _, _, err := s.Identify(t.Context(), other); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("timeline %s: %v, want %q", log, err, want)
		}
	}
	stranger := &position.Saved{Identity: position.Identity{Server: "1", Log: "2"}}
	if _, _, err := s.Identify(t.Context(), stranger); err == nil || !strings.Contains(err.Error(), "another server") || hintOf(err) == "" {
		t.Errorf("another server: %v", err)
	}
}

func TestForkOf(t *testing.T) {
	history := []byte("1\t0/3000060\tno recovery target specified\n\n# a comment\n2\t16/B374D848\tbefore 2000-01-01 00:00:00+00\n")
	for timeline, want := range map[int]pglogrepl.LSN{1: 0x3000060, 2: 0x16_B374D848, 3: 0} {
		if got, err := forkOf(history, timeline); err != nil || got != want {
			t.Errorf("timeline %d: %s, %v, want %s", timeline, got, err, want)
		}
	}
	for _, malformed := range []string{"1", "x\t0/1\n", "1\tzero\n"} {
		if _, err := forkOf([]byte(malformed), 1); err == nil {
			t.Errorf("%q: no error", malformed)
		}
	}
	if err := checkFork(history, 2, 3, 0x16_B374D848); err != nil {
		t.Errorf("at the fork itself: %v", err)
	}
	if err := checkFork(history, 2, 3, 0x16_B374D849); err == nil {
		t.Error("past the fork: no error")
	}
}
