package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// Stored holds rows of a target table as they lie in its parts, older
// versions and tombstones too, in the order of their versions; rows of one
// version in the order in which they were inserted.
type Stored struct {
	Keys    []*column.Column // by Plan.OrderBy
	Version proto.ColUInt64
	Deleted proto.ColUInt8
	Columns map[int]*column.Column // by index into Plan.Columns
}

// Fetch reads a row from the source as it is now: [source.Source.Fetch].
type Fetch func(ctx context.Context, t *source.Table, key []source.Cell, columns []int) ([]source.Cell, bool, error)

// A Resolver finds the values that the log left out because they did not
// change (Postgres: unchanged TOAST).
//
// It is used right before a block is written, when all rows before it are in
// ClickHouse. A value is looked for, in this order:
//
//  1. in the row's predecessor inside the block;
//  2. in ClickHouse at the row's key, if what is there is of this version or
//     above: then this row was written before and is being repeated;
//  3. in ClickHouse at the key that the row had before, up to this version;
//  4. in the source, at the row's key.
//
// What is found by 2 or 4 may be of a later state than the row's. That does no
// harm at this key, where the later state wins, but it is not handed on to a
// row at another key: that one is looked for by itself.
type Resolver struct {
	Target Target
	Fetch  Fetch
}

// found says where a value is, and whether rows after it may inherit it.
type found struct {
	from     *column.Column
	at       int
	borrowed bool
}

// lineage is what a block tells of the rows that wait.
type lineage struct {
	block   *mapper.Block
	waiting map[int]*mapper.Pending // by row
	before  map[int]int             // row → row of the same key before it
	values  map[int]map[int]found   // row → column → value
}

// Block resolves the waiting rows of b. It may be called again after an error.
func (r *Resolver) Block(ctx context.Context, b *mapper.Block) error {
	l := trace(b)
	if open := l.inherit(nil); len(open) > 0 {
		stored, err := r.stored(ctx, b, open)
		if err != nil {
			return fmt.Errorf("look up unchanged values in %s: %w", b.Plan.Target, err)
		}
		for _, p := range l.inherit(stored) {
			if err := r.fetch(ctx, l, p, stored); err != nil {
				return fmt.Errorf("look up unchanged values of %s in the source: %w", b.Plan.Source, err)
			}
		}
	}
	return l.apply()
}

// trace finds, for each waiting row, the rows of its keys before it.
func trace(b *mapper.Block) *lineage {
	l := &lineage{
		block:   b,
		waiting: make(map[int]*mapper.Pending),
		before:  make(map[int]int),
		values:  make(map[int]map[int]found),
	}
	pending := b.Pending()
	last := make(map[string]int)
	for i := range pending {
		p := &pending[i]
		l.waiting[p.Row] = p
		l.values[p.Row] = make(map[int]found)
		last[string(b.Key(nil, p.Row))] = -1
		last[string(b.Key(nil, l.origin(p)))] = -1
	}
	var key []byte
	for row := range b.Rows() {
		key = b.Key(key[:0], row)
		if was, ok := last[string(key)]; ok {
			l.before[row] = was
			last[string(key)] = row
		}
	}
	return l
}

// origin returns the row that stands at the key which p's row had before.
func (l *lineage) origin(p *mapper.Pending) int {
	if p.Old >= 0 {
		return p.Old
	}
	return p.Row
}

// inherit finds values in the block and in stored, and returns the rows that
// still miss some, in order.
func (l *lineage) inherit(stored *index) []*mapper.Pending {
	var open []*mapper.Pending
	for i := range l.block.Pending() {
		p := &l.block.Pending()[i]
		missing := false
		for _, c := range p.Columns {
			if _, ok := l.values[p.Row][c]; ok {
				continue
			}
			if v, ok := l.find(p, c, stored); ok {
				l.values[p.Row][c] = v
			} else {
				missing = true
			}
		}
		if missing {
			open = append(open, p)
		}
	}
	return open
}

// find looks for one value.
func (l *lineage) find(p *mapper.Pending, c int, stored *index) (found, bool) {
	was, inBlock := l.predecessor(p, c)
	if inBlock && !was.borrowed {
		return was, true
	}
	if stored == nil {
		return found{}, false
	}
	if at, ok := stored.newest(l.block.Key(nil, p.Row), ^uint64(0)); ok && stored.Version[at] >= p.Version {
		if stored.Deleted[at] != 0 {
			// The row was moved or deleted later in the log, and nothing that
			// is written here outlives that.
			return found{from: l.block.Column(c), at: p.Row, borrowed: true}, true
		}
		return found{from: stored.Columns[c], at: at, borrowed: true}, true
	}
	if at, ok := stored.newest(l.block.Key(nil, l.origin(p)), p.Version); ok && stored.Deleted[at] == 0 {
		return found{from: stored.Columns[c], at: at}, true
	}
	return was, inBlock
}

// predecessor returns the value of the row before p's in the block.
func (l *lineage) predecessor(p *mapper.Pending, c int) (found, bool) {
	row := l.before[l.origin(p)]
	if row < 0 || l.block.Deleted(row) {
		return found{}, false
	}
	if before := l.waiting[row]; before != nil && slices.Contains(before.Columns, c) {
		v, ok := l.values[row][c]
		return v, ok
	}
	return found{from: l.block.Column(c), at: row}, true
}

// fetch asks the source for what p still misses. A row that is not there any
// more keeps a default: the log will tell what became of it.
func (r *Resolver) fetch(ctx context.Context, l *lineage, p *mapper.Pending, stored *index) error {
	plan := l.block.Plan
	var missing, from []int
	for _, c := range p.Columns {
		if v, ok := l.find(p, c, stored); ok {
			l.values[p.Row][c] = v
		} else if _, ok := l.values[p.Row][c]; !ok {
			missing, from = append(missing, c), append(from, plan.Columns[c].From)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	cells, ok, err := r.Fetch(ctx, plan.Source, p.Key, from)
	if err != nil {
		return err
	}
	for i, c := range missing {
		v := found{from: l.block.Column(c), at: p.Row, borrowed: true}
		if ok {
			if v.from, err = column.New(plan.Columns[c].Type); err != nil {
				return err
			}
			v.at = 0
			err := l.block.Decode(c, cells[i], v.from)
			if misfit := (*source.Misfit)(nil); err != nil && !errors.As(err, &misfit) {
				return err
			}
		}
		l.values[p.Row][c] = v
	}
	return nil
}

// apply puts the values in place.
func (l *lineage) apply() error {
	columns := make(map[int]bool)
	for i := range l.block.Pending() {
		for _, c := range l.block.Pending()[i].Columns {
			columns[c] = true
		}
	}
	for c := range columns {
		err := l.block.Resolve(c, func(row int) (*column.Column, int, bool) {
			v, ok := l.values[row][c]
			return v.from, v.at, ok
		})
		if err != nil {
			return err
		}
	}
	l.block.Resolved()
	return nil
}

// index finds stored rows by key.
type index struct {
	*Stored
	rows map[string][]int // by key, in the order of Stored
}

// newest returns the last row of a key whose version is at most limit.
func (x *index) newest(key []byte, limit uint64) (int, bool) {
	rows := x.rows[string(key)]
	for i := len(rows) - 1; i >= 0; i-- {
		if x.Version[rows[i]] <= limit {
			return rows[i], true
		}
	}
	return 0, false
}

// stored reads the rows at the keys that open rows have and had.
func (r *Resolver) stored(ctx context.Context, b *mapper.Block, open []*mapper.Pending) (*index, error) {
	keys := make([]*column.Column, len(b.Plan.OrderBy))
	for i, c := range b.Plan.OrderBy {
		var err error
		if keys[i], err = column.New(b.Plan.Columns[c].Type); err != nil {
			return nil, err
		}
	}
	columns := make(map[int]bool)
	for _, p := range open {
		for _, row := range []int{p.Row, p.Old} {
			if row < 0 {
				continue
			}
			for i, c := range b.Plan.OrderBy {
				keys[i].AppendFrom(b.Column(c), row)
			}
		}
		for _, c := range p.Columns {
			columns[c] = true
		}
	}
	x := &index{rows: make(map[string][]int)}
	var err error
	if x.Stored, err = r.Target.Stored(ctx, b.Plan, keys, columns); err != nil {
		return nil, err
	}
	for row := range x.Version {
		var key []byte
		for _, k := range x.Keys {
			key = k.Key(key, row)
		}
		x.rows[string(key)] = append(x.rows[string(key)], row)
	}
	return x, nil
}
