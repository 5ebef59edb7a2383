package test

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/millrace/millrace/position"
)

// A mark is a state that the pipeline was in: a copy of its state file and a
// slot that keeps the log from there on.
type mark struct{ slot, state string }

// mark keeps the present state. No run is going on.
func (r *rig) mark() mark {
	r.t.Helper()
	m := mark{slot: fmt.Sprintf("%s_mark", r.name), state: r.state + ".mark"}
	r.copyFile(r.state, m.state)
	r.exec("SELECT pg_copy_logical_replication_slot(" + literal(r.name) + ", " + literal(m.slot) + ")")
	return m
}

// replay goes back to the mark, so that the next run reads the whole log from
// there on again. No run is going on.
func (r *rig) replay(m mark) {
	r.t.Helper()
	r.released()
	r.exec("SELECT pg_drop_replication_slot("+literal(r.name)+")",
		"SELECT pg_copy_logical_replication_slot("+literal(m.slot)+", "+literal(r.name)+")")
	r.copyFile(m.state, r.state)
}

// released waits until the server has noticed that the run ended.
func (r *rig) released() {
	r.t.Helper()
	r.until("nobody reads the slot", func() bool {
		return r.value("SELECT active FROM pg_replication_slots WHERE slot_name = "+literal(r.name)) == "f"
	})
}

func (r *rig) copyFile(from, to string) {
	r.t.Helper()
	in, err := os.Open(from)
	if err != nil {
		r.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// store opens the state file; no run is going on.
func (r *rig) store(use func(*position.Store)) {
	r.t.Helper()
	s, err := position.Open(r.state, r.name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	use(s)
}

// saved returns the position in the state file; no run is going on.
func (r *rig) saved() position.Position {
	r.t.Helper()
	var at position.Position
	r.store(func(s *position.Store) {
		saved, err := s.Saved()
		if err != nil {
			r.t.Fatal(err)
		}
		if saved != nil {
			at = saved.Position
		}
	})
	return at
}

// ledger writes rows of table ledger, one by one, and notes for each a place
// in the log by which it is there.
type ledger struct{ places []string }

const ledgerSchema = "CREATE TABLE ledger (id int PRIMARY KEY, v text)"

func (r *rig) write(l *ledger, rows int) {
	r.t.Helper()
	for range rows {
		r.exec(fmt.Sprintf("INSERT INTO ledger VALUES (%d, md5(random()::text))", len(l.places)))
		l.places = append(l.places, r.value("SELECT pg_current_wal_flush_lsn()"))
	}
}

// kept checks, while no run is going on, what the order write, save,
// acknowledge promises: whatever the position covers is in ClickHouse, and the
// slot is not ahead of the position.
func (r *rig) kept(l *ledger) {
	r.t.Helper()
	at := r.saved()
	if at.IsZero() {
		return
	}
	if r.value("SELECT confirmed_flush_lsn <= '"+at.Text+"' FROM pg_replication_slots WHERE slot_name = "+literal(r.name)) != "t" {
		r.t.Errorf("the slot is ahead of the position %s", at)
	}
	there := map[string]bool{}
	for id := range strings.SplitSeq(r.ch.query("SELECT id FROM ledger FINAL"), "\n") {
		there[id] = true
	}
	if len(l.places) == 0 {
		return
	}
	covered := r.query("SELECT place <= '" + at.Text + "' FROM unnest('{" + strings.Join(l.places, ",") + "}'::pg_lsn[]) WITH ORDINALITY AS p(place, i) ORDER BY i")
	for id, row := range covered {
		if *row[0] == "t" && !there[fmt.Sprint(id)] {
			r.t.Errorf("the position %s covers row %d, which is not in ClickHouse", at, id)
		}
	}
}
