package postgres

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/millrace/millrace/source"
)

// Numerics. Manual: "Arbitrary Precision Numbers". The text has no exponent and
// as many digits behind the point as the value has scale. The binary form
// (numeric_send in src/backend/utils/adt/numeric.c), big-endian:
//
//	int16 ndigits | int16 weight | uint16 sign | uint16 dscale | ndigits × int16
//
// Digits are in base 10000, the first stands for 10000^weight, those that are
// zero at either end are left out. dscale counts the decimal digits behind the
// point that are shown.
//
// Both forms give a Number the scale that the value has, so that a column of
// the same scale takes the coefficient as it is. Only where the coefficient
// does not fit are zeros at the end of the fraction left away.

const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericPosInf   = 0xD000
	numericNegInf   = 0xF000

	maxDScale = 0x3FFF
)

func numericText(cell []byte, to source.Appender) error {
	if special, ok := parseSpecial(cell); ok {
		return to.Special(special)
	}
	s := newScratch()
	defer s.free()
	if !parseNumber(&s.num, cell) {
		return malformed("numeric")
	}
	return to.Decimal(&s.num)
}

func numericBinary(cell []byte, to source.Appender) error {
	w, ok := parseNumeric(cell)
	if !ok {
		return malformed("numeric")
	}
	switch w.sign {
	case numericNaN:
		return to.Special(source.NaN)
	case numericPosInf:
		return to.Special(source.PosInf)
	case numericNegInf:
		return to.Special(source.NegInf)
	}
	s := newScratch()
	defer s.free()
	if w.number(&s.num); s.num.Over {
		// Rare: let the text's rules find out whether zeros are to blame.
		s.buf = w.appendText(s.buf[:0])
		parseNumber(&s.num, s.buf)
	}
	return to.Decimal(&s.num)
}

// numericBinaryString gives the text that Postgres would have sent.
func numericBinaryString(cell []byte, to source.Appender) error {
	w, ok := parseNumeric(cell)
	if !ok {
		return malformed("numeric")
	}
	s := newScratch()
	defer s.free()
	s.buf = w.appendText(s.buf[:0])
	return to.Bytes(s.buf)
}

// parseNumber reads -123.45 into n.
func parseNumber(n *source.Number, b []byte) bool {
	digits := bytes.TrimPrefix(b, []byte("-"))
	if !parseDigits(n, digits) {
		return false
	}
	if n.Over && n.Scale > 0 {
		short := bytes.TrimRight(digits, "0")
		parseDigits(n, bytes.TrimSuffix(short, []byte(".")))
	}
	n.Neg = len(digits) < len(b) && n.Coef != [4]uint64{}
	return true
}

// maxWordDigits is how many digits always fit into a word.
const maxWordDigits = 19

// pow10 holds the powers of ten up to 10^maxWordDigits.
var pow10 = func() (p [maxWordDigits + 1]uint64) {
	p[0] = 1
	for i := range maxWordDigits {
		p[i+1] = p[i] * 10
	}
	return p
}()

// parseDigits reads 123.45 into n, a word of digits at a time.
func parseDigits(n *source.Number, b []byte) bool {
	*n = source.Number{}
	dot, count := -1, 0
	var word uint64
	for i, c := range b {
		d := uint64(c - '0')
		if d > 9 {
			if c != '.' || dot >= 0 || i == 0 {
				return false
			}
			dot = i
			continue
		}
		word = word*10 + d
		if count++; count == maxWordDigits {
			mulAdd(n, pow10[count], word)
			word, count = 0, 0
		}
	}
	mulAdd(n, pow10[count], word)
	if dot >= 0 {
		n.Scale = len(b) - dot - 1
		return n.Scale > 0
	}
	return len(b) > 0
}

// mulAdd sets n's coefficient to itself × mul + add.
func mulAdd(n *source.Number, mul, add uint64) {
	if n.Coef[0]|n.Coef[1]|n.Coef[2]|n.Coef[3] == 0 {
		n.Coef[0] = add
		return
	}
	for i, w := range n.Coef {
		hi, lo := bits.Mul64(w, mul)
		lo, carry := bits.Add64(lo, add, 0)
		n.Coef[i], add = lo, hi+carry
	}
	n.Over = n.Over || add != 0
}

// wireNumeric is a numeric in its binary form.
type wireNumeric struct {
	digits []byte // two bytes each
	weight int
	sign   uint16
	dscale int
}

// parseNumeric checks everything that the methods of its result rely on.
func parseNumeric(cell []byte) (w wireNumeric, ok bool) {
	if len(cell) < 8 {
		return w, false
	}
	w = wireNumeric{
		digits: cell[8:],
		weight: int(int16(binary.BigEndian.Uint16(cell[2:]))),
		sign:   binary.BigEndian.Uint16(cell[4:]),
		dscale: int(binary.BigEndian.Uint16(cell[6:])),
	}
	switch w.sign {
	case 0, numericNegative, numericNaN, numericPosInf, numericNegInf:
	default:
		return w, false
	}
	if w.dscale > maxDScale || len(w.digits) != 2*int(binary.BigEndian.Uint16(cell)) {
		return w, false
	}
	for i := 0; i < len(w.digits); i += 2 {
		if binary.BigEndian.Uint16(w.digits[i:]) > 9999 {
			return w, false
		}
	}
	return w, true
}

// digit returns the i-th digit, 0 where none is stored.
func (w *wireNumeric) digit(i int) uint64 {
	if i < 0 || i >= len(w.digits)/2 {
		return 0
	}
	return uint64(binary.BigEndian.Uint16(w.digits[2*i:]))
}

// number fills n. Decimal digits behind dscale are cut off as Postgres does in
// its text: old versions stored what a careless client had sent.
func (w *wireNumeric) number(n *source.Number) {
	*n = source.Number{Scale: w.dscale}
	var word uint64
	count := 0 // decimal digits in word
	// The last digit read stands for 10^zeros in units of the coefficient.
	zeros := 4*(w.weight+1) + w.dscale
	for i := 0; 2*i < len(w.digits) && zeros > 0; i++ {
		keep := min(zeros, 4)
		zeros -= keep
		word = word*pow10[keep] + w.digit(i)/pow10[4-keep]
		if count += keep; count > maxWordDigits-4 {
			mulAdd(n, pow10[count], word)
			word, count = 0, 0
		}
	}
	mulAdd(n, pow10[count], word)
	if n.Coef == [4]uint64{} && !n.Over {
		return
	}
	n.Neg = w.sign == numericNegative
	for ; zeros > 0 && !n.Over; zeros -= maxWordDigits {
		mulAdd(n, pow10[min(zeros, maxWordDigits)], 0)
	}
}

// appendText appends the value as numeric_out prints it.
func (w *wireNumeric) appendText(b []byte) []byte {
	switch w.sign {
	case numericNaN:
		return append(b, "NaN"...)
	case numericPosInf:
		return append(b, "Infinity"...)
	case numericNegInf:
		return append(b, "-Infinity"...)
	case numericNegative:
		b = append(b, '-')
	}
	first := 0
	for first <= w.weight && w.digit(first) == 0 {
		first++
	}
	if first > w.weight {
		b = append(b, '0')
	}
	for i := first; i <= w.weight; i++ {
		b = appendDigit(b, w.digit(i))
		if i == first {
			b = trimZeros(b)
		}
	}
	if w.dscale == 0 {
		return b
	}
	b = append(b, '.')
	end := len(b) + w.dscale
	for i := w.weight + 1; len(b) < end; i++ {
		b = appendDigit(b, w.digit(i))
	}
	return b[:end]
}

func appendDigit(b []byte, d uint64) []byte {
	return append(b, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
}

// trimZeros takes the leading zeros off the digit, not 0, that b ends with.
func trimZeros(b []byte) []byte {
	digit := b[len(b)-4:]
	return append(b[:len(b)-4], bytes.TrimLeft(digit, "0")...)
}
