package postgres

import (
	"bytes"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millrace/millrace/source"
)

// numericBytes returns a numeric as numeric_send does.
func numericBytes(weight int16, sign, dscale uint16, digits ...uint16) []byte {
	return append(bytesOf([]uint16{uint16(len(digits)), uint16(weight), sign, dscale}), bytesOf(digits)...)
}

var numericForms = []wireForm{
	{"0", numericBytes(0, 0, 0), "decimal(0e-0)"},
	{"0.00", numericBytes(0, 0, 2), "decimal(0e-2)"},
	{"1", numericBytes(0, 0, 0, 1), "decimal(1e-0)"},
	{"-1", numericBytes(0, numericNegative, 0, 1), "decimal(-1e-0)"},
	{"1.00", numericBytes(0, 0, 2, 1), "decimal(100e-2)"},
	{"12345678.90", numericBytes(1, 0, 2, 1234, 5678, 9000), "decimal(1234567890e-2)"},
	{"-0.01", numericBytes(-1, numericNegative, 2, 100), "decimal(-1e-2)"},
	{"0.00001", numericBytes(-2, 0, 5, 1000), "decimal(1e-5)"},
	{"0.000012345", numericBytes(-2, 0, 9, 1234, 5000), "decimal(12345e-9)"},
	{"10000", numericBytes(1, 0, 0, 1), "decimal(10000e-0)"},
	{"99000", numericBytes(1, 0, 0, 9, 9000), "decimal(99000e-0)"},
	{"100000000.5", numericBytes(2, 0, 1, 1, 0, 0, 5000), "decimal(1000000005e-1)"},
	{"18446744073709551615", numericBytes(4, 0, 0, 1844, 6744, 737, 955, 1615), "decimal(18446744073709551615e-0)"},
	{"18446744073709551616", numericBytes(4, 0, 0, 1844, 6744, 737, 955, 1616), "decimal(18446744073709551616e-0)"},
	{"NaN", numericBytes(0, numericNaN, 0), "special(NaN)"},
	{"Infinity", numericBytes(0, numericPosInf, 0), "special(+Inf)"},
	{"-Infinity", numericBytes(0, numericNegInf, 0), "special(-Inf)"},
	// Digits that a careless client had stored behind the scale are not shown.
	{"1.23", numericBytes(0, 0, 2, 1, 2399), "decimal(123e-2)"},
	{"1", numericBytes(0, 0, 0, 1, 2399, 5), "decimal(1e-0)"},
	// Zeros behind the point give way where they would not fit.
	{"1." + strings.Repeat("0", 100), numericBytes(0, 0, 100, 1), "decimal(1e-0)"},
	{"-1.5" + strings.Repeat("0", 100), numericBytes(0, numericNegative, 101, 1, 5000), "decimal(-15e-1)"},
}

func TestNumeric(t *testing.T) {
	testForms(t, numericText, numericBinary, numericForms)
	for _, f := range numericForms {
		want, _ := record(rawBytes, []byte(f.text))
		if got, err := record(numericBinaryString, f.binary); err != nil || got != want {
			t.Errorf("%x as text: %s, %v, want %s", f.binary, got, err, want)
		}
	}
}

func TestNumericTooWide(t *testing.T) {
	most := new(big.Int).Lsh(big.NewInt(1), 256)
	first := most.String()
	last := most.Sub(most, big.NewInt(1)).String()
	for _, c := range []struct {
		text string
		over bool
	}{
		{last, false},
		{first, true},
		{last + "." + strings.Repeat("0", 50), false},
		{last[:40] + "." + last[40:], false},
		{first[:40] + "." + first[40:], true},
		{"-" + strings.Repeat("9", 131072), true},
		{"0." + strings.Repeat("9", 16383), true},
		{"0." + strings.Repeat("0", 16382) + "1", false},
	} {
		for _, w := range []struct {
			decode source.Decode
			cell   []byte
		}{{numericText, []byte(c.text)}, {numericBinary, sendNumeric(c.text)}} {
			got, err := record(w.decode, w.cell)
			if over := errors.Is(err, source.TooWide); over != c.over || !over && err != nil {
				t.Errorf("%.100s: %.100s, %v, want over: %t", c.text, got, err, c.over)
			}
		}
	}
}

func TestNumericMalformed(t *testing.T) {
	testMalformed(t, numericText, "", "-", ".", "1.", ".5", "--1", "1-", "1.2.3", "1e5", "+1", " 1", "nan", "0x1")
	testMalformed(t, numericBinary,
		[]byte{},
		numericBytes(0, 0, 0, 1)[:9],        // cut
		append(numericBytes(0, 0, 0, 1), 0), // too long
		bytesOf([]uint16{2, 0, 0, 0, 1}),    // fewer digits than said
		bytesOf([]uint16{0xffff, 0, 0, 0}),  // no digits at all
		numericBytes(0, 0, 0, 10000),        // not a digit
		numericBytes(0, 0x1234, 0, 1),       // no such sign
		numericBytes(0, 0, maxDScale+1, 1),  // scale beyond its bits
	)
}

// sendNumeric is a slow numeric_send of a plain decimal.
func sendNumeric(text string) []byte {
	var sign uint16
	if strings.HasPrefix(text, "-") {
		sign, text = numericNegative, text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	dscale := len(fraction)
	whole = strings.Repeat("0", (4-len(whole)%4)%4) + whole
	fraction += strings.Repeat("0", (4-len(fraction)%4)%4)
	weight := len(whole)/4 - 1
	var digits []uint16
	for all := whole + fraction; all != ""; all = all[4:] {
		var d uint16
		for _, c := range all[:4] {
			d = d*10 + uint16(c-'0')
		}
		digits = append(digits, d)
	}
	for len(digits) > 0 && digits[0] == 0 {
		digits = digits[1:]
		weight--
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 {
		digits = digits[:len(digits)-1]
	}
	if len(digits) == 0 {
		weight, sign = 0, 0
	}
	return numericBytes(int16(weight), sign, uint16(dscale), digits...)
}

var plainNumeric = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

// FuzzNumericText compares with math/big, and the two forms with each other.
func FuzzNumericText(f *testing.F) {
	for _, n := range numericForms {
		f.Add([]byte(n.text))
	}
	f.Add([]byte("123456789012345678901234567890.1234567890"))
	f.Add([]byte(strings.Repeat("9", 80) + "." + strings.Repeat("0", 80)))
	f.Fuzz(func(t *testing.T, cell []byte) {
		if len(cell) > 1<<12 {
			return // math/big is slow
		}
		fuzzSafe(t, numericText, cell)
		var n source.Number
		if ok := parseNumber(&n, cell); ok != plainNumeric.Match(cell) {
			t.Fatalf("%q: accepted: %t", cell, ok)
		} else if !ok {
			return
		}
		want, ok := new(big.Rat).SetString(string(cell))
		if !ok {
			t.Fatalf("%q: not for big.Rat", cell)
		}
		if !n.Over && rat(&n).Cmp(want) != 0 {
			t.Fatalf("%q: %v", cell, n)
		}
		if n.Over && fits(want) {
			t.Fatalf("%q would fit", cell)
		}
		a, _ := record(numericText, cell)
		if b, _ := record(numericBinary, sendNumeric(string(cell))); a != b {
			t.Fatalf("%q: text %s, binary %s", cell, a, b)
		}
	})
}

// FuzzNumericBinary compares with pgx, which is slow and knows no dscale.
func FuzzNumericBinary(f *testing.F) {
	for _, n := range numericForms {
		f.Add(n.binary)
	}
	f.Add(numericBytes(32767, 0, 0, 1))
	f.Add(numericBytes(-32768, numericNegative, maxDScale, 9999))
	types := pgtype.NewMap()
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, numericBinary, cell)
		fuzzSafe(t, numericBinaryString, cell)
		w, ok := parseNumeric(cell)
		if !ok || w.sign != 0 && w.sign != numericNegative {
			return
		}
		text := w.appendText(nil)
		a, _ := record(numericText, text)
		if b, _ := record(numericBinary, cell); a != b {
			t.Fatalf("%x: text %s: %s, binary %s", cell, text, a, b)
		}
		var ref pgtype.Numeric
		if w.weight < -1000 || w.weight > 1000 || types.Scan(oidNumeric, pgtype.BinaryFormatCode, cell, &ref) != nil {
			return
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(ref.Exp, -ref.Exp))), nil)
		want := new(big.Rat).SetInt(ref.Int)
		if ref.Exp < 0 {
			want.SetFrac(ref.Int, scale)
		} else {
			want.SetInt(scale.Mul(scale, ref.Int))
		}
		got, ok := new(big.Rat).SetString(string(text))
		if !ok {
			t.Fatalf("%x: text %s", cell, text)
		}
		// Equal but for the digits behind dscale.
		unit := new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(w.dscale)), nil))
		if diff := new(big.Rat).Sub(want, got); diff.Abs(diff).Cmp(unit) >= 0 || bytes.HasPrefix(text, []byte("00")) {
			t.Fatalf("%x: %s, want %s", cell, text, want.FloatString(w.dscale+4))
		}
	})
}

func rat(n *source.Number) *big.Rat {
	coef := coefficient(n)
	if n.Neg {
		coef.Neg(coef)
	}
	return new(big.Rat).SetFrac(coef, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale)), nil))
}

// fits reports whether some scale gives v a coefficient of 256 bits.
func fits(v *big.Rat) bool {
	num, ten := new(big.Rat).Set(v), big.NewRat(10, 1)
	for !num.IsInt() {
		num.Mul(num, ten)
	}
	return num.Num().BitLen() <= 256
}
