package mapper

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// A Block holds rows of one target table in log order.
//
// An update that changes the sorting key takes two rows: a tombstone at the
// old key, then the new row.
type Block struct {
	Plan   *Plan
	fields []field
	beside []int // fields of the sorting key that are not in the source's
	own    own
	rows   int
	bytes  int
	epoch  uint64
	misfit MisfitFunc

	awaited int // bytes that a value which is waited for is taken for

	counts  [3]int64 // by operation
	pending []Pending
	letters []Letter
	inputs  []proto.InputColumn

	// Key encodings of a changed key, kept for their capacity.
	oldKey, newKey []byte
}

// Values that are waited for are large, or the log would have them: how large
// shows only when they are found. Until then they are counted with a guess, so
// that a block does not outgrow its bounds then, and later with what they were.
const (
	firstAwaited = 64 << 10
	leastAwaited = 8 << 10
)

// A Pending cell or several of one row wait for the value that the row had
// before: see [Block.Pending].
type Pending struct {
	Row     int
	Old     int           // the row's tombstone at the old key, or -1
	Columns []int         // indices into Plan.Columns
	Key     []source.Cell // the new key for [source.Source.Fetch]
	Version uint64
	Time    int64 // of the transaction, as in [source.Row]
}

// field binds a column's buffer to its decoders.
type field struct {
	column       *column.Column
	from         int
	text, binary source.Decode
	key          bool
}

// NewBlock returns an empty block for rows of a plan. misfit decides about
// values that do not fit.
func NewBlock(p *Plan, epoch uint8, misfit MisfitFunc) (*Block, error) {
	b := &Block{Plan: p, epoch: uint64(epoch) << orderBits, misfit: misfit, awaited: firstAwaited}
	for i := range p.Columns {
		c, err := column.New(p.Columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", p.Columns[i].Name, err)
		}
		src := &p.Source.Columns[p.Columns[i].From]
		b.fields = append(b.fields, field{column: c, from: p.Columns[i].From, text: src.Text, binary: src.Binary})
		b.inputs = append(b.inputs, proto.InputColumn{Name: p.Columns[i].Name, Data: c.Input()})
	}
	for _, i := range p.OrderBy {
		b.fields[i].key = true
		if !slices.Contains(p.Source.Key, p.Columns[i].From) {
			b.beside = append(b.beside, i)
		}
	}
	b.inputs = b.own.inputs(p, b.inputs)
	return b, nil
}

// Rows returns the number of rows, tombstones included.
func (b *Block) Rows() int { return b.rows }

// Bytes returns about how many bytes the values take.
func (b *Block) Bytes() int { return b.bytes }

// Changes returns how many rows were inserted, updated and deleted.
func (b *Block) Changes() (inserts, updates, deletes int64) {
	return b.counts[source.Insert], b.counts[source.Update], b.counts[source.Delete]
}

// Input returns the columns as the target takes them. They are the block's own.
func (b *Block) Input() []proto.InputColumn { return b.inputs }

// Reset empties the block and keeps its capacity.
func (b *Block) Reset() {
	for i := range b.fields {
		b.fields[i].column.Reset()
	}
	b.own.truncate(0)
	b.rows, b.bytes, b.counts = 0, 0, [3]int64{}
	b.pending, b.letters = b.pending[:0], b.letters[:0]
}

// Append adds what a row's change means to the target. After an error the
// block is as before.
func (b *Block) Append(r *source.Row) error {
	rows, size := b.rows, b.bytes
	if err := b.append(r); err != nil {
		b.truncate(rows)
		b.bytes = size
		return err
	}
	b.counts[r.Op]++
	return nil
}

func (b *Block) append(r *source.Row) error {
	switch r.Op {
	case source.Delete:
		return b.tombstone(r)
	case source.Insert:
		return b.row(r, -1)
	case source.Update:
		if err := b.oldValues(r); err != nil {
			return err
		}
		if len(r.Old) == 0 || b.sameKeyBytes(r) {
			return b.row(r, -1)
		}
		return b.move(r)
	}
	return fmt.Errorf("%s is no change of a row", r.Op)
}

// oldValues returns an error where the log does not give the old values of
// sorting columns beside the source's key: then nobody knows whether the row
// moves. Such a key asks for whole old rows, which may be turned off later.
func (b *Block) oldValues(r *source.Row) error {
	for _, i := range b.beside {
		if len(r.Old) == 0 || r.Old[b.fields[i].from].Kind == source.Absent {
			return source.WithHint(b.valueError(i, errNoOld),
				"make the source log whole old rows again (Postgres: ALTER TABLE … REPLICA IDENTITY FULL)")
		}
	}
	return nil
}

// move adds a tombstone at the old key and the row at the new one, or the row
// alone where the two keys are the same in ClickHouse.
func (b *Block) move(r *source.Row) error {
	old, size := b.rows, b.bytes
	if err := b.tombstone(r); err != nil {
		return err
	}
	same, err := b.sameKey(r, old)
	if err != nil {
		return err
	}
	if same {
		b.truncate(old)
		old, b.bytes = -1, size
	}
	return b.row(r, old)
}

// sameKey reports whether r's new key is the key of a row in ClickHouse. It
// converts the key and drops it again, so that each other value is converted
// once.
func (b *Block) sameKey(r *source.Row, row int) (bool, error) {
	size := b.bytes
	for _, i := range b.Plan.OrderBy {
		if err := b.cell(i, newCell(r, b.fields[i].from), r); err != nil {
			return false, err
		}
	}
	b.oldKey = b.Key(b.oldKey[:0], row)
	b.newKey = b.Key(b.newKey[:0], b.rows)
	for _, i := range b.Plan.OrderBy {
		b.fields[i].column.Truncate(b.rows)
	}
	b.bytes = size
	return bytes.Equal(b.oldKey, b.newKey), nil
}

// sameKeyBytes reports whether the wire forms of the two keys are the same.
// Where they are not the values still may be.
func (b *Block) sameKeyBytes(r *source.Row) bool {
	for _, i := range b.Plan.OrderBy {
		from := b.fields[i].from
		was, is := r.Old[from], r.New[from]
		if is.Kind == source.Unchanged || was.Kind == source.Absent {
			continue
		}
		if was.Kind != is.Kind || !bytes.Equal(was.Bytes, is.Bytes) {
			return false
		}
	}
	return true
}

var (
	errAbsent = errors.New("the log does not give its value")
	errNoOld  = errors.New("order_by needs its old value, which the log no longer gives")
	errForm   = errors.New("its value came in a form that it has no decoder for")
)

// tombstone adds a deleted row at the old key.
func (b *Block) tombstone(r *source.Row) error {
	for i := range b.fields {
		f := &b.fields[i]
		if !f.key {
			f.column.AppendDefault()
			continue
		}
		cell := r.Old[f.from]
		if cell.Kind == source.Absent && r.Op == source.Update {
			cell = r.New[f.from]
		}
		if err := b.cell(i, cell, r); err != nil {
			return err
		}
	}
	b.finish(r, 1)
	return nil
}

// newCell returns a cell of the new row, from the old one where it has not
// changed and that tells it.
func newCell(r *source.Row, i int) source.Cell {
	if cell := r.New[i]; cell.Kind != source.Unchanged || len(r.Old) == 0 || r.Old[i].Kind == source.Absent {
		return cell
	}
	return r.Old[i]
}

// row adds the new row; old is its tombstone or -1.
func (b *Block) row(r *source.Row, old int) error {
	waiting := -1
	for i := range b.fields {
		f := &b.fields[i]
		cell := newCell(r, f.from)
		if cell.Kind == source.Unchanged && !f.key {
			waiting = b.wait(waiting, i, old, r)
			f.column.AppendDefault()
			continue
		}
		if err := b.cell(i, cell, r); err != nil {
			return err
		}
	}
	b.finish(r, 0)
	return nil
}

// cell decodes one cell into its column.
func (b *Block) cell(i int, cell source.Cell, r *source.Row) error {
	f := &b.fields[i]
	decode := f.text
	switch cell.Kind {
	case source.Binary:
		decode = f.binary
	case source.Absent, source.Unchanged:
		return b.valueError(i, errAbsent)
	}
	if decode == nil && cell.Kind != source.Null {
		return b.valueError(i, errForm)
	}
	b.bytes += len(cell.Bytes)
	err := f.column.Append(cell, decode)
	if err == nil {
		return nil
	}
	var misfit *source.Misfit
	if !errors.As(err, &misfit) {
		return b.valueError(i, err)
	}
	if f.key {
		return b.valueError(i, fmt.Errorf("a key value %w: two rows could become one; set type: String for the column", misfit))
	}
	if err := b.misfit(b.Plan, &b.Plan.Columns[i], misfit); err != nil {
		return b.valueError(i, err)
	}
	b.keepLetter(i, cell, r, misfit)
	return nil
}

func (b *Block) valueError(i int, err error) error {
	p := &b.Plan.Columns[i]
	src := &b.Plan.Source.Columns[p.From]
	return &ValueError{Column: src.Name, Native: src.Native, Target: p.Type, Err: err}
}

// finish completes a row whose fields are in place.
func (b *Block) finish(r *source.Row, deleted uint8) {
	b.own.append(b.epoch|r.Version, deleted, r.Time)
	b.rows++
	b.bytes += rowOverhead + 8*len(b.fields)
}

// rowOverhead is what millrace's own columns take of a row.
const rowOverhead = 9

// wait notes that field i of the row being added keeps its old value.
func (b *Block) wait(waiting, i, old int, r *source.Row) int {
	if waiting < 0 {
		waiting = len(b.pending)
		p := Pending{Row: b.rows, Old: old, Version: b.epoch | r.Version, Time: r.Time}
		for _, k := range b.Plan.Source.Key {
			cell := newCell(r, k)
			p.Key = append(p.Key, source.Cell{Kind: cell.Kind, Bytes: bytes.Clone(cell.Bytes)})
		}
		b.pending = append(b.pending, p)
	}
	b.pending[waiting].Columns = append(b.pending[waiting].Columns, i)
	b.bytes += b.awaited
	return waiting
}

// truncate drops rows, a half-written one too.
func (b *Block) truncate(rows int) {
	for i := range b.fields {
		b.fields[i].column.Truncate(rows)
	}
	b.own.truncate(rows)
	for n := len(b.pending); n > 0 && b.pending[n-1].Row >= rows; n-- {
		b.pending = b.pending[:n-1]
	}
	for n := len(b.letters); n > 0 && b.letters[n-1].row >= rows; n-- {
		b.letters = b.letters[:n-1]
	}
	b.rows = rows
}

// Key appends an encoding of a row's sorting key: equal when the keys are.
func (b *Block) Key(dst []byte, row int) []byte {
	for _, i := range b.Plan.OrderBy {
		dst = b.fields[i].column.Key(dst, row)
	}
	return dst
}

// Deleted reports whether a row is a tombstone.
func (b *Block) Deleted(row int) bool { return b.own.deleted[row] != 0 }

// Version returns a row's version.
func (b *Block) Version(row int) uint64 { return b.own.version[row] }

// Column returns the buffer of Plan.Columns[i].
func (b *Block) Column(i int) *column.Column { return b.fields[i].column }

// Pending returns the rows with cells that wait for their old value, in order.
func (b *Block) Pending() []Pending { return b.pending }

// Resolve gives cells of column i that wait the values they had: value names,
// for a row, a column of the same type and a row there. Rows for which it
// returns false keep what they have.
func (b *Block) Resolve(i int, value func(row int) (from *column.Column, at int, ok bool)) error {
	old := b.fields[i].column
	fresh, err := column.New(b.Plan.Columns[i].Type)
	if err != nil {
		return err
	}
	found, size := 0, 0
	for row := range b.rows {
		from, at, ok := value(row)
		if !ok {
			fresh.AppendFrom(old, row)
			continue
		}
		before := fresh.Size()
		fresh.AppendFrom(from, at)
		found, size = found+1, size+fresh.Size()-before
	}
	if found > 0 {
		b.awaited = max(size/found, leastAwaited)
	}
	b.fields[i].column = fresh
	b.inputs[i].Data = fresh.Input()
	return nil
}

// Resolved tells that no row waits any more.
func (b *Block) Resolved() { b.pending = b.pending[:0] }

// Decode appends a fetched cell of column i, which p waits for, to another
// buffer of the same type. A value that does not fit is treated as one from the
// log is.
func (b *Block) Decode(p *Pending, i int, cell source.Cell, to *column.Column) error {
	decode := b.fields[i].text
	if cell.Kind == source.Binary {
		decode = b.fields[i].binary
	}
	err := to.Append(cell, decode)
	misfit := (*source.Misfit)(nil)
	if !errors.As(err, &misfit) {
		return err
	}
	if err := b.misfit(b.Plan, &b.Plan.Columns[i], misfit); err != nil {
		return b.valueError(i, err)
	}
	b.addLetter(i, cell, p.Key, misfit, Letter{Version: p.Version, Time: p.Time, row: p.Row})
	return nil
}
