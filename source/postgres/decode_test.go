package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

// recorder is an Appender that writes down what it was told. Numbers are
// written with the scale they came with.
type recorder struct {
	strings.Builder
	misfit error // returned by Decimal and Special
	owed   int   // items of lists less values: -1 after one whole value
}

func (r *recorder) say(format string, args ...any) error {
	r.owed--
	if r.Len() > 0 {
		r.WriteByte(' ')
	}
	fmt.Fprintf(r, format, args...)
	return nil
}

func (r *recorder) Bool(v bool) error            { return r.say("bool(%t)", v) }
func (r *recorder) Int(v int64) error            { return r.say("int(%d)", v) }
func (r *recorder) Uint(v uint64) error          { return r.say("uint(%d)", v) }
func (r *recorder) Float(v float64) error        { return r.say("float(%x)", v) }
func (r *recorder) Bytes(v []byte) error         { return r.say("bytes(%q)", v) }
func (r *recorder) UUID(v [16]byte) error        { return r.say("uuid(%x)", v) }
func (r *recorder) Date(days int64) error        { return r.say("date(%d)", days) }
func (r *recorder) Time(micros int64) error      { return r.say("time(%d)", micros) }
func (r *recorder) Timestamp(micros int64) error { return r.say("timestamp(%d)", micros) }
func (r *recorder) Null() error                  { return r.say("null") }

func (r *recorder) Decimal(v *source.Number) error {
	if v.Over {
		_ = r.say("decimal(over)")
		return source.TooWide
	}
	sign := ""
	if v.Neg {
		sign = "-"
	}
	_ = r.say("decimal(%s%se-%d)", sign, coefficient(v), v.Scale)
	return r.misfit
}

func (r *recorder) Special(v source.Special) error {
	_ = r.say("special(%s)", [...]string{"NaN", "+Inf", "-Inf", "zero date"}[v])
	return r.misfit
}

func (r *recorder) List(n int) (source.Appender, error) {
	r.owed += n
	return r, r.say("list(%d)", n)
}

func coefficient(v *source.Number) *big.Int {
	coef := new(big.Int)
	for i := range v.Coef {
		coef.Lsh(coef, 64).Or(coef, new(big.Int).SetUint64(v.Coef[len(v.Coef)-1-i]))
	}
	return coef
}

// record returns what decode appends for cell, and the error. Unless the cell
// is malformed it must be one value.
func record(decode source.Decode, cell []byte) (string, error) {
	var r recorder
	err := decode(cell, &r)
	if _, ok := errors.AsType[malformed](err); !ok && r.owed != -1 {
		err = fmt.Errorf("%d values appended", -r.owed)
	}
	return r.String(), err
}

// A wireForm is a value in both wire forms and what they append. Forms that are nil
// are left out.
type wireForm struct {
	text   string
	binary []byte
	want   string
}

func testForms(t *testing.T, text, binary source.Decode, forms []wireForm) {
	t.Helper()
	for _, f := range forms {
		if got, err := record(text, []byte(f.text)); err != nil || got != f.want {
			t.Errorf("text %q: %s, %v, want %s", f.text, got, err, f.want)
		}
		if f.binary == nil {
			continue
		}
		if got, err := record(binary, f.binary); err != nil || got != f.want {
			t.Errorf("binary %x of %q: %s, %v, want %s", f.binary, f.text, got, err, f.want)
		}
	}
}

// testMalformed expects an error and nothing appended.
func testMalformed[T string | []byte](t *testing.T, decode source.Decode, cells ...T) {
	t.Helper()
	for _, cell := range cells {
		got, err := record(decode, []byte(cell))
		if _, ok := errors.AsType[malformed](err); !ok || got != "" {
			t.Errorf("%q: %q, %v, want it to be malformed", cell, got, err)
		}
	}
}

// fuzzSafe checks that decode appends one value, or returns an error of the
// right kind, and keeps its hands off cell.
func fuzzSafe(t *testing.T, decode source.Decode, cell []byte) {
	t.Helper()
	before := string(cell)
	_, err := record(decode, cell)
	if string(cell) != before {
		t.Fatalf("%q was changed to %q", before, cell)
	}
	_, isMalformed := errors.AsType[malformed](err)
	_, isMisfit := errors.AsType[*source.Misfit](err)
	if err != nil && !isMalformed && !isMisfit {
		t.Fatalf("%q: %v", cell, err)
	}
}

// discard is an Appender without memory, for measuring.
type discard struct{ n int }

func (d *discard) Bool(bool) error                   { d.n++; return nil }
func (d *discard) Int(int64) error                   { d.n++; return nil }
func (d *discard) Uint(uint64) error                 { d.n++; return nil }
func (d *discard) Float(float64) error               { d.n++; return nil }
func (d *discard) Decimal(*source.Number) error      { d.n++; return nil }
func (d *discard) Bytes([]byte) error                { d.n++; return nil }
func (d *discard) UUID([16]byte) error               { d.n++; return nil }
func (d *discard) Date(int64) error                  { d.n++; return nil }
func (d *discard) Time(int64) error                  { d.n++; return nil }
func (d *discard) Timestamp(int64) error             { d.n++; return nil }
func (d *discard) Special(source.Special) error      { d.n++; return nil }
func (d *discard) List(int) (source.Appender, error) { d.n++; return d, nil }
func (d *discard) Null() error                       { d.n++; return nil }

// bytesOf returns a fixed-size value as Postgres sends it.
func bytesOf(v any) []byte {
	b, err := binary.Append(nil, binary.BigEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

// samples is a value of each family in both forms.
var samples = []struct {
	name         string
	text, binary source.Decode
	form         wireForm
}{
	{"bool", boolText, boolBinary, wireForm{text: "t", binary: []byte{1}}},
	{"int4", int4Text, int4Binary, wireForm{text: "-1234567", binary: bytesOf(int32(-1234567))}},
	{"int8", int8Text, int8Binary, wireForm{text: "9223372036854775807", binary: bytesOf(int64(1<<63 - 1))}},
	{"float8", float8Text, float8Binary, wireForm{text: "3.141592653589793", binary: bytesOf(3.141592653589793)}},
	{"text", rawBytes, rawBytes, wireForm{text: "a short text", binary: []byte("a short text")}},
	{"bytea", byteaText, rawBytes, wireForm{text: `\x000102030405060708090a0b0c0d0e0f`, binary: sequence}},
	{"numeric_10_2", numericText, numericBinary, wireForm{text: "12345678.90", binary: numericBytes(1, 0, 2, 1234, 5678, 9000)}},
	{"numeric_38_9", numericText, numericBinary, wireForm{
		text:   "12345678901234567890123456789.123456789",
		binary: numericBytes(7, 0, 9, 1, 2345, 6789, 123, 4567, 8901, 2345, 6789, 1234, 5678, 9000),
	}},
	{"numeric_string", rawBytes, numericBinaryString, wireForm{text: "12345678.90", binary: numericBytes(1, 0, 2, 1234, 5678, 9000)}},
	{"uuid", uuidText, uuidBinary, wireForm{text: "00010203-0405-0607-0809-0a0b0c0d0e0f", binary: sequence}},
	{"date", dateText, dateBinary, wireForm{text: "2024-02-29", binary: bytesOf(int32(8825))}},
	{"time", timeText, timeBinary, wireForm{text: "12:34:56.789", binary: bytesOf(int64(45296789000))}},
	{"timestamptz", timestamptzText, timestampBinary, wireForm{text: "2024-01-31 12:34:56.789012+00", binary: bytesOf(int64(760019696789012))}},
	{"int4_array", int4Array.text, int4Array.binary, wireForm{
		text:   "{1,NULL,3}",
		binary: arrayBytes(dims(3), bytesOf(int32(1)), nil, bytesOf(int32(3))),
	}},
	{"text_array", textArray.text, textArray.binary, wireForm{
		text:   `{plain,"with space","say \"hi\""}`,
		binary: arrayBytes(dims(3), []byte("plain"), []byte("with space"), []byte(`say "hi"`)),
	}},
	{"jsonb", rawBytes, jsonbBinary, wireForm{text: `{"a": 1}`, binary: []byte("\x01{\"a\": 1}")}},
}

var sequence = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

func TestFormsAgree(t *testing.T) {
	for _, s := range samples {
		text, err := record(s.text, []byte(s.form.text))
		if err != nil || text == "" {
			t.Errorf("%s text: %q, %v", s.name, text, err)
		}
		if binary, err := record(s.binary, s.form.binary); err != nil || binary != text {
			t.Errorf("%s binary: %q, %v, but text: %q", s.name, binary, err, text)
		}
	}
}

func TestDecodersDoNotAllocate(t *testing.T) {
	for _, s := range samples {
		for _, w := range []struct {
			form   string
			decode source.Decode
			cell   []byte
		}{{"text", s.text, []byte(s.form.text)}, {"binary", s.binary, s.form.binary}} {
			var d discard
			if n := testing.AllocsPerRun(100, func() {
				if err := w.decode(w.cell, &d); err != nil {
					t.Fatalf("%s %s: %v", s.name, w.form, err)
				}
			}); n != 0 {
				t.Errorf("%s %s: %v allocations for a value", s.name, w.form, n)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range samples {
		bench := func(form string, decode source.Decode, cell []byte) {
			b.Run(s.name+"/"+form, func(b *testing.B) {
				b.ReportAllocs()
				var d discard
				for b.Loop() {
					if err := decode(cell, &d); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		bench("text", s.text, []byte(s.form.text))
		bench("binary", s.binary, s.form.binary)
	}
}
