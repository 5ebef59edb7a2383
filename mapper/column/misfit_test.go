package column

import (
	"errors"
	"testing"

	"github.com/millrace/millrace/source"
)

// fit is a value, what stands for it in a column, and why that is another one.
type fit struct {
	value  call
	want   call
	misfit *source.Misfit // nil where the value is held exactly
}

// checkFits appends values to a column, to a Nullable one, and to arrays of
// both, and compares with what must stand there.
func checkFits(t *testing.T, typ string, fits []fit) {
	t.Helper()
	for _, shape := range []struct {
		typ      string
		nullable bool
	}{
		{typ, false},
		{"Nullable(" + typ + ")", true},
		{"Array(" + typ + ")", false},
		{"Array(Nullable(" + typ + "))", true},
	} {
		typ := shape.typ
		c := newTest(t, typ)
		for i, f := range fits {
			value, want := f.value, f.want
			if f.misfit != nil && f.misfit.Null && shape.nullable {
				want = isNull
			}
			if _, ok := c.values.(*lists); ok {
				value, want = isList(value), isList(want)
			}
			c.Reset()
			err := put(c, value)
			if f.misfit == nil && err != nil || f.misfit != nil && !errors.Is(err, f.misfit) {
				t.Errorf("%s, value %d: error %v, want %v", typ, i, err, f.misfit)
			}
			if err := put(c, want); err != nil {
				t.Fatalf("%s, value %d: what must stand for it does not fit: %v", typ, i, err)
			}
			if k := keys(c); len(k) != 2 || k[0] != k[1] {
				t.Errorf("%s, value %d: keys %x, want two equal ones", typ, i, k)
			}
		}
	}
}
