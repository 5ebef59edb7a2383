package column

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// call is what a decoder does with an Appender.
type call func(to source.Appender) error

func isInt(v int64) call     { return func(to source.Appender) error { return to.Int(v) } }
func isUint(v uint64) call   { return func(to source.Appender) error { return to.Uint(v) } }
func isBool(v bool) call     { return func(to source.Appender) error { return to.Bool(v) } }
func isFloat(v float64) call { return func(to source.Appender) error { return to.Float(v) } }
func isBytes(v string) call {
	b := []byte(v)
	return func(to source.Appender) error { return to.Bytes(b) }
}
func isUUID(v [16]byte) call   { return func(to source.Appender) error { return to.UUID(v) } }
func isDate(v int64) call      { return func(to source.Appender) error { return to.Date(v) } }
func isTime(v int64) call      { return func(to source.Appender) error { return to.Time(v) } }
func isTimestamp(v int64) call { return func(to source.Appender) error { return to.Timestamp(v) } }
func is(v source.Special) call { return func(to source.Appender) error { return to.Special(v) } }
func isNumber(text string) call {
	n := numberOf(text)
	return func(to source.Appender) error { return to.Decimal(&n) }
}
func isNull(to source.Appender) error { return to.Null() }

func isList(elements ...call) call {
	return func(to source.Appender) error {
		list, err := to.List(len(elements))
		if err != nil {
			return err
		}
		for _, element := range elements {
			if err := element(list); err != nil {
				return err
			}
		}
		return nil
	}
}

// put appends the value of a call to a column.
func put(c *Column, value call) error {
	return c.Append(source.Cell{Kind: source.Binary}, func(_ []byte, to source.Appender) error {
		return value(to)
	})
}

func putNull(c *Column) error { return c.Append(source.Cell{Kind: source.Null}, nil) }

func newTest(t testing.TB, typ string) *Column {
	t.Helper()
	c, err := New(typ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// families holds a type each with values of which no two are equal.
var families = []struct {
	typ    string
	values []call
}{
	{"Bool", []call{isBool(false), isBool(true)}},
	{"Int8", []call{isInt(0), isInt(-128), isInt(127), isUint(5), isBool(true)}},
	{"Int16", []call{isInt(0), isInt(-32768), isInt(32767)}},
	{"Int32", []call{isInt(0), isInt(math.MinInt32), isInt(math.MaxInt32), isInt(-1)}},
	{"Int64", []call{isInt(0), isInt(math.MinInt64), isUint(math.MaxInt64)}},
	{"UInt8", []call{isUint(0), isUint(255), isInt(7), isBool(true)}},
	{"UInt16", []call{isUint(0), isUint(65535), isInt(7)}},
	{"UInt32", []call{isUint(0), isUint(math.MaxUint32), isInt(7)}},
	{"UInt64", []call{isUint(0), isUint(math.MaxUint64), isInt(math.MaxInt64)}},
	{"Float32", []call{isFloat(0), isFloat(-1.5), isFloat(math.MaxFloat32), is(source.NaN), is(source.PosInf), is(source.NegInf)}},
	{"Float64", []call{isFloat(0), isFloat(0.1), isFloat(math.SmallestNonzeroFloat64), is(source.NaN), is(source.PosInf), is(source.NegInf), isInt(3)}},
	{"Decimal(9, 2)", []call{isNumber("0"), isNumber("9999999.99"), isNumber("-9999999.99"), isNumber("1"), isInt(-1)}},
	{"Decimal(18, 4)", []call{isNumber("0"), isNumber("99999999999999.9999"), isNumber("-0.0001"), isNumber("1.50")}},
	{"Decimal(38, 9)", []call{isNumber("0"), isNumber("-99999999999999999999999999999.999999999"), isNumber("1.5"), isUint(math.MaxUint64)}},
	{"Decimal(76, 38)", []call{isNumber("0"), isNumber("-1"), isNumber(strings.Repeat("9", 38) + "." + strings.Repeat("9", 38)), isNumber("0.5")}},
	{"String", []call{isBytes(""), isBytes("a"), isBytes("\x00"), isBytes(strings.Repeat("z", 200)), isBytes("人間失格")}},
	{"JSON", []call{isBytes(`{}`), isBytes(`{"a":1}`)}},
	{"FixedString(3)", []call{isBytes(""), isBytes("ab"), isBytes("abc"), isBytes("\xff\x00\x01")}},
	{"LowCardinality(String)", []call{isBytes(""), isBytes("red"), isBytes("green")}},
	{"UUID", []call{isUUID([16]byte{}), isUUID([16]byte{0: 1}), isUUID([16]byte{7: 1}), isUUID([16]byte{8: 1}), isUUID([16]byte{15: 1})}},
	{"Date", []call{isDate(0), isDate(65535)}},
	{"Date32", []call{isDate(0), isDate(-25567), isDate(120529)}},
	{"DateTime('UTC')", []call{isTimestamp(0), isTimestamp(math.MaxUint32 * 1e6), isDate(1)}},
	{"DateTime64(6, 'UTC')", []call{isTimestamp(0), isTimestamp(1), isTimestamp(-1), isDate(-25567), isDate(120529)}},
	{"Time", []call{isTime(0), isTime(-3599999e6), isTime(3599999e6)}},
	{"Time64(6)", []call{isTime(0), isTime(-3599999999999), isTime(3599999999999), isTime(1)}},
	{"IPv4", []call{isBytes("\x00\x00\x00\x00"), isBytes("\x01\x02\x03\x04"), isBytes("\xff\xff\xff\xff")}},
	{"IPv6", []call{isBytes(strings.Repeat("\x00", 16)), isBytes("0123456789abcdef"), isBytes("\x01\x02\x03\x04")}},
	{"Array(Int32)", []call{isList(), isList(isInt(0)), isList(isInt(0), isInt(0)), isList(isInt(1), isInt(256))}},
	{"Array(Array(UInt8))", []call{isList(), isList(isList()), isList(isList(), isList()), isList(isList(isUint(1)), isList()), isList(isList(), isList(isUint(1)))}},
}

// every runs a test for each family, and for those that can be Nullable and
// elements of an array as such, too.
func every(t *testing.T, test func(t *testing.T, c *Column, values []call)) {
	for _, family := range families {
		values := append([]call(nil), family.values...)
		types := []string{family.typ}
		switch {
		case strings.HasPrefix(family.typ, "Array"):
		case strings.HasPrefix(family.typ, "LowCardinality"):
			types = append(types, "LowCardinality(Nullable(String))", "Array(LowCardinality(String))", "Array(LowCardinality(Nullable(String)))")
		case family.typ == "JSON":
			types = append(types, "Nullable(JSON)")
		default:
			types = append(types, "Nullable("+family.typ+")", "Array(Nullable("+family.typ+"))")
		}
		for _, typ := range types {
			t.Run(typ, func(t *testing.T) {
				values := values
				if strings.HasPrefix(typ, "Array") && typ != family.typ {
					values = listsOf(values, strings.Contains(typ, "Nullable"))
				}
				test(t, newTest(t, typ), values)
			})
		}
	}
}

// listsOf returns arrays of which no two are equal.
func listsOf(values []call, nullable bool) []call {
	lists := []call{isList(), isList(values...)}
	for _, value := range values {
		lists = append(lists, isList(value))
		if nullable {
			lists = append(lists, isList(isNull, value), isList(value, isNull))
		}
	}
	return lists
}

func keys(c *Column) []string {
	var keys []string
	for row := range c.Rows() {
		keys = append(keys, string(c.Key(nil, row)))
	}
	return keys
}

// native returns a column as it is sent, prefix included, and checks that both
// ways of sending it agree.
func native(t testing.TB, in proto.ColInput) []byte {
	t.Helper()
	var b proto.Buffer
	prepare(t, in)
	if s, ok := in.(proto.StateEncoder); ok {
		s.EncodeState(&b)
	}
	head := len(b.Buf)
	in.EncodeColumn(&b)
	var sent bytes.Buffer
	w := proto.NewWriter(&sent, new(proto.Buffer))
	in.WriteColumn(w)
	if _, err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent.Bytes(), b.Buf[head:]) {
		t.Fatalf("WriteColumn sends\n%x, EncodeColumn\n%x", sent.Bytes(), b.Buf[head:])
	}
	return b.Buf
}

func prepare(t testing.TB, in proto.ColInput) {
	t.Helper()
	if p, ok := in.(proto.Preparable); ok {
		if err := p.Prepare(); err != nil {
			t.Fatal(err)
		}
	}
}

func receive(c *Column, data []byte, rows int) error {
	r := proto.NewReader(bytes.NewReader(data))
	result := c.Result()
	if err := result.(proto.StateDecoder).DecodeState(r); err != nil {
		return err
	}
	if err := result.DecodeColumn(r, rows); err != nil {
		return err
	}
	if _, err := r.ReadByte(); err == nil {
		return errors.New("bytes are left over")
	}
	return nil
}

func TestValuesKeepTheirKeys(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		for i, value := range values {
			if err := put(c, value); err != nil {
				t.Fatalf("value %d: %v", i, err)
			}
		}
		if c.Nullable() {
			if err := putNull(c); err != nil {
				t.Fatal(err)
			}
		}
		before := keys(c)
		seen := map[string]int{}
		for row, key := range before {
			if other, ok := seen[key]; ok {
				t.Errorf("values %d and %d have one key", other, row)
			}
			seen[key] = row
		}
		for i := range values {
			if err := put(c, values[i]); err != nil {
				t.Fatal(err)
			}
			if got := string(c.Key([]byte("x"), c.Rows()-1)); got != "x"+before[i] {
				t.Errorf("value %d has key %x, then %x", i, before[i], got)
			}
		}
		c.Truncate(len(before))
		if got := keys(c); !equal(got, before) {
			t.Errorf("after Truncate keys are %x, not %x", got, before)
		}
	})
}

func equal(a, b []string) bool {
	return strings.Join(a, "|") == strings.Join(b, "|") && len(a) == len(b)
}

// No key begins with another, or two composite keys could be taken for one.
func TestKeysDelimitThemselves(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		for _, value := range values {
			if err := put(c, value); err != nil {
				t.Fatal(err)
			}
		}
		all := keys(c)
		for i, a := range all {
			for j, b := range all {
				if i != j && strings.HasPrefix(a, b) {
					t.Errorf("key %x of value %d begins with key %x of value %d", a, i, b, j)
				}
			}
		}
	})
}

func TestBlocksComeBack(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		for _, value := range values {
			if err := put(c, value); err != nil {
				t.Fatal(err)
			}
		}
		c.AppendDefault()
		sent := native(t, c.Input())
		got := newTest(t, c.Type())
		for _, held := range []string{"nothing", "a block"} {
			if err := receive(got, sent, c.Rows()); err != nil {
				t.Fatalf("into a column that holds %s: %v", held, err)
			}
			if !equal(keys(got), keys(c)) {
				t.Errorf("into a column that holds %s: keys %x, want %x", held, keys(got), keys(c))
			}
		}
		for _, value := range values {
			if put(c, value) != nil || put(got, value) != nil {
				t.Fatal("a value does not fit any more")
			}
		}
		if !equal(keys(got), keys(c)) {
			t.Errorf("appended to a read block: keys %x, want %x", keys(got), keys(c))
		}
	})
}

func TestTruncatedInputIsAnError(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		for _, value := range values {
			if err := put(c, value); err != nil {
				t.Fatal(err)
			}
		}
		sent := native(t, c.Input())
		for cut := range sent {
			got := newTest(t, c.Type())
			if err := receive(got, sent[:cut], c.Rows()); err == nil {
				t.Fatalf("%d of %d bytes were read as a block", cut, len(sent))
			}
			if got.Rows() != 0 || got.Size() != newTest(t, c.Type()).Size() {
				t.Fatalf("after an error %d rows are left", got.Rows())
			}
		}
	})
}

func TestAppendFrom(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		for _, value := range values {
			if err := put(c, value); err != nil {
				t.Fatal(err)
			}
		}
		c.AppendDefault()
		to := newTest(t, c.Type())
		for row := c.Rows() - 1; row >= 0; row-- {
			to.AppendFrom(c, row)
			to.AppendFrom(to, to.Rows()-1)
			want := string(c.Key(nil, row))
			for _, copied := range []int{to.Rows() - 1, to.Rows() - 2} {
				if got := string(to.Key(nil, copied)); got != want {
					t.Errorf("copy of row %d has key %x, want %x", row, got, want)
				}
			}
		}
	})
}

// A decoder that goes wrong leaves the column as it was.
func TestAppendIsAllOrNothing(t *testing.T) {
	broken := errors.New("malformed")
	every(t, func(t *testing.T, c *Column, values []call) {
		value := values[len(values)-1]
		if err := put(c, value); err != nil {
			t.Fatal(err)
		}
		want := keys(c)
		for name, wrong := range map[string]call{
			"no value":           func(source.Appender) error { return nil },
			"a misfit, no value": func(source.Appender) error { return source.TooWide },
			"two values":         func(to source.Appender) error { return errors.Join(value(to), value(to)) },
			"a value, an error":  func(to source.Appender) error { return errors.Join(value(to), broken) },
			"NULL and a value":   func(to source.Appender) error { _ = to.Null(); return errors.Join(value(to), value(to)) },
		} {
			if err := put(c, wrong); err == nil {
				t.Errorf("%s: no error", name)
			}
			if c.Rows() != 1 {
				t.Fatalf("%s: %d rows, want 1", name, c.Rows())
			}
		}
		for _, kind := range []source.CellKind{source.Absent, source.Unchanged, 99} {
			if err := c.Append(source.Cell{Kind: kind}, nil); err == nil || c.Rows() != 1 {
				t.Errorf("cell of kind %d: %v", kind, err)
			}
		}
		if err := c.Append(source.Cell{Kind: source.Text}, nil); err == nil {
			t.Error("no decoder: no error")
		}
		got := newTest(t, c.Type())
		if err := receive(got, native(t, c.Input()), 1); err != nil || !equal(keys(got), want) {
			t.Errorf("the column became %x (%v), was %x", keys(got), err, want)
		}
	})
}

func TestNull(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		array := strings.HasPrefix(c.Type(), "Array")
		err := putNull(c)
		if c.Nullable() || array {
			if err != nil || c.Rows() != 1 {
				t.Fatalf("NULL: %v, %d rows", err, c.Rows())
			}
		} else if !errors.Is(err, ErrNull) || c.Rows() != 0 {
			t.Fatalf("NULL: %v, %d rows; want ErrNull and none", err, c.Rows())
		}
		c.Reset()
		c.AppendDefault()
		if c.Nullable() {
			if key := c.Key(nil, 0); !bytes.Equal(key, []byte{1}) {
				t.Errorf("the default has key %x, want NULL's", key)
			}
			if err := put(c, isNull); err != nil || c.Rows() != 2 {
				t.Errorf("NULL out of a decoder: %v, %d rows", err, c.Rows())
			}
			return
		}
		if put(c, values[0]) != nil || !bytes.Equal(c.Key(nil, 0), c.Key(nil, 1)) {
			t.Errorf("the default has key %x, the zero value %x", c.Key(nil, 0), c.Key(nil, 1))
		}
	})
}

func TestResetAndSize(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		empty := c.Size()
		fill := func() int {
			for _, value := range values {
				if err := put(c, value); err != nil {
					t.Fatal(err)
				}
			}
			return c.Size()
		}
		size := fill()
		if size < len(values) {
			t.Errorf("%d values occupy %d bytes", len(values), size)
		}
		c.Reset()
		if c.Rows() != 0 || c.Size() != empty {
			t.Errorf("after Reset: %d rows of %d bytes, want 0 of %d", c.Rows(), c.Size(), empty)
		}
		if again := fill(); again != size {
			t.Errorf("after Reset the same values occupy %d bytes, before %d", again, size)
		}
		c.Truncate(c.Rows() + 5)
		if c.Rows() != len(values) {
			t.Errorf("Truncate behind the end left %d rows of %d", c.Rows(), len(values))
		}
	})
}

// A warmed-up column takes values without allocating.
func TestAppendAllocatesNothing(t *testing.T) {
	every(t, func(t *testing.T, c *Column, values []call) {
		block := func() {
			c.Reset()
			for _, value := range values {
				decode := func(_ []byte, to source.Appender) error { return value(to) }
				if err := c.Append(source.Cell{Kind: source.Binary}, decode); err != nil {
					t.Fatal(err)
				}
			}
			if c.Nullable() && putNull(c) != nil {
				t.Fatal("NULL does not fit")
			}
			c.AppendFrom(c, 0)
			c.AppendDefault()
			c.Truncate(1)
		}
		block()
		if n := testing.AllocsPerRun(100, block); n != 0 {
			t.Errorf("%v allocations a block", n)
		}
	})
}

func TestAppendUint64(t *testing.T) {
	for _, typ := range []string{"UInt64", "UInt8", "Int16", "Nullable(UInt64)", "Decimal(20, 0)"} {
		c := newTest(t, typ)
		c.AppendUint64(7)
		if err := put(c, isUint(7)); err != nil {
			t.Fatal(err)
		}
		if k := keys(c); k[0] != k[1] {
			t.Errorf("%s: key %x, want %x", typ, k[0], k[1])
		}
	}
	for _, typ := range []string{"UInt8", "String", "Nullable(UUID)", "Array(UInt64)"} {
		c := newTest(t, typ)
		c.AppendUint64(256)
		c.AppendDefault()
		if k := keys(c); c.Rows() != 2 || k[0] != k[1] {
			t.Errorf("%s: key %x of what does not fit, want the default's %x", typ, k[0], k[1])
		}
	}
}

func TestRefusalNamesTypeAndValue(t *testing.T) {
	uuid := isUUID([16]byte{})
	for _, test := range []struct {
		typ   string
		value call
		what  string
	}{
		{"String", uuid, "UUID"},
		{"String", isInt(1), "integer"},
		{"String", is(source.NaN), "NaN"},
		{"LowCardinality(String)", isBool(true), "boolean"},
		{"Nullable(Int32)", isBytes("1"), "string"},
		{"Int64", isFloat(1), "floating-point"},
		{"Int64", isNumber("1"), "decimal"},
		{"Int64", is(source.PosInf), "infinite"},
		{"Decimal(10, 2)", is(source.ZeroDate), "zero date"},
		{"UUID", isBytes("x"), "string"},
		{"Date32", isTimestamp(0), "timestamp"},
		{"Date32", is(source.NaN), "NaN"},
		{"DateTime64(6, 'UTC')", isTime(0), "time"},
		{"Time64(6)", isDate(0), "date"},
		{"Int32", isList(), "array"},
		{"Array(Int32)", isUint(0), "unsigned"},
		{"IPv4", isBytes("abc"), "address of 3 bytes"},
		{"IPv6", isBytes("abcde"), "address of 5 bytes"},
	} {
		c := newTest(t, test.typ)
		err := put(c, test.value)
		inner := strings.TrimSuffix(strings.TrimPrefix(test.typ, "Nullable("), ")")
		if err == nil || !strings.Contains(err.Error(), inner) || !strings.Contains(err.Error(), test.what) {
			t.Errorf("%s: error %v names not both the type and %q", test.typ, err, test.what)
		}
		if c.Rows() != 0 || c.Size() != newTest(t, test.typ).Size() {
			t.Errorf("%s: a refused value left %d rows", test.typ, c.Rows())
		}
	}
}
