package mapper

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

func asInt64(cell []byte, to source.Appender) error {
	return to.Int(int64(binary.BigEndian.Uint64(cell)))
}

func asInt32(cell []byte, to source.Appender) error {
	return to.Int(int64(int32(binary.BigEndian.Uint32(cell))))
}

func asBytes(cell []byte, to source.Appender) error { return to.Bytes(cell) }
func asBool(cell []byte, to source.Appender) error  { return to.Bool(cell[0] != 0) }

func asTimestamp(cell []byte, to source.Appender) error {
	return to.Timestamp(int64(binary.BigEndian.Uint64(cell)))
}

// asDecimal returns a decoder of hundredths, with a number of its own: one on
// the stack would escape.
func asDecimal() source.Decode {
	n := &source.Number{Scale: 2}
	return func(cell []byte, to source.Appender) error {
		n.Coef[0] = binary.BigEndian.Uint64(cell)
		return to.Decimal(n)
	}
}

// orders is a table as a shop has it, in binary form.
func orders() *source.Table {
	column := func(name, native string, typ source.Type, nullable bool, decode source.Decode) source.Column {
		return source.Column{Name: name, Native: native, Type: typ, Nullable: nullable, Binary: decode}
	}
	timestamp := source.Type{Kind: source.Timestamp, Precision: 6}
	return &source.Table{
		Schema: "public", Name: "orders", Key: []int{0},
		Columns: []source.Column{
			column("id", "bigint", source.Type{Kind: source.Int64}, false, asInt64),
			column("customer", "integer", source.Type{Kind: source.Int32}, false, asInt32),
			column("state", "order_state", source.Type{Kind: source.Enum}, false, asBytes),
			column("amount", "numeric(18,2)", source.Type{Kind: source.Decimal, Precision: 18, Scale: 2}, false, asDecimal()),
			column("paid", "boolean", source.Type{Kind: source.Bool}, false, asBool),
			column("note", "text", source.Type{Kind: source.String}, true, asBytes),
			column("created", "timestamptz", timestamp, false, asTimestamp),
			column("shipped", "timestamptz", timestamp, true, asTimestamp),
		},
	}
}

func bigEndian(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// order makes the cells of a row.
func order(i int) []source.Cell {
	cell := func(b []byte) source.Cell { return source.Cell{Kind: source.Binary, Bytes: b} }
	shipped := cell(bigEndian(1_700_000_000_000_000))
	if i%2 == 0 {
		shipped = source.Cell{Kind: source.Null}
	}
	return []source.Cell{
		cell(bigEndian(uint64(i))),
		cell(binary.BigEndian.AppendUint32(nil, uint32(i%1000))),
		cell([]byte([]string{"new", "paid", "sent", "returned"}[i%4])),
		cell(bigEndian(uint64(i) * 37)),
		cell([]byte{byte(i & 1)}),
		cell(fmt.Appendf(nil, "please ring twice at door %d", i)),
		cell(bigEndian(1_700_000_000_000_000 + uint64(i))),
		shipped,
	}
}

// onlyKey marks all cells but the first as Absent.
func onlyKey(cells []source.Cell) []source.Cell {
	key := make([]source.Cell, len(cells))
	for i := range key {
		key[i].Kind = source.Absent
	}
	key[0] = cells[0]
	return key
}

// changes returns a row of each kind.
func changes(t *source.Table) map[string]*source.Row {
	a, b := order(4711), order(815)
	return map[string]*source.Row{
		"insert": {Table: t, Op: source.Insert, Version: 1, New: a},
		"update": {Table: t, Op: source.Update, Version: 1, New: a},
		"full":   {Table: t, Op: source.Update, Version: 1, Old: a, New: a},
		"move":   {Table: t, Op: source.Update, Version: 1, Old: onlyKey(b), New: a},
		"delete": {Table: t, Op: source.Delete, Version: 1, Old: onlyKey(a)},
	}
}

func plan(t testing.TB, table *source.Table, o Options) *Plan {
	t.Helper()
	if o.Target == "" {
		o.Target = table.Name
	}
	p, err := NewPlan(table, o, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fits(*Plan, *Field, *source.Misfit) error { return nil }

// newMapper returns a Mapper that knows some tables. What the test leaves out
// of c has no bounds.
func newMapper(t testing.TB, c Config, tables ...*source.Table) *Mapper {
	t.Helper()
	if c.Rows == 0 {
		c.Rows = math.MaxInt
	}
	if c.Bytes == 0 {
		c.Bytes = math.MaxInt
	}
	if c.Memory == 0 {
		c.Memory = math.MaxInt
	}
	if c.Misfit == nil {
		c.Misfit = fits
	}
	if c.Plan == nil {
		plans := make(map[string]*Plan)
		for _, table := range tables {
			plans[table.Name] = plan(t, table, Options{})
		}
		c.Plan = planner(plans)
	}
	m := New(c)
	for _, table := range tables {
		if err := m.Schema(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	return m
}
