package column

import (
	"math/big"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

// numberOf reads a decimal number of at most 256 bits.
func numberOf(text string) source.Number {
	digits, neg := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	coef, _ := new(big.Int).SetString(whole+fraction, 10)
	return source.Number{Coef: wordsOf(coef), Scale: len(fraction), Neg: neg}
}

func wordsOf(v *big.Int) (words [4]uint64) {
	mask := new(big.Int).SetUint64(1<<64 - 1)
	for i := range words {
		words[i] = new(big.Int).And(new(big.Int).Rsh(v, uint(64*i)), mask).Uint64()
	}
	return words
}

func bigOf(words [4]uint64) *big.Int {
	v := new(big.Int)
	for i := 3; i >= 0; i-- {
		v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(words[i]))
	}
	return v
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func TestPowers(t *testing.T) {
	for n, p := range powers {
		if got := bigOf(p); got.Cmp(power(n)) != 0 {
			t.Errorf("10^%d is %v", n, got)
		}
	}
}

func TestRescaleAtTheEnds(t *testing.T) {
	for _, test := range []struct {
		text  string
		scale int
		want  string
	}{
		{"1", 77, "1" + strings.Repeat("0", 77)},
		{"1", 78, ""},
		{"2", 77, ""},
		{"0", 500, "0"},
		{"1" + strings.Repeat("0", 77), -77, "1"},
		{"1" + strings.Repeat("0", 77), -78, ""},
		{"1", -1, ""},
		{"1.500", 1, "15"},
		{"1.501", 2, ""},
		{"-1.5", 2, "150"},
	} {
		n := numberOf(test.text)
		got, ok := rescale(&n, test.scale)
		if ok != (test.want != "") || ok && bigOf(got).String() != test.want {
			t.Errorf("%s × 10^%d = %v, %v; want %q", test.text, test.scale, bigOf(got), ok, test.want)
		}
	}
	if _, ok := rescale(&source.Number{Over: true}, 0); ok {
		t.Error("a number that is Over was rescaled")
	}
}

func FuzzRescale(f *testing.F) {
	f.Add(uint64(0), uint64(0), uint64(0), uint64(0), 0, 0)
	f.Add(uint64(123456789), uint64(0), uint64(0), uint64(0), 4, 2)
	f.Add(^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0), 38, 76)
	f.Add(uint64(1), uint64(0), uint64(0), uint64(0), -40, 37)
	f.Add(uint64(1)<<63, uint64(5), uint64(7), uint64(1), 20, 0)
	f.Fuzz(func(t *testing.T, a, b, c, d uint64, from, to int) {
		n := source.Number{Coef: [4]uint64{a, b, c, d}, Scale: from % 20000}
		scale := to % (maxDigits + 1)
		got, ok := rescale(&n, scale)
		want, exact := slowRescale(&n, scale)
		if ok != exact || ok && bigOf(got).Cmp(want) != 0 {
			t.Errorf("%v × 10^%d to scale %d: %v, %v; want %v, %v", bigOf(n.Coef), -n.Scale, scale, bigOf(got), ok, want, exact)
		}
	})
}

// slowRescale is rescale in the words of its definition.
func slowRescale(n *source.Number, scale int) (*big.Int, bool) {
	v := bigOf(n.Coef)
	if shift := scale - n.Scale; shift >= 0 {
		v.Mul(v, power(shift))
	} else {
		rem := new(big.Int)
		if v.QuoRem(v, power(-shift), rem); rem.Sign() != 0 {
			return nil, false
		}
	}
	return v, v.BitLen() <= 256
}
