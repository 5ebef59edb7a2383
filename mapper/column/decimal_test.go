package column

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestDecimals(t *testing.T) {
	zero := isNumber("0")
	for precision := 1; precision <= maxDigits; precision++ {
		for _, scale := range []int{0, precision / 2, precision} {
			most := strings.Repeat("9", precision-scale) + "." + strings.Repeat("9", scale)
			over := "1" + strings.Repeat("0", precision-scale)
			checkFits(t, fmt.Sprintf("Decimal(%d, %d)", precision, scale), []fit{
				{isNumber(most), isNumber(most), nil},
				{isNumber("-" + most), isNumber("-" + most), nil},
				{isNumber("-0.000"), zero, nil},
				{isNumber(over), zero, source.TooWide},
				{isNumber("-" + over), zero, source.TooWide},
				{isNumber(most + "1"), zero, source.TooWide},
				{is(source.NaN), zero, source.NotANumber},
				{is(source.PosInf), zero, source.NotANumber},
				{is(source.NegInf), zero, source.NotANumber},
			})
		}
	}
	checkFits(t, "Decimal(10, 2)", []fit{
		{isNumber("1.5"), isNumber("1.50"), nil},
		{isNumber("1.500000"), isNumber("1.50"), nil},
		{isNumber("1.501"), zero, source.TooWide},
		{isNumber("0.001"), zero, source.TooWide},
		{isInt(-7), isNumber("-7.00"), nil},
		{isUint(7), isNumber("7.00"), nil},
		{isInt(-1 << 63), zero, source.TooWide},
	})
	checkFits(t, "Decimal(19, 0)", []fit{{isInt(-1 << 63), isNumber("-9223372036854775808"), nil}})
	checkFits(t, "Decimal(76, 0)", []fit{
		{func(to source.Appender) error { return to.Decimal(&source.Number{Over: true}) }, zero, source.TooWide},
		{func(to source.Appender) error {
			return to.Decimal(&source.Number{Coef: [4]uint64{5}, Scale: -75})
		}, isNumber("5" + strings.Repeat("0", 75)), nil},
	})
}

// Whatever is appended, the bytes are those of the number times 10^scale.
func FuzzDecimal(f *testing.F) {
	f.Add(uint64(150), uint64(0), uint64(0), uint64(0), true, 2, 9, 2)
	f.Add(uint64(150), uint64(0), uint64(0), uint64(0), true, 2, 18, 4)
	f.Add(^uint64(0), uint64(1), uint64(0), uint64(0), true, 2, 38, 9)
	f.Add(^uint64(0), ^uint64(0), uint64(3), uint64(0), true, 20, 76, 38)
	f.Add(^uint64(0), uint64(0), uint64(0), uint64(0), false, 38, 76, 38)
	f.Fuzz(func(t *testing.T, a, b, c, d uint64, neg bool, from, precision, scale int) {
		precision = 1 + int(uint(precision)%maxDigits)
		scale = int(uint(scale) % uint(precision+1))
		n := source.Number{Coef: [4]uint64{a, b, c, d}, Scale: from % 200, Neg: neg}
		col := newDecimal(precision, scale)
		err := put(col, func(to source.Appender) error { return to.Decimal(&n) })
		want, ok := slowRescale(&n, scale)
		if ok = ok && want.Cmp(power(precision)) < 0; !ok {
			want = new(big.Int)
		}
		if ok != (err == nil) {
			t.Fatalf("%v × 10^%d: error %v", bigOf(n.Coef), -n.Scale, err)
		}
		if neg {
			want.Neg(want)
		}
		if got := signed(native(t, col.Input())); got.Cmp(want) != 0 {
			t.Errorf("%v × 10^%d in %s is %v, want %v", bigOf(n.Coef), -n.Scale, col.Type(), got, want)
		}
	})
}

// signed reads a little-endian two's complement integer.
func signed(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if int8(b[0]) < 0 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}

func TestDecimalWidths(t *testing.T) {
	for precision, bytes := range map[int]int{1: 4, 9: 4, 10: 8, 18: 8, 19: 16, 38: 16, 39: 32, 76: 32} {
		c := newDecimal(precision, 0)
		if err := put(c, isInt(-1)); err != nil {
			t.Fatal(err)
		}
		sent := native(t, c.Input())
		if len(sent) != bytes || binary.LittleEndian.Uint32(sent[bytes-4:]) != ^uint32(0) {
			t.Errorf("-1 in %s is sent as %x", c.Type(), sent)
		}
	}
}
