package column

import (
	"math/bits"

	"github.com/millrace/millrace/source"
)

// maxDigits is how many digits a 256-bit Decimal holds. 10^77 still fits into
// 256 bits, 10^78 does not.
const maxDigits = 76

// uint256 is an unsigned integer, least significant word first.
type uint256 [4]uint64

// powers holds 10^0 to 10^77.
var powers = func() (p [maxDigits + 2]uint256) {
	p[0] = uint256{1}
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1]
		p[i].mul(10)
	}
	return p
}()

func (x *uint256) isZero() bool { return x[0]|x[1]|x[2]|x[3] == 0 }

func (x *uint256) less(y *uint256) bool {
	for i := 3; i > 0; i-- {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return x[0] < y[0]
}

// mul makes x into x × m, and reports whether it fits.
func (x *uint256) mul(m uint64) bool {
	var carry uint64
	for i := range x {
		hi, lo := bits.Mul64(x[i], m)
		var c uint64
		x[i], c = bits.Add64(lo, carry, 0)
		carry = hi + c
	}
	return carry == 0
}

// div makes x into x / d, and reports whether that left no remainder.
func (x *uint256) div(d uint64) bool {
	var rem uint64
	for i := 3; i >= 0; i-- {
		if rem|x[i] != 0 {
			x[i], rem = bits.Div64(rem, x[i], d)
		}
	}
	return rem == 0
}

// neg returns -x in two's complement.
func (x uint256) neg() uint256 {
	var borrow uint64
	for i := range x {
		x[i], borrow = bits.Sub64(0, x[i], borrow)
	}
	return x
}

// step is the largest power of ten that a word holds.
const step = 19

// rescale returns n × 10^scale without its sign, and whether that is a whole
// number of 256 bits.
func rescale(n *source.Number, scale int) (uint256, bool) {
	x := uint256(n.Coef)
	shift := scale - n.Scale
	switch {
	case n.Over:
		return x, false
	case shift == 0 || x.isZero():
		return x, true
	case shift > maxDigits+1 || shift < -maxDigits-1:
		return x, false // no x times 10^78 fits, nor is it divisible by it
	}
	if shift > 0 && x[1]|x[2]|x[3] == 0 {
		p := powers[shift]
		ok := p.mul(x[0])
		return p, ok
	}
	ok := true
	for ok && shift > 0 {
		by := min(shift, step)
		ok = x.mul(powers[by][0])
		shift -= by
	}
	for ok && shift < 0 {
		by := min(-shift, step)
		ok = x.div(powers[by][0])
		shift += by
	}
	return x, ok
}
