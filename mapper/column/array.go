package column

import (
	"encoding/binary"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// lists stores arrays as ClickHouse sends them: where each one ends, and the
// elements of all of them in one column.
type lists struct {
	ends    proto.ColUInt64
	element element
	inner   *lists // the element's store when that is an array, too
}

// array takes lists, and NULL as an empty one, since ClickHouse has no
// Nullable(Array).
type array struct {
	refusal
	lists
}

func newArray(elem *Column) *Column {
	typ := "Array(" + elem.typ + ")"
	a := &array{refusal: refusal(typ), lists: lists{element: element{col: elem}}}
	a.inner, _ = elem.values.(*lists)
	return newColumn(typ, a, &a.lists)
}

// List announces an array. It is complete when n elements have come.
func (a *array) List(n int) (source.Appender, error) {
	if n < 0 {
		return nil, fmt.Errorf("array of %d elements", n)
	}
	if err := a.complete(); err != nil {
		return nil, err
	}
	a.ends = append(a.ends, uint64(a.element.col.rows+n))
	return &a.element, nil
}

func (a *array) Null() error {
	if err := a.complete(); err != nil {
		return err
	}
	a.zero()
	return nil
}

// last returns where the last array ends.
func (l *lists) last() int {
	if len(l.ends) == 0 {
		return 0
	}
	return int(l.ends[len(l.ends)-1])
}

// complete reports whether the last array has got its elements.
func (l *lists) complete() error {
	if have, want := l.element.col.rows, l.last(); have != want {
		return fmt.Errorf("array ends at element %d instead of %d", have, want)
	}
	return nil
}

func (l *lists) settle(rows int) error {
	if len(l.ends) != rows+1 {
		return errCount
	}
	if err := l.complete(); err != nil {
		return err
	}
	misfit, err := l.element.misfit, error(nil)
	l.element.misfit = nil
	if l.inner != nil && len(l.inner.ends) > 0 {
		err = l.inner.settle(len(l.inner.ends) - 1)
	}
	if err == nil && misfit != nil {
		return misfit
	}
	return err
}

func (l *lists) zero() { l.ends = append(l.ends, uint64(l.element.col.rows)) }

func (l *lists) truncate(rows int) {
	l.ends = l.ends[:rows]
	l.element.misfit = nil
	l.element.col.cut(l.last())
}

func (l *lists) reset() {
	l.ends = l.ends[:0]
	l.element.misfit = nil
	l.element.col.Reset()
}

func (l *lists) size() int { return 8*len(l.ends) + l.element.col.Size() }

// span returns the elements of one array.
func (l *lists) span(row int) (from, to int) {
	if row > 0 {
		from = int(l.ends[row-1])
	}
	return from, int(l.ends[row])
}

func (l *lists) key(dst []byte, row int) []byte {
	from, to := l.span(row)
	dst = binary.AppendUvarint(dst, uint64(to-from))
	for i := from; i < to; i++ {
		dst = l.element.col.Key(dst, i)
	}
	return dst
}

func (l *lists) copyFrom(src values, row int) {
	other := src.(*lists)
	from, to := other.span(row)
	for i := from; i < to; i++ {
		l.element.col.AppendFrom(other.element.col, i)
	}
	l.zero()
}

func (l *lists) encodeState(b *proto.Buffer) { (*wire)(l.element.col).EncodeState(b) }

func (l *lists) decodeState(r *proto.Reader) error {
	return (*wire)(l.element.col).DecodeState(r)
}

func (l *lists) encode(b *proto.Buffer) {
	l.ends.EncodeColumn(b)
	(*wire)(l.element.col).EncodeColumn(b)
}

func (l *lists) write(w *proto.Writer) {
	l.ends.WriteColumn(w)
	(*wire)(l.element.col).WriteColumn(w)
}

// maxElements bounds the elements of a block that is read.
const maxElements = 1 << 31

func (l *lists) decode(r *proto.Reader, rows int) error {
	err := inChunks(rows, func(n int) error { return l.ends.DecodeColumn(r, n) })
	if err != nil {
		return fmt.Errorf("ends of arrays: %w", err)
	}
	var last uint64
	for row, end := range l.ends {
		if end < last || end > maxElements {
			return fmt.Errorf("array %d ends at element %d, the one before at %d", row, end, last)
		}
		last = end
	}
	return (*wire)(l.element.col).DecodeColumn(r, int(last))
}
