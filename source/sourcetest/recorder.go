package sourcetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// An Event is a call of a handler, copied.
type Event struct {
	Op       string // of a Row, or COMMIT
	Table    string
	Version  uint64
	Time     int64 // µs since 1970
	Old, New []Value
	Position position.Position
	Idle     bool

	table *source.Table
}

// A recorder is a Handler that copies what it is given and notes when a call
// breaks the contract of source.Handler.
type recorder struct {
	snapshot bool // rows of a copy: Version 0, no Commit
	// before is called first, with each Row; nil for nothing.
	before func(ctx context.Context, r *source.Row) error
	// after is called last, with the position of each Commit; nil for nothing.
	after func(position.Position)

	mu        sync.Mutex // protects all below
	events    []Event
	announced map[*source.Table]bool
	last      position.Position // of the last Commit
	open      uint64            // version of the open transaction, 0 outside
	version   uint64            // the highest so far
	broken    error
	changed   chan struct{} // closed at the next event
}

func newRecorder() *recorder {
	return &recorder{announced: make(map[*source.Table]bool), changed: make(chan struct{})}
}

// Schema implements source.Handler.
func (r *recorder) Schema(_ context.Context, t *source.Table) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announced[t] = true
	return nil
}

// Row implements source.Handler.
func (r *recorder) Row(ctx context.Context, row *source.Row) error {
	if r.before != nil {
		if err := r.before(ctx, row); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Event{Op: row.Op.String(), Table: row.Table.Name, Version: row.Version, Time: row.Time, table: row.Table}
	err := r.check(row)
	if err == nil {
		e.Old, err = values(row.Table, row.Old)
	}
	if err == nil {
		e.New, err = values(row.Table, row.New)
	}
	return r.add(e, err)
}

// check says how a row breaks the contract.
func (r *recorder) check(row *source.Row) error {
	switch {
	case row.Op == source.Insert && (len(row.Old) > 0 || len(row.New) == 0),
		row.Op == source.Update && len(row.New) == 0,
		row.Op == source.Delete && (len(row.Old) == 0 || len(row.New) > 0),
		row.Op == source.Truncate && len(row.Old)+len(row.New) > 0:
		return fmt.Errorf("it has %d old and %d new cells", len(row.Old), len(row.New))
	case r.snapshot && (row.Version != 0 || row.Time != 0 || row.Op != source.Insert):
		return fmt.Errorf("it is of a snapshot, and has version %d, time %d", row.Version, row.Time)
	case r.snapshot:
		return nil
	case !r.announced[row.Table]:
		return fmt.Errorf("its table was not announced")
	case row.Version == 0 || row.Version >= 1<<56:
		return fmt.Errorf("version %d is out of range", row.Version)
	case r.open != 0 && r.open != row.Version:
		return fmt.Errorf("version %d in a transaction of version %d", row.Version, r.open)
	case r.open == 0 && row.Version <= r.version:
		return fmt.Errorf("version %d after a transaction of version %d", row.Version, r.version)
	case row.Time <= 0:
		return fmt.Errorf("it has no time")
	}
	r.open, r.version = row.Version, row.Version
	for _, k := range row.Table.Key {
		for _, cells := range [][]source.Cell{row.Old, row.New} {
			if len(cells) > k && cells[k].Kind != source.Text && cells[k].Kind != source.Binary {
				return fmt.Errorf("its key column %s has no value", row.Table.Columns[k].Name)
			}
		}
	}
	return nil
}

// Commit implements source.Handler.
func (r *recorder) Commit(_ context.Context, c source.Commit) error {
	if r.after != nil {
		defer r.after(c.Position)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Event{Op: "COMMIT", Position: c.Position, Idle: c.Idle}
	if !c.Idle {
		e.Time = c.Time.UnixMicro()
	}
	var err error
	switch {
	case r.snapshot:
		err = fmt.Errorf("commit in a snapshot")
	case c.Position.IsZero():
		err = fmt.Errorf("commit nowhere")
	case c.Position.Order <= r.last.Order:
		err = fmt.Errorf("commit at %s after one at %s", c.Position, r.last)
	case c.Idle != (r.open == 0):
		err = fmt.Errorf("idle is %v for a transaction of version %d", c.Idle, r.open)
	}
	r.open, r.last = 0, c.Position
	return r.add(e, err)
}

func (r *recorder) add(e Event, err error) error {
	if err != nil && r.broken == nil {
		r.broken = fmt.Errorf("event %d, %s %s: %w", len(r.events), e.Op, e.Table, err)
	}
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
	return nil
}

// look returns what was recorded, and a channel that is closed at the next event.
func (r *recorder) look() ([]Event, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)], r.changed, r.broken
}

// changes returns the events without commits that only move the position.
func changes(events []Event) []Event {
	var list []Event
	for _, e := range events {
		if !e.Idle {
			list = append(list, e)
		}
	}
	return list
}

// rowsOf returns the rows of one table.
func rowsOf(events []Event, table string) []Event {
	var list []Event
	for _, e := range events {
		if e.Table == table && e.Op != "COMMIT" {
			list = append(list, e)
		}
	}
	return list
}
