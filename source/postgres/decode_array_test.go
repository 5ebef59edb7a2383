package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

var (
	int4Array = arrayCodec(&pgType{OID: oidInt4}, -1, 1, false)
	int4Grid  = arrayCodec(&pgType{OID: oidInt4}, -1, 2, false)
	textArray = arrayCodec(&pgType{OID: oidText}, -1, 0, false)
	textGrid  = arrayCodec(&pgType{OID: oidText}, -1, 2, false)
)

func dims(n ...int32) []int32 { return n }

// arrayBytes returns an array as array_send does. A nil element is NULL.
func arrayBytes(sizes []int32, elems ...[]byte) []byte {
	b := bytesOf([]int32{int32(len(sizes)), 0, oidText})
	for _, n := range sizes {
		b = append(b, bytesOf([]int32{n, 1})...)
	}
	for _, e := range elems {
		if e == nil {
			b = append(b, bytesOf(int32(-1))...)
			continue
		}
		b = append(append(b, bytesOf(int32(len(e)))...), e...)
	}
	return b
}

func TestArray(t *testing.T) {
	one, two, three, four := bytesOf(int32(1)), bytesOf(int32(2)), bytesOf(int32(3)), bytesOf(int32(4))
	testForms(t, int4Array.text, int4Array.binary, []wireForm{
		{"{}", arrayBytes(nil), "list(0)"},
		{"{}", arrayBytes(dims(0)), "list(0)"},
		{"{1}", arrayBytes(dims(1), one), "list(1) int(1)"},
		{"{1,NULL,3}", arrayBytes(dims(3), one, nil, three), "list(3) int(1) null int(3)"},
		{"{NULL}", arrayBytes(dims(1), nil), "list(1) null"},
		{"[2:3]={1,2}", arrayBytes(dims(2), one, two), "list(2) int(1) int(2)"},
		{"[-1:0]={1,2}", arrayBytes(dims(2), one, two), "list(2) int(1) int(2)"},
	})
	testForms(t, int4Grid.text, int4Grid.binary, []wireForm{
		{"{}", arrayBytes(nil), "list(0)"},
		{"{{1,2}}", arrayBytes(dims(1, 2), one, two), "list(1) list(2) int(1) int(2)"},
		{"{{1},{NULL},{4}}", arrayBytes(dims(3, 1), one, nil, four), "list(3) list(1) int(1) list(1) null list(1) int(4)"},
		{"[0:0][2:3]={{1,2}}", arrayBytes(dims(1, 2), one, two), "list(1) list(2) int(1) int(2)"},
	})
}

func TestArrayOfText(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	testForms(t, textArray.text, textArray.binary, []wireForm{
		{`{""}`, arrayBytes(dims(1), b("")), `list(1) bytes("")`},
		{`{a,"b c"}`, arrayBytes(dims(2), b("a"), b("b c")), `list(2) bytes("a") bytes("b c")`},
		{`{NULL,"NULL","null"}`, arrayBytes(dims(3), nil, b("NULL"), b("null")), `list(3) null bytes("NULL") bytes("null")`},
		{
			`{"say \"hi\"","\\","a\\\\b"}`, arrayBytes(dims(3), b(`say "hi"`), b(`\`), b(`a\\b`)),
			`list(3) bytes("say \"hi\"") bytes("\\") bytes("a\\\\b")`,
		},
		{`{"{1,2}","a,b","}"}`, arrayBytes(dims(3), b("{1,2}"), b("a,b"), b("}")), `list(3) bytes("{1,2}") bytes("a,b") bytes("}")`},
		{"{\"a\nb\",人間}", arrayBytes(dims(2), b("a\nb"), b("人間")), `list(2) bytes("a\nb") bytes("人間")`},
	})
	testForms(t, textGrid.text, textGrid.binary, []wireForm{
		{
			`{{a,"}"},{NULL,","}}`, arrayBytes(dims(2, 2), b("a"), b("}"), nil, b(",")),
			`list(2) list(2) bytes("a") bytes("}") list(2) null bytes(",")`,
		},
	})
}

func TestArrayElements(t *testing.T) {
	for _, c := range []struct {
		elem *pgType
		dims int
		text string
		want string
	}{
		{&pgType{OID: oidBytea}, 1, `{"\\x6869",NULL}`, `list(2) bytes("hi") null`},
		{&pgType{OID: oidTimestampTZ}, 1, `{"1970-01-01 00:00:00.5+00",infinity}`, "list(2) timestamp(500000) special(+Inf)"},
		{&pgType{OID: oidNumeric}, 1, "{1.50,NaN}", "list(2) decimal(150e-2) special(NaN)"},
		{&pgType{OID: oidBool}, 3, "{{{t},{f}}}", "list(1) list(2) list(1) bool(true) list(1) bool(false)"},
		{&pgType{OID: 603, Name: "box", Kind: 'b', Delim: ';'}, 1, "{(1,1),(0,0);(2,2),(1,1)}", `list(2) bytes("(1,1),(0,0)") bytes("(2,2),(1,1)")`},
		{&pgType{OID: 70000, Name: "geometry", Kind: 'b', Delim: ':'}, 1, "{0101:0102}", `list(2) bytes("0101") bytes("0102")`},
		{&pgType{OID: 70001, Kind: 'c'}, 1, `{"(1,\"a b\")"}`, `list(1) bytes("(1,\"a b\")")`},
		{
			&pgType{OID: 70002, Kind: 'd', BaseMod: -1, Base: &pgType{OID: 1007, Elem: &pgType{OID: oidInt4}}}, 1,
			`{"{1,2}",NULL,"{3}"}`, "list(3) list(2) int(1) int(2) null list(1) int(3)",
		},
	} {
		if got, err := record(arrayCodec(c.elem, -1, c.dims, false).text, []byte(c.text)); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestArrayOfOtherDimensions(t *testing.T) {
	one := bytesOf(int32(1))
	for _, c := range []struct {
		decode source.Decode
		cell   []byte
	}{
		{int4Array.text, []byte("{{1}}")},
		{int4Array.binary, arrayBytes(dims(1, 1), one)},
		{int4Grid.text, []byte("{1}")},
		{int4Grid.binary, arrayBytes(dims(1), one)},
		{int4Grid.text, []byte("{{{{{{1}}}}}}")},
	} {
		if got, err := record(c.decode, c.cell); got != "list(0)" || !errors.Is(err, ArrayShape) {
			t.Errorf("%q: %s, %v", c.cell, got, err)
		}
	}
}

// A misfit among the elements does not end the array, another error does.
func TestArrayMisfit(t *testing.T) {
	numerics := arrayCodec(&pgType{OID: oidNumeric}, -1, 1, false)
	for _, c := range []struct {
		decode source.Decode
		cell   []byte
	}{
		{numerics.text, []byte("{NaN,1,Infinity}")},
		{numerics.binary, arrayBytes(dims(3), numericBytes(0, numericNaN, 0), numericBytes(0, 0, 0, 1), numericBytes(0, numericPosInf, 0))},
	} {
		r := recorder{misfit: source.NotANumber}
		if err := c.decode(c.cell, &r); !errors.Is(err, source.NotANumber) || r.String() != "list(3) special(NaN) decimal(1e-0) special(+Inf)" {
			t.Errorf("%q: %s, %v", c.cell, &r, err)
		}
		broken := errors.New("broken")
		r = recorder{misfit: broken}
		if err := c.decode(c.cell, &r); !errors.Is(err, broken) || r.String() != "list(3) special(NaN)" {
			t.Errorf("%q: %s, %v", c.cell, &r, err)
		}
	}
}

func TestArrayMalformed(t *testing.T) {
	testMalformed(t, textArray.text, "", "{", "}", "{}}", "{a", "{a,", "{a,}", "{,a}", "{a}b", "a", "{{a},b}", "{a,{b}}", "{{a},{b,c}}",
		"{{}}", "{{a},{}}", `{"a}`, `{"a\}`, `{"a"b}`, `{a"b"}`, `{a\b}`, `{a{b}`, "{a}{b}", "{a},{b}", "{{{{{{{a}}}}}}}", "[1:2]", "[1:2={a}", "[1;2]={a}", "[1:1]=", "[1:2]={")
	one := []byte{1}
	testMalformed(t, textArray.binary,
		[]byte{},
		arrayBytes(dims(1), one)[:11],                     // header cut
		arrayBytes(dims(1), one)[:19],                     // dimensions cut
		arrayBytes(dims(1)),                               // no element
		arrayBytes(dims(-1), one),                         // negative size
		arrayBytes(dims(1<<30), one),                      // size beyond the bytes
		arrayBytes(dims(1<<30, 1<<30, 1<<30, 1<<30), one), // product overflows
		arrayBytes(dims(0), one),                          // bytes behind an empty array
		arrayBytes(nil, one),                              //
		arrayBytes(dims(1, 1, 1, 1, 1, 1, 1), one),        // seven dimensions
	)
	for _, cell := range [][]byte{
		arrayBytes(dims(2), one, one[:0])[:28],           // element cut
		append(arrayBytes(dims(1), one), 0),              // bytes behind
		append(arrayBytes(dims(1)), 0xff, 0xff, 0xff, 0), // length below -1
	} {
		if got, err := record(textArray.binary, cell); !errors.Is(err, malformed("array")) {
			t.Errorf("%x: %s, %v", cell, got, err)
		}
	}
}

func FuzzArrayText(f *testing.F) {
	for _, s := range []string{"{}", "{1,NULL}", `{"a\"b",c}`, "{{1,2},{3,4}}", "[2:3]={1,2}", `{"`, "{{{{{{1}}}}}}", "{a;b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		for _, c := range []codec{int4Array, int4Grid, textArray, textGrid} {
			fuzzSafe(t, c.text, cell)
		}
	})
}

func FuzzArrayBinary(f *testing.F) {
	f.Add(arrayBytes(nil))
	f.Add(arrayBytes(dims(2), bytesOf(int32(1)), nil))
	f.Add(arrayBytes(dims(2, 1), bytesOf(int32(1)), bytesOf(int32(2))))
	f.Fuzz(func(t *testing.T, cell []byte) {
		for _, c := range []codec{int4Array, int4Grid, textArray, textGrid} {
			fuzzSafe(t, c.binary, cell)
		}
	})
}

// FuzzArrayForms writes any text[][] in both forms. In data a zero byte ends an
// element, and an element of one 0x01 is NULL.
func FuzzArrayForms(f *testing.F) {
	f.Add([]byte("a\x00b c\x00\x01\x00NULL\x00say \"hi\"\x00\\"), uint8(2))
	f.Add([]byte("\x00"), uint8(1))
	f.Add([]byte("{}\x00,\x00 "), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		if len(data) > 1<<12 {
			return // slow, and nothing new
		}
		elems := bytes.Split(data, []byte{0})
		n := max(1, min(int(width), len(elems)))
		elems = elems[:len(elems)/n*n]
		rows := len(elems) / n

		var want, text strings.Builder
		fmt.Fprintf(&want, "list(%d)", rows)
		for i, e := range elems {
			if i%n == 0 {
				fmt.Fprintf(&want, " list(%d)", n)
				text.WriteString(",{"[min(1, 1-min(i, 1)):])
			} else {
				text.WriteByte(',')
			}
			if string(e) == "\x01" {
				elems[i] = nil
				want.WriteString(" null")
				text.WriteString("NULL")
			} else {
				fmt.Fprintf(&want, " bytes(%q)", e)
				text.WriteString(quoteElem(e))
			}
			if i%n == n-1 {
				text.WriteByte('}')
			}
		}
		for _, w := range []struct {
			decode source.Decode
			cell   []byte
		}{
			{textGrid.text, []byte("{" + text.String() + "}")},
			{textGrid.binary, arrayBytes(dims(int32(rows), int32(n)), elems...)},
		} {
			if got, err := record(w.decode, w.cell); err != nil || got != want.String() {
				t.Fatalf("%q: %s, %v, want %s", w.cell, got, err, &want)
			}
		}
	})
}

// quoteElem writes an element as array_out does.
func quoteElem(e []byte) string {
	s := string(e)
	if s != "" && !strings.EqualFold(s, "NULL") && !strings.ContainsAny(s, "{},\"\\ \t\n\r\v\f") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
