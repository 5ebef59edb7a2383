package sink

import (
	"context"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// Stored holds the row that wins at each of some keys, in no order: the last of
// those with the highest version, which may be a tombstone.
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
//  2. in ClickHouse, in the row that wins at the row's key; where the key has
//     changed, only if that is of a later version, as in a repetition;
//  3. in the source, at the row's key;
//  4. where the source has no such row any more, in ClickHouse at the key that
//     the row had before.
//
// What is found by 2 to 4 may be of a later state than the row's: the log may
// be read again, or have been behind the copy or the source when the value was
// taken. That does no harm at this key, where the later state wins in the end.
// At another key it would stay, so such a value is borrowed: it is not handed
// on to a row that moves away. For the same reason ClickHouse's row at the old
// key comes last: nobody can tell any more whether its value was borrowed.
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
	if open := l.inherit(); len(open) > 0 {
		stored, err := r.stored(ctx, l, open)
		if err != nil {
			return fmt.Errorf("look up unchanged values in %s: %w", b.Plan.Target, err)
		}
		for _, p := range open {
			if err := r.complete(ctx, l, p, stored); err != nil {
				return fetchError(ctx, b.Plan, err)
			}
		}
	}
	return l.apply()
}

// fetchError says that the source did not answer. Where that does not pass it
// is this table's concern: it was dropped, or may not be read any more.
func fetchError(ctx context.Context, p *mapper.Plan, err error) error {
	err = fmt.Errorf("look up unchanged values of %s in the source: %w", p.Source, err)
	if passes(err) || ctx.Err() != nil {
		return err
	}
	return &TableError{Table: p.Target, Err: err, Hint: "see that the table can be read, and copy it again with `millrace resync " + p.Source.String() + "`"}
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

// inherit finds the values that the block has, and returns the rows that still
// miss some, in order.
func (l *lineage) inherit() []*mapper.Pending {
	var open []*mapper.Pending
	for i := range l.block.Pending() {
		p := &l.block.Pending()[i]
		missing := false
		for _, c := range p.Columns {
			if v, ok := l.predecessor(p, c); ok {
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

// alive returns the row before p's in the block, if that is not a tombstone.
func (l *lineage) alive(p *mapper.Pending) (int, bool) {
	row := l.before[l.origin(p)]
	return row, row >= 0 && !l.block.Deleted(row)
}

// predecessor returns the value of the row before p's in the block, if p may
// inherit it and it is known.
func (l *lineage) predecessor(p *mapper.Pending, c int) (found, bool) {
	row, ok := l.alive(p)
	if !ok {
		return found{}, false
	}
	if before := l.waiting[row]; before != nil && slices.Contains(before.Columns, c) {
		v, ok := l.values[row][c]
		return v, ok && !(v.borrowed && p.Old >= 0)
	}
	return found{from: l.block.Column(c), at: row}, true
}

// complete finds what p still misses; the rows before p miss nothing.
func (r *Resolver) complete(ctx context.Context, l *lineage, p *mapper.Pending, stored *index) error {
	var missing []int
	for _, c := range p.Columns {
		if _, ok := l.values[p.Row][c]; ok {
			continue
		}
		v, ok := l.predecessor(p, c)
		if !ok {
			v, ok = l.lookUp(p, c, stored)
		}
		if ok {
			l.values[p.Row][c] = v
		} else {
			missing = append(missing, c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return r.fetch(ctx, l, p, missing, stored)
}

// lookUp takes a value from the row that wins at p's key in ClickHouse.
func (l *lineage) lookUp(p *mapper.Pending, c int, stored *index) (found, bool) {
	at, ok := stored.winner(l.block.Key(nil, p.Row))
	if !ok {
		return found{}, false
	}
	moved, above := p.Old >= 0, stored.Version[at] > p.Version
	switch {
	case stored.Deleted[at] == 0:
		return found{from: stored.Columns[c], at: at, borrowed: true}, above || !moved
	case above, !moved && stored.Version[at] == p.Version:
		// The row was deleted or moved away later in the log, and nothing that
		// is written here outlives that. (Of its own version a moved row may
		// find the tombstone of the row that left the key to make room for it.)
		return l.none(p, c), true
	}
	return found{}, false
}

// none stands for a value that nobody will see.
func (l *lineage) none(p *mapper.Pending, c int) found {
	return found{from: l.block.Column(c), at: p.Row, borrowed: true}
}

// fetch asks the source for columns of p's row.
func (r *Resolver) fetch(ctx context.Context, l *lineage, p *mapper.Pending, columns []int, stored *index) error {
	plan := l.block.Plan
	from := make([]int, len(columns))
	for i, c := range columns {
		from[i] = plan.Columns[c].From
	}
	cells, ok, err := r.Fetch(ctx, plan.Source, p.Key, from)
	if err != nil {
		return err
	}
	for i, c := range columns {
		v := l.left(p, c, stored)
		if ok {
			if v, err = l.decode(p, c, cells[i]); err != nil {
				return err
			}
		}
		l.values[p.Row][c] = v
	}
	return nil
}

// left returns the value of a row that the source does not have any more: it
// was deleted or moved, as the log will tell.
func (l *lineage) left(p *mapper.Pending, c int, stored *index) found {
	at, ok := stored.winner(l.block.Key(nil, l.origin(p)))
	if ok && stored.Deleted[at] == 0 {
		return found{from: stored.Columns[c], at: at, borrowed: true}
	}
	return l.none(p, c)
}

// decode turns a fetched cell into a value.
func (l *lineage) decode(p *mapper.Pending, c int, cell source.Cell) (found, error) {
	to, err := column.New(l.block.Plan.Columns[c].Type)
	if err != nil {
		return found{}, err
	}
	if err := l.block.Decode(p, c, cell, to); err != nil {
		return found{}, err
	}
	return found{from: to, borrowed: true}, nil
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
	rows map[string]int // by key
}

// winner returns the row that wins at a key.
func (x *index) winner(key []byte) (row int, ok bool) {
	row, ok = x.rows[string(key)]
	return row, ok
}

// stored reads the rows at the keys that open rows have and had.
func (r *Resolver) stored(ctx context.Context, l *lineage, open []*mapper.Pending) (*index, error) {
	plan := l.block.Plan
	keys := make([]*column.Column, len(plan.OrderBy))
	for i, c := range plan.OrderBy {
		var err error
		if keys[i], err = column.New(plan.Columns[c].Type); err != nil {
			return nil, err
		}
	}
	columns := make(map[int]bool)
	for _, p := range open {
		if _, ok := l.alive(p); ok && p.Old < 0 {
			continue // it inherits from the row before it
		}
		for _, row := range []int{p.Row, p.Old} {
			for i, c := range plan.OrderBy {
				if row >= 0 {
					keys[i].AppendFrom(l.block.Column(c), row)
				}
			}
		}
		for _, c := range p.Columns {
			columns[c] = true
		}
	}
	x := &index{rows: make(map[string]int)}
	var err error
	if x.Stored, err = r.Target.Stored(ctx, plan, keys, columns); err != nil {
		return nil, err
	}
	for row := range x.Version {
		var key []byte
		for _, k := range x.Keys {
			key = k.Key(key, row)
		}
		x.rows[string(key)] = row
	}
	return x, nil
}
