package column

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/uuid"
)

// filled appends values to one of ch-go's columns.
func filled[T any](c proto.ColumnOf[T], values ...T) proto.ColInput {
	c.AppendArr(values)
	return c
}

// A column sends the bytes that ch-go's own column of its type sends.
func TestSameBytesAsDriver(t *testing.T) {
	id := uuid.UUID{0: 0x61, 1: 0xf0, 7: 7, 8: 8, 15: 0xff}
	for _, test := range []struct {
		typ    string
		values []call
		want   proto.ColInput
	}{
		{"Bool", []call{isBool(true), isBool(false)}, filled(new(proto.ColBool), true, false)},
		{"Int8", []call{isInt(-128), isInt(1)}, filled(new(proto.ColInt8), -128, 1)},
		{"Int16", []call{isInt(-2), isInt(256)}, filled(new(proto.ColInt16), -2, 256)},
		{"Int32", []call{isInt(-2), isInt(1 << 24)}, filled(new(proto.ColInt32), -2, 1<<24)},
		{"Int64", []call{isInt(-2), isInt(1 << 56)}, filled(new(proto.ColInt64), -2, 1<<56)},
		{"UInt16", []call{isUint(65535)}, filled(new(proto.ColUInt16), 65535)},
		{"UInt64", []call{isUint(math.MaxUint64)}, filled(new(proto.ColUInt64), math.MaxUint64)},
		{"Float32", []call{isFloat(-1.5)}, filled(new(proto.ColFloat32), -1.5)},
		{"Float64", []call{isFloat(0.1)}, filled(new(proto.ColFloat64), 0.1)},
		{"Decimal(9, 2)", []call{isNumber("-1.5")}, filled(new(proto.ColDecimal32), -150)},
		{"Decimal(18, 2)", []call{isNumber("-1.5")}, filled(new(proto.ColDecimal64), -150)},
		{"Decimal(38, 2)", []call{isNumber("-1.5"), isInt(2)}, filled(new(proto.ColDecimal128), proto.Decimal128(proto.Int128FromInt(-150)), proto.Decimal128(proto.Int128FromInt(200)))},
		{"Decimal(76, 2)", []call{isNumber("-1.5"), isInt(2)}, filled(new(proto.ColDecimal256), proto.Decimal256(proto.Int256FromInt(-150)), proto.Decimal256(proto.Int256FromInt(200)))},
		{"String", []call{isBytes(""), isBytes(strings.Repeat("x", 300))}, filled(new(proto.ColStr), "", strings.Repeat("x", 300))},
		{"JSON", []call{isBytes(`{"a":1}`)}, filled[string](new(proto.ColJSONStr), `{"a":1}`)},
		{"FixedString(3)", []call{isBytes("ab"), isBytes("abc")}, filled[[]byte](&proto.ColFixedStr{Size: 3}, []byte("ab\x00"), []byte("abc"))},
		{"UUID", []call{isUUID(id)}, filled(new(proto.ColUUID), id)},
		{"Date", []call{isDate(19000)}, proto.ColDate{19000}},
		{"Date32", []call{isDate(-19000)}, proto.ColDate32{-19000}},
		{"DateTime", []call{isTimestamp(19e6)}, &proto.ColDateTime{Data: []proto.DateTime{19}}},
		{"DateTime64(3)", []call{isTimestamp(-19000)}, filled(new(proto.ColDateTime64).WithPrecision(3).Raw(), -19)},
		{"Time", []call{isTime(-19e6)}, filled(new(proto.ColTime32), -19)},
		{"Time64(6)", []call{isTime(-19)}, filled(new(proto.ColTime64), -19)},
		{"IPv4", []call{isBytes("\x01\x02\x03\x04")}, filled(new(proto.ColIPv4), 0x01020304)},
		{"IPv6", []call{isBytes("0123456789abcdef")}, filled(new(proto.ColIPv6), proto.IPv6([]byte("0123456789abcdef")))},
		{"Nullable(Int32)", []call{isInt(7), isNull, isInt(-1)}, filled(new(proto.ColInt32).Nullable(), proto.NewNullable[int32](7), proto.Null[int32](), proto.NewNullable[int32](-1))},
		{"Nullable(String)", []call{isNull, isBytes("a")}, filled(new(proto.ColStr).Nullable(), proto.Null[string](), proto.NewNullable("a"))},
		{"Array(String)", []call{isList(isBytes("a"), isBytes("bc")), isList()}, filled(new(proto.ColStr).Array(), []string{"a", "bc"}, nil)},
		{"Array(Nullable(Int8))", []call{isList(isNull, isInt(3))}, filled(new(proto.ColInt8).Nullable().Array(), []proto.Nullable[int8]{proto.Null[int8](), proto.NewNullable[int8](3)})},
		{"Array(Array(Int8))", []call{isList(isList(isInt(1)), isList(), isList(isInt(2), isInt(3)))}, filled(proto.NewArray(new(proto.ColInt8).Array()), [][]int8{{1}, nil, {2, 3}})},
		{"LowCardinality(String)", []call{isBytes("b"), isBytes(""), isBytes("b")}, filled(new(proto.ColStr).LowCardinality(), "b", "", "b")},
		{"Array(LowCardinality(String))", []call{isList(isBytes("b"), isBytes("c")), isList(isBytes("b"))}, filled(new(proto.ColStr).LowCardinality().Array(), []string{"b", "c"}, []string{"b"})},
		{"Array(LowCardinality(String))", []call{isList()}, filled(new(proto.ColStr).LowCardinality().Array(), nil)},
	} {
		t.Run(test.typ, func(t *testing.T) {
			c := newTest(t, test.typ)
			for _, value := range test.values {
				if err := put(c, value); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := native(t, c.Input()), native(t, test.want); !bytes.Equal(got, want) {
				t.Errorf("sends\n%x, want\n%x", got, want)
			}
		})
	}
}

// ch-go has no LowCardinality(Nullable), so the bytes are written out.
func TestNullableLowCardinality(t *testing.T) {
	c := newTest(t, "LowCardinality(Nullable(String))")
	for _, value := range []call{isBytes("a"), isNull, isBytes(""), isBytes("a")} {
		if err := put(c, value); err != nil {
			t.Fatal(err)
		}
	}
	const want = "0100000000000000" + // version
		"0006000000000000" + // own, new dictionary of UInt8
		"0300000000000000" + "00" + "0161" + "00" + // NULL, "a" and ""
		"0400000000000000" + "01000201"
	if got := hex.EncodeToString(native(t, c.Input())); got != want {
		t.Errorf("sends\n%s, want\n%s", got, want)
	}
}

// The width of LowCardinality's numbers follows the dictionary.
func TestWidthOfNumbers(t *testing.T) {
	for _, distinct := range []int{1, 256, 257, 65536, 65537} {
		t.Run(fmt.Sprint(distinct), func(t *testing.T) {
			c := newTest(t, "LowCardinality(String)")
			want := new(proto.ColStr).LowCardinality()
			for i := range distinct {
				want.Append(fmt.Sprint(i))
				if err := put(c, isBytes(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			sent := native(t, c.Input())
			if !bytes.Equal(sent, native(t, want)) {
				t.Error("other bytes than ch-go's")
			}
			got := newTest(t, c.Type())
			if err := receive(got, sent, distinct); err != nil || !equal(keys(got), keys(c)) {
				t.Errorf("read back: %v", err)
			}
		})
	}
}

func TestDecodeRefusesNonsense(t *testing.T) {
	const version, own = "0100000000000000", "0006000000000000"
	for name, test := range map[string]struct{ typ, hex string }{
		"LowCardinality of another version": {"LowCardinality(String)", "0200000000000000" + own},
		"dictionary elsewhere":              {"LowCardinality(String)", version + "0007000000000000"},
		"no dictionary":                     {"LowCardinality(String)", version + "0000000000000000"},
		"dictionary too long":               {"LowCardinality(String)", version + own + "ffffffffffffffff"},
		"number outside the dictionary":     {"LowCardinality(String)", version + own + "0100000000000000" + "00" + "0100000000000000" + "01"},
		"other number of rows":              {"LowCardinality(String)", version + own + "0100000000000000" + "00" + "0200000000000000" + "0000"},
		"unknown width":                     {"LowCardinality(String)", version + "0406000000000000" + "0100000000000000" + "00" + "0100000000000000" + "00"},
		"string too long":                   {"String", "ffffffff0f"},
		"string of negative length":         {"String", "ffffffffffffffffff01"},
		"array too long":                    {"Array(UInt8)", "ffffffffffffff7f"},
		"JSON of another version":           {"JSON", "0000000000000000" + "00"},
	} {
		data, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		c := newTest(t, test.typ)
		if err := receive(c, data, 1); err == nil || c.Rows() != 0 {
			t.Errorf("%s: %v, %d rows", name, err, c.Rows())
		}
	}
	c := newTest(t, "Array(UInt8)")
	if err := receive(c, []byte{0: 2, 8: 1, 17: 0}, 2); err == nil {
		t.Error("arrays that end backwards were read")
	}
}

// A block goes through ch-go's own framing, names and types included.
func TestBlock(t *testing.T) {
	var input proto.Input
	var columns []*Column
	for _, typ := range []string{"UInt64", "Nullable(String)", "LowCardinality(String)", "Array(LowCardinality(String))", "DateTime64(6, 'UTC')"} {
		c := newTest(t, typ)
		c.AppendDefault()
		c.AppendDefault()
		columns = append(columns, c)
		input = append(input, proto.InputColumn{Name: typ, Data: c.Input()})
	}
	var b proto.Buffer
	block := proto.Block{Rows: 2, Columns: len(input)}
	if err := block.EncodeRawBlock(&b, proto.Version, input); err != nil {
		t.Fatal(err)
	}
	var results proto.Results
	var got []*Column
	for _, in := range input {
		c := newTest(t, string(in.Data.Type()))
		got = append(got, c)
		results = append(results, proto.ResultColumn{Name: in.Name, Data: c.Result()})
	}
	if err := new(proto.Block).DecodeRawBlock(b.Reader(), proto.Version, results); err != nil {
		t.Fatal(err)
	}
	for i, c := range columns {
		if !equal(keys(got[i]), keys(c)) {
			t.Errorf("%s: keys %x, want %x", c.Type(), keys(got[i]), keys(c))
		}
	}
}

func FuzzDecode(f *testing.F) {
	types := []string{"Nullable(String)", "LowCardinality(Nullable(String))", "Array(Array(LowCardinality(String)))", "Array(Nullable(Int16))"}
	for i := range types {
		f.Add(i, 2, []byte{0: 1, 9: 6, 16: 2, 18: 1, 19: 'a', 40: 0})
	}
	f.Fuzz(func(t *testing.T, typ, rows int, data []byte) {
		if rows < 0 || rows > 1000 {
			return
		}
		c := newTest(t, types[uint(typ)%uint(len(types))])
		r := proto.NewReader(bytes.NewReader(data))
		result := c.Result()
		if result.(proto.StateDecoder).DecodeState(r) != nil || result.DecodeColumn(r, rows) != nil {
			return
		}
		again := newTest(t, c.Type())
		if err := receive(again, native(t, c.Input()), c.Rows()); err != nil {
			t.Fatal(err)
		}
		if !equal(keys(again), keys(c)) {
			t.Errorf("keys %x, sent again %x", keys(c), keys(again))
		}
	})
}
