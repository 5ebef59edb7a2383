package sourcetest

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/source"
)

// A replica is one table as the target has it: of each key the row with the
// highest version, among equal ones the last.
type replica struct {
	keys  []int
	rows  map[string]*kept
	floor uint64 // version of the last TRUNCATE
	// fetch returns a row's value that the log left out.
	fetch func(e Event, column int) (Value, error)
}

type kept struct {
	version uint64
	deleted bool
	values  []Value
}

// apply takes a row. It may come again, and after newer ones.
func (r *replica) apply(e Event) error {
	if e.Version < r.floor {
		return nil
	}
	if e.Op == "TRUNCATE" {
		r.floor = e.Version
		for key, row := range r.rows {
			if row.version <= e.Version {
				delete(r.rows, key)
			}
		}
		return nil
	}
	if e.Op == "DELETE" {
		r.put(e.Old, e.Version, true)
		return nil
	}
	row := append([]Value(nil), e.New...)
	if err := r.complete(e, row); err != nil {
		return err
	}
	if len(e.Old) > 0 && r.key(e.Old) != r.key(row) {
		r.put(e.Old, e.Version, true)
	}
	r.put(row, e.Version, false)
	return nil
}

func (r *replica) key(row []Value) string {
	var b strings.Builder
	for _, k := range r.keys {
		fmt.Fprintf(&b, "%q ", row[k].Text)
	}
	return b.String()
}

func (r *replica) put(row []Value, version uint64, deleted bool) {
	key := r.key(row)
	if was := r.rows[key]; was != nil && was.version > version {
		return
	}
	r.rows[key] = &kept{version: version, deleted: deleted, values: row}
}

// complete fills in what did not change: from the row itself where it comes
// again, else from the row before, or from the source where there is none.
func (r *replica) complete(e Event, row []Value) error {
	before := r.rows[r.key(row)]
	if len(e.Old) > 0 && (before == nil || before.deleted || before.version < e.Version) {
		before = r.rows[r.key(e.Old)]
	}
	for i := range row {
		switch {
		case row[i].Kind != source.Unchanged:
		case len(e.Old) > 0 && e.Old[i].Kind != source.Absent:
			row[i] = e.Old[i]
		case before != nil && !before.deleted:
			row[i] = before.values[i]
		default:
			var err error
			if row[i], err = r.fetch(e, i); err != nil {
				return fmt.Errorf("column %d of %s was left out: %w", i, e.Table, err)
			}
		}
	}
	return nil
}

// alive returns the rows that are there, by key.
func (r *replica) alive() map[string][]Value {
	rows := make(map[string][]Value)
	for key, row := range r.rows {
		if !row.deleted {
			rows[key] = row.values
		}
	}
	return rows
}
