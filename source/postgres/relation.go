package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/source"
)

// described is a relation as the log describes it: the state in which its
// changes are decoded.
type described struct {
	table    *source.Table // nil: not selected, or of no use
	order    []int         // relation column → table column; nil: the same
	key      []bool        // table columns that old keys tell
	old, new []source.Cell
}

// relColumn is a column of a Relation message.
type relColumn struct {
	name string
	typ  uint32
	mod  int32
	key  bool // of the replica identity
}

// relation takes a Relation message: int32 oid, string schema, string name,
// byte replica identity, int16 number of columns; each: byte flags (1: of the
// replica identity), string name, int32 type, int32 type modifier.
func (s *stream) relation(ctx context.Context, r *reader) error {
	oid := r.uint32()
	schema, name := r.string(), r.string()
	r.byte()
	n := r.int16()
	if r.short || n < 0 {
		return errShort
	}
	var columns []relColumn
	for range n {
		flags := r.byte()
		columns = append(columns, relColumn{name: r.string(), typ: r.uint32(), mod: int32(r.uint32()), key: flags&1 != 0})
		if r.short {
			return errShort
		}
	}
	t := s.known[oid]
	if t == nil {
		if s.relations[oid] == nil {
			s.source.log.Debug("not selected", "table", schema+"."+name)
		}
		s.relations[oid] = &described{}
		return nil
	}
	d, now, err := s.describe(ctx, oid, t, columns)
	if err != nil {
		return fmt.Errorf("table %s: %w", t, err)
	}
	if s.relations[oid] == nil || now != t {
		if err := s.took(s.handler.Schema(ctx, now.Table)); err != nil {
			return err
		}
	}
	if now.Problem != nil {
		d = &described{} // its rows are of no use
	}
	s.known[oid], s.relations[oid] = now, d
	return nil
}

// describe finds the table shape that a Relation message speaks of: the one
// announced, or the one that the catalog has now.
func (s *stream) describe(ctx context.Context, oid uint32, t *table, columns []relColumn) (*described, *table, error) {
	if d := match(t, columns); d != nil {
		same, err := s.same(ctx, t)
		if err != nil || same {
			return d, t, err
		}
	}
	now, err := s.source.redescribe(ctx, oid)
	if err != nil {
		return nil, nil, err
	}
	changed := *t.Table
	changed.Problem = source.WithHint(errors.New("its columns or its key changed, and the log's rows no longer fit the shape that was copied"),
		"copy it again with `millrace resync "+t.String()+"`")
	switch {
	case now == nil:
	case now.String() != t.String():
		changed.Problem = source.WithHint(fmt.Errorf("it is called %s now", now),
			"start again, and it is copied anew under that name if tables selects it")
	default:
		if d := match(now, columns); d != nil {
			return d, now, nil
		}
	}
	return nil, &table{Table: &changed}, nil
}

// match returns how a relation's columns and key are those of a table, nil if
// they are not. The key of a relation that logs whole old rows is all of it.
func match(t *table, columns []relColumn) *described {
	if len(columns) != len(t.Columns) || len(t.attributes) != len(t.Columns) {
		return nil
	}
	d := &described{
		table: t.Table, order: make([]int, len(columns)), key: make([]bool, len(columns)),
		old: make([]source.Cell, len(columns)), new: make([]source.Cell, len(columns)),
	}
	for _, k := range t.Key {
		d.key[k] = true
	}
	same, keys := true, 0
	for i, c := range columns {
		at := t.Column(c.name)
		if at < 0 || t.attributes[at].typ != c.typ || t.attributes[at].mod != c.mod {
			return nil
		}
		if d.key[at] && !c.key {
			return nil
		}
		if c.key {
			keys++
		}
		d.order[i] = at
		same = same && at == i
	}
	if keys != len(t.Key) && keys != len(columns) {
		return nil
	}
	if same {
		d.order = nil
	}
	return d
}

// onlyKey marks what an old key does not tell, which comes as NULL.
func (d *described) onlyKey() {
	for i := range d.old {
		if !d.key[i] {
			d.old[i] = source.Cell{Kind: source.Absent}
		}
	}
}
