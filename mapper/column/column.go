// Package column holds typed columnar buffers: one value after the other is
// decoded into them, and ClickHouse's native format is written out of them as
// they stand.
//
// A [Column] is made for a ClickHouse type by [New]. Two parts share the work:
// a [source.Appender] of the type's family, which takes what a decoder hands
// over and answers for its range, and a store of the values. Values of fixed
// size are stored in ch-go's columns (github.com/ClickHouse/ch-go/proto),
// strings in the form in which they are sent; the optional NULL mask is the
// Column's own. Columns keep their capacity over [Column.Reset], so a buffer
// in circulation stops allocating.
//
// What a type cannot hold exactly is replaced, and a [*source.Misfit] says so:
// dates and timestamps outside the range are clamped, numbers and times with
// too many digits become NULL, or zero where the column is not nullable.
// Nothing is rounded.
package column

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// ErrNull is returned for a NULL that the column cannot hold.
var ErrNull = errors.New("NULL for a column that is not nullable")

var (
	errCount = errors.New("decoder did not append exactly one value")
	errForm  = errors.New("no decoder for this form of the value")
)

// A Column is a growing column of one ClickHouse type. One goroutine at a time
// may use it.
type Column struct {
	typ      string
	nullable bool
	masked   bool // NULL is kept in nulls; otherwise the values know of it
	rows     int
	to       source.Appender // puts values into values
	values   values
	nulls    proto.ColUInt8 // 1 for NULL, over a zero
}

// values is a store: what the families of types have in common. It may hold
// one value more than its column counts, while that is being decoded.
type values interface {
	// settle reports whether exactly one complete value came after the first
	// rows. It returns a misfit that was met inside that value.
	settle(rows int) error
	zero()
	truncate(rows int)
	reset()
	size() int
	key(dst []byte, row int) []byte
	copyFrom(src values, row int) // src is of the same dynamic type

	encode(b *proto.Buffer)
	write(w *proto.Writer)
	decode(r *proto.Reader, rows int) error // into an empty store
}

// Type returns the ClickHouse type as the server writes it.
func (c *Column) Type() string { return c.typ }

// Nullable reports whether the column holds NULL.
func (c *Column) Nullable() bool { return c.nullable }

// Rows returns the number of values.
func (c *Column) Rows() int { return c.rows }

// Size returns the bytes that the values occupy. It is cheap.
func (c *Column) Size() int { return c.values.size() + len(c.nulls) }

// Append decodes one cell into the column. A NULL for which there is no room
// is an empty array in a column of arrays and [ErrNull] elsewhere; cells that
// are Unchanged or Absent are an error.
//
// After a [*source.Misfit] (match it with [errors.As]) the value's substitute
// has been appended, after any other error nothing has. An array is appended
// whole: the first misfit among its elements is returned in the end.
func (c *Column) Append(cell source.Cell, decode source.Decode) error {
	if cell.Kind != source.Text && cell.Kind != source.Binary {
		return c.appendOther(cell.Kind)
	}
	if decode == nil {
		return errForm
	}
	err := decode(cell.Bytes, c.to)
	if err == nil {
		err = c.values.settle(c.rows)
	}
	if err != nil {
		return c.resolve(err)
	}
	c.count(0)
	return nil
}

// count takes the value that was appended last into the column.
func (c *Column) count(null uint8) {
	if c.masked {
		c.nulls = append(c.nulls, null)
	}
	c.rows++
}

// resolve keeps a misfit's substitute, and drops what else an error left.
func (c *Column) resolve(err error) error {
	var misfit *source.Misfit
	if errors.As(err, &misfit) {
		settled := c.values.settle(c.rows)
		if settled == nil || errors.As(settled, &misfit) {
			c.count(misfitMask(misfit))
			return err
		}
		err = settled
	}
	c.values.truncate(c.rows)
	if errors.Is(err, ErrNull) && c.masked {
		c.appendNull()
		return nil
	}
	return err
}

// misfitMask is the mask of a misfit's substitute. Where it is NULL, the value
// under the mask is zero.
func misfitMask(m *source.Misfit) uint8 {
	if m.Null {
		return 1
	}
	return 0
}

func (c *Column) appendOther(kind source.CellKind) error {
	switch {
	case kind == source.Null && c.masked:
		c.appendNull()
		return nil
	case kind == source.Null:
		if err := c.to.Null(); err != nil {
			return err
		}
		c.rows++
		return nil
	case kind == source.Unchanged:
		return errors.New("an unchanged value has not been resolved")
	case kind == source.Absent:
		return errors.New("the log does not give this value")
	}
	return fmt.Errorf("unknown form %d of a cell", kind)
}

func (c *Column) appendNull() {
	c.values.zero()
	c.count(1)
}

// AppendDefault appends NULL, or zero (an empty string, an empty array,
// 1970-01-01) where the column is not nullable.
func (c *Column) AppendDefault() {
	if c.masked {
		c.appendNull()
		return
	}
	if c.to.Null() != nil {
		c.values.zero()
	}
	c.rows++
}

// AppendUint64 appends a number that is known to fit, such as a version. A
// column that cannot hold it takes its default.
func (c *Column) AppendUint64(v uint64) {
	if err := c.to.Uint(v); err != nil {
		c.values.truncate(c.rows)
		c.AppendDefault()
		return
	}
	c.count(0)
}

// AppendFrom appends a copy of a value of src, which is another column of the
// same type, or c itself.
func (c *Column) AppendFrom(src *Column, row int) {
	c.values.copyFrom(src.values, row)
	if c.masked {
		c.nulls = append(c.nulls, src.nulls[row])
	}
	c.rows++
}

// Truncate keeps the first rows values and drops the rest.
func (c *Column) Truncate(rows int) {
	if rows >= c.rows {
		return
	}
	c.cut(rows)
}

// cut is Truncate for a column whose store may be ahead of it.
func (c *Column) cut(rows int) {
	c.values.truncate(rows)
	if c.masked {
		c.nulls = c.nulls[:rows]
	}
	c.rows = rows
}

// Reset drops all values and keeps the capacity.
func (c *Column) Reset() {
	c.values.reset()
	c.nulls = c.nulls[:0]
	c.rows = 0
}

// Key appends an encoding of one value to dst. Values of one type have the
// same encoding exactly when ClickHouse sorts them as equal, and no encoding
// begins with another, so the keys of several columns may be concatenated.
func (c *Column) Key(dst []byte, row int) []byte {
	if !c.masked {
		return c.values.key(dst, row)
	}
	if c.nulls[row] != 0 {
		return append(dst, 1)
	}
	return c.values.key(append(dst, 0), row)
}
