package column

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestFixedStrings(t *testing.T) {
	empty := isBytes("")
	checkFits(t, "FixedString(3)", []fit{
		{isBytes("abc"), isBytes("abc"), nil},
		{isBytes("a"), isBytes("a\x00\x00"), nil},
		{isBytes("abcd"), empty, source.TooWide},
		{isBytes("a\x00"), empty, source.TooWide}, // "a" is stored alike
		{isBytes("\x00\x00\x00"), empty, nil},
	})
}

// A column keeps nothing of the cell.
func TestBytesAreCopied(t *testing.T) {
	for _, typ := range []string{"String", "FixedString(3)", "LowCardinality(String)", "Array(String)"} {
		c := newTest(t, typ)
		cell := []byte("abc")
		value := call(func(to source.Appender) error { return to.Bytes(cell) })
		if strings.HasPrefix(typ, "Array") {
			value = isList(value)
		}
		if err := put(c, value); err != nil {
			t.Fatal(err)
		}
		before := keys(c)[0]
		copy(cell, "xyz")
		if after := keys(c)[0]; after != before {
			t.Errorf("%s: key %q became %q with the cell", typ, before, after)
		}
	}
}

// Under a NULL stands a document, since the server parses it all the same.
func TestNullDocument(t *testing.T) {
	c := newTest(t, "Nullable(JSON)")
	c.AppendDefault()
	if sent := string(native(t, c.Input())); !strings.HasSuffix(sent, "\x01\x02{}") {
		t.Errorf("NULL is sent as %q", sent)
	}
}
