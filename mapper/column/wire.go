package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// Input returns the column as ch-go sends it: a view, not a copy. A
// [proto.Writer] may hold on to its memory until it is flushed.
func (c *Column) Input() proto.ColInput { return (*wire)(c) }

// Result returns the column as ch-go reads it. A block that is read replaces
// what the column held.
func (c *Column) Result() proto.ColResult { return (*wire)(c) }

// stateful is a store whose serialization begins with a prefix.
type stateful interface {
	encodeState(b *proto.Buffer)
	decodeState(r *proto.Reader) error
}

// wire is a Column in ClickHouse's native format:
//
//	[prefix] [NULL mask, a byte a row] values
type wire Column

var (
	_ proto.Column       = (*wire)(nil)
	_ proto.StateEncoder = (*wire)(nil)
	_ proto.StateDecoder = (*wire)(nil)
)

func (w *wire) Type() proto.ColumnType { return proto.ColumnType(w.typ) }
func (w *wire) Rows() int              { return w.rows }
func (w *wire) Reset()                 { (*Column)(w).Reset() }

func (w *wire) EncodeState(b *proto.Buffer) {
	if s, ok := w.values.(stateful); ok {
		s.encodeState(b)
	}
}

func (w *wire) DecodeState(r *proto.Reader) error {
	if s, ok := w.values.(stateful); ok {
		return s.decodeState(r)
	}
	return nil
}

func (w *wire) EncodeColumn(b *proto.Buffer) {
	if w.masked {
		w.nulls.EncodeColumn(b)
	}
	w.values.encode(b)
}

func (w *wire) WriteColumn(to *proto.Writer) {
	if w.masked && w.rows > 0 {
		w.nulls.WriteColumn(to)
	}
	w.values.write(to)
}

func (w *wire) DecodeColumn(r *proto.Reader, rows int) error {
	w.Reset()
	if rows == 0 {
		return nil
	}
	if err := w.decode(r, rows); err != nil {
		w.Reset()
		return fmt.Errorf("read %s: %w", w.typ, err)
	}
	w.rows = rows
	return nil
}

func (w *wire) decode(r *proto.Reader, rows int) error {
	if w.masked {
		err := inChunks(rows, func(n int) error { return w.nulls.DecodeColumn(r, n) })
		if err != nil {
			return fmt.Errorf("NULL mask: %w", err)
		}
	}
	return w.values.decode(r, rows)
}
