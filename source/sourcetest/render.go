package sourcetest

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/millrace/millrace/source"
)

// A Value is a cell that was copied, its bytes decoded.
type Value struct {
	Kind source.CellKind
	Text string
}

// String returns the value for messages; long texts are cut.
func (v Value) String() string {
	switch v.Kind {
	case source.Null:
		return "NULL"
	case source.Absent:
		return "absent"
	case source.Unchanged:
		return "unchanged"
	}
	if len(v.Text) > 40 {
		return fmt.Sprintf("%q… (%d)", v.Text[:40], len(v.Text))
	}
	return strconv.Quote(v.Text)
}

// values copies the cells of a row. Both wire forms of a value give the same.
func values(t *source.Table, cells []source.Cell) ([]Value, error) {
	if len(cells) == 0 {
		return nil, nil
	}
	if len(cells) != len(t.Columns) {
		return nil, fmt.Errorf("row of %d cells for %d columns", len(cells), len(t.Columns))
	}
	list := make([]Value, len(cells))
	for i := range cells {
		v, err := value(&t.Columns[i], cells[i])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", t.Columns[i].Name, err)
		}
		list[i] = v
	}
	return list, nil
}

func value(c *source.Column, cell source.Cell) (Value, error) {
	decode := c.Text
	switch cell.Kind {
	case source.Null, source.Absent, source.Unchanged:
		if cell.Bytes != nil {
			return Value{}, fmt.Errorf("cell of kind %d with bytes", cell.Kind)
		}
		return Value{Kind: cell.Kind}, nil
	case source.Binary:
		decode = c.Binary
	}
	if decode == nil {
		return Value{}, fmt.Errorf("no decoder for a cell of kind %d", cell.Kind)
	}
	var text renderer
	if err := decode(cell.Bytes, &text); err != nil {
		return Value{}, err
	}
	return Value{Kind: source.Text, Text: text.String()}, nil
}

// A renderer is an Appender that takes one value, as text.
type renderer struct{ strings.Builder }

func (r *renderer) put(text string) error {
	r.WriteString(text)
	return nil
}

func (r *renderer) Bool(v bool) error              { return r.put(strconv.FormatBool(v)) }
func (r *renderer) Int(v int64) error              { return r.put(strconv.FormatInt(v, 10)) }
func (r *renderer) Uint(v uint64) error            { return r.put(strconv.FormatUint(v, 10)) }
func (r *renderer) Float(v float64) error          { return r.put(strconv.FormatFloat(v, 'g', -1, 64)) }
func (r *renderer) Bytes(v []byte) error           { return r.put(string(v)) }
func (r *renderer) UUID(v [16]byte) error          { return r.put(hex.EncodeToString(v[:])) }
func (r *renderer) Date(days int64) error          { return r.put(fmt.Sprintf("day %d", days)) }
func (r *renderer) Time(micros int64) error        { return r.put(fmt.Sprintf("%d µs", micros)) }
func (r *renderer) Timestamp(micros int64) error   { return r.put(fmt.Sprintf("at %d µs", micros)) }
func (r *renderer) Special(s source.Special) error { return r.put(fmt.Sprintf("special %d", s)) }
func (r *renderer) Null() error                    { return r.put("NULL ") }

func (r *renderer) List(n int) (source.Appender, error) {
	return r, r.put(fmt.Sprintf("list of %d: ", n))
}

func (r *renderer) Decimal(v *source.Number) error {
	n := new(big.Int)
	for i := len(v.Coef) - 1; i >= 0; i-- {
		n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(v.Coef[i]))
	}
	if v.Neg {
		n.Neg(n)
	}
	return r.put(fmt.Sprintf("%s e-%d", n, v.Scale))
}
