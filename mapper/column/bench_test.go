package column

import (
	"encoding/binary"
	"testing"

	"github.com/millrace/millrace/source"
)

// BenchmarkAppend measures a cell with its decoder's call.
func BenchmarkAppend(b *testing.B) {
	asInt := func(cell []byte, to source.Appender) error {
		return to.Int(int64(binary.BigEndian.Uint64(cell)))
	}
	n := source.Number{Scale: 2} // out here, or it would be allocated for each cell
	asDecimal := func(cell []byte, to source.Appender) error {
		n.Coef[0] = binary.BigEndian.Uint64(cell)
		return to.Decimal(&n)
	}
	asTimestamp := func(cell []byte, to source.Appender) error {
		return to.Timestamp(int64(binary.BigEndian.Uint64(cell)))
	}
	asTime := func(cell []byte, to source.Appender) error {
		return to.Time(int64(binary.BigEndian.Uint64(cell)))
	}
	asDate := func(cell []byte, to source.Appender) error {
		return to.Date(int64(binary.BigEndian.Uint64(cell) % 10_000))
	}
	asFloat := func(cell []byte, to source.Appender) error {
		return to.Float(float64(binary.BigEndian.Uint64(cell)))
	}
	asBool := func(cell []byte, to source.Appender) error { return to.Bool(cell[7] == 0) }
	asBytes := func(cell []byte, to source.Appender) error { return to.Bytes(cell) }
	asIPv4 := func(cell []byte, to source.Appender) error { return to.Bytes(cell[4:]) }
	asUUID := func(cell []byte, to source.Appender) error {
		return to.UUID([16]byte{0: cell[0], 15: cell[7]})
	}
	asInts := func(cell []byte, to source.Appender) error {
		list, err := to.List(4)
		for i := 0; err == nil && i < 4; i++ {
			err = list.Int(int64(cell[7]))
		}
		return err
	}
	for _, bench := range []struct {
		typ    string
		decode source.Decode
	}{
		{"Bool", asBool},
		{"Int32", asInt},
		{"Int64", asInt},
		{"Nullable(Int64)", asInt},
		{"UInt64", asInt},
		{"Float64", asFloat},
		{"Decimal(9, 2)", asDecimal},
		{"Decimal(18, 2)", asDecimal},
		{"Decimal(38, 9)", asDecimal},
		{"Decimal(76, 38)", asDecimal},
		{"Nullable(Decimal(18, 4))", asDecimal},
		{"String", asBytes},
		{"Nullable(String)", asBytes},
		{"FixedString(8)", asBytes},
		{"LowCardinality(String)", asBytes},
		{"UUID", asUUID},
		{"Date32", asDate},
		{"DateTime64(3, 'UTC')", asTimestamp},
		{"DateTime64(6, 'UTC')", asTimestamp},
		{"Time64(6)", asTime},
		{"IPv4", asIPv4},
		{"Array(Nullable(Int32))", asInts},
	} {
		b.Run(bench.typ, func(b *testing.B) {
			c := newTest(b, bench.typ)
			b.ReportAllocs()
			cell := source.Cell{Kind: source.Binary, Bytes: make([]byte, 8)}
			for i := 0; b.Loop(); i++ {
				if c.Rows() == 100_000 {
					c.Reset()
				}
				binary.BigEndian.PutUint64(cell.Bytes, uint64(i%100)*1000)
				if err := c.Append(cell, bench.decode); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDictionary measures strings of which all are new in their block.
func BenchmarkDictionary(b *testing.B) {
	c := newTest(b, "LowCardinality(String)")
	b.ReportAllocs()
	cell := source.Cell{Kind: source.Text, Bytes: make([]byte, 16)}
	decode := func(cell []byte, to source.Appender) error { return to.Bytes(cell) }
	for i := 0; b.Loop(); i++ {
		if c.Rows() == 100_000 {
			c.Reset()
		}
		binary.BigEndian.PutUint64(cell.Bytes, uint64(i))
		if err := c.Append(cell, decode); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKey measures the key of a row.
func BenchmarkKey(b *testing.B) {
	for _, typ := range []string{"Int64", "String", "UUID"} {
		b.Run(typ, func(b *testing.B) {
			c := newTest(b, typ)
			c.AppendDefault()
			b.ReportAllocs()
			var key []byte
			for b.Loop() {
				key = c.Key(key[:0], 0)
			}
		})
	}
}
