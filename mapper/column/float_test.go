package column

import (
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestFloats(t *testing.T) {
	zero := isFloat(0)
	checkFits(t, "Float32", []fit{
		{isFloat(float64(float32(0.1))), isFloat(float64(float32(0.1))), nil},
		{isFloat(0.1), zero, source.TooWide},
		{isFloat(math.MaxFloat64), zero, source.TooWide},
		{isFloat(math.SmallestNonzeroFloat64), zero, source.TooWide},
		{isFloat(math.Inf(-1)), is(source.NegInf), nil},
		{isInt(1 << 24), isFloat(1 << 24), nil},
		{isInt(1<<24 + 1), zero, source.TooWide},
		{isInt(math.MinInt64), isFloat(math.MinInt64), nil},
		{isInt(math.MaxInt64), zero, source.TooWide},
		{isUint(math.MaxUint64), zero, source.TooWide},
	})
	checkFits(t, "Float64", []fit{
		{isFloat(math.NaN()), is(source.NaN), nil},
		{isFloat(math.Inf(1)), is(source.PosInf), nil},
		{isFloat(math.Copysign(0, -1)), zero, nil},
		{isInt(1 << 53), isFloat(1 << 53), nil},
		{isInt(1<<53 + 1), zero, source.TooWide},
		{isInt(math.MaxInt64), zero, source.TooWide},
		{isUint(1 << 63), isFloat(1 << 63), nil},
		{isUint(math.MaxUint64), zero, source.TooWide},
	})
}

// The key makes -0 and 0 one, the value does not.
func TestNegativeZeroIsKept(t *testing.T) {
	c := newTest(t, "Float64")
	if err := put(c, isFloat(math.Copysign(0, -1))); err != nil {
		t.Fatal(err)
	}
	if sent := native(t, c.Input()); sent[7] != 0x80 {
		t.Errorf("-0 is sent as %x", sent)
	}
}
