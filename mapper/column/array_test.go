package column

import (
	"errors"
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

// The elements behind a misfit are appended, and the first misfit is told.
func TestArrayGoesOnAfterMisfit(t *testing.T) {
	c := newTest(t, "Array(Nullable(Int8))")
	err := put(c, isList(isInt(1), isInt(1000), isNull, isInt(2)))
	if !errors.Is(err, source.TooWide) {
		t.Errorf("error %v", err)
	}
	if err := put(c, isList(isInt(1), isNull, isNull, isInt(2))); err != nil {
		t.Errorf("the misfit was told of the next array: %v", err)
	}
	if k := keys(c); len(k) != 2 || k[0] != k[1] {
		t.Errorf("keys %x", k)
	}

	c = newTest(t, "Array(Date32)")
	err = put(c, isList(isDate(math.MaxInt64), is(source.ZeroDate), isDate(5)))
	if !errors.Is(err, source.OutOfRange) || c.Rows() != 1 {
		t.Errorf("error %v, want the first one", err)
	}
	if err := put(c, isList(isDate(lastDate32), isDate(0), isDate(5))); err != nil || keys(c)[0] != keys(c)[1] {
		t.Errorf("keys %x, %v", keys(c), err)
	}
}

func TestMisfitInNestedArray(t *testing.T) {
	c := newTest(t, "Array(Array(Int8))")
	if err := put(c, isList(isList(isInt(1)), isList(isInt(500), isInt(2)), isList())); !errors.Is(err, source.TooWide) {
		t.Errorf("error %v", err)
	}
	if err := put(c, isList(isList(isInt(1)), isList(isInt(0), isInt(2)), isNull)); err != nil {
		t.Error(err)
	}
	if k := keys(c); len(k) != 2 || k[0] != k[1] {
		t.Errorf("keys %x", k)
	}
}

// A misfit in an array that is given up does not turn up with the next one.
func TestMisfitIsForgottenWithItsArray(t *testing.T) {
	for _, typ := range []string{"Array(Int8)", "Array(Array(Int8))"} {
		c := newTest(t, typ)
		wrap := func(elements ...call) call {
			if typ == "Array(Int8)" {
				return isList(elements...)
			}
			return isList(isList(elements...))
		}
		if err := put(c, wrap(isInt(500), isBytes("x"))); err == nil || errors.Is(err, source.TooWide) {
			t.Errorf("%s: error %v", typ, err)
		}
		if err := put(c, wrap(isInt(5))); err != nil || c.Rows() != 1 {
			t.Errorf("%s: %v, %d rows", typ, err, c.Rows())
		}
	}
}

func TestArrayIsRolledBack(t *testing.T) {
	broken := errors.New("malformed")
	fail := func(source.Appender) error { return broken }
	list := func(n int, elements ...call) call {
		return func(to source.Appender) error {
			l, err := to.List(n)
			for _, element := range elements {
				if err == nil {
					err = element(l)
				}
			}
			return err
		}
	}
	one, two := isInt(1), isInt(2)
	for name, wrong := range map[string]call{
		"error in the middle":       isList(isList(one), isList(two, fail)),
		"too few elements":          list(3, isList(one), isList(two)),
		"too many elements":         list(1, isList(one), isList(two)),
		"inner one too short":       list(2, list(2, one), list(1, two)),
		"inner one too long":        list(2, list(1, one, one), isList(two)),
		"last one too short":        list(2, isList(one), list(2, two)),
		"negative length":           list(-1),
		"scalar between arrays":     list(2, isList(one), two),
		"NULL after a short one":    list(2, list(2, one), isNull),
		"NULL for a plain element":  list(1, list(1, isNull)),
		"two arrays":                func(to source.Appender) error { return errors.Join(isList()(to), isList()(to)) },
		"array after a short array": func(to source.Appender) error { return errors.Join(list(2)(to), isList()(to)) },
	} {
		c := newTest(t, "Array(Array(Int32))")
		good := isList(isList(isInt(7), isInt(8)), isList())
		if err := put(c, good); err != nil {
			t.Fatal(err)
		}
		if err := put(c, wrong); err == nil || c.Rows() != 1 {
			t.Errorf("%s: %v, %d rows", name, err, c.Rows())
		}
		if err := put(c, good); err != nil || keys(c)[0] != keys(c)[1] {
			t.Errorf("%s: after it keys are %x, %v", name, keys(c), err)
		}
	}
}
