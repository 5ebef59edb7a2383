package postgres

import (
	"math"
	"strconv"
	"testing"
)

func TestBool(t *testing.T) {
	testForms(t, boolText, boolBinary, []wireForm{
		{"t", []byte{1}, "bool(true)"},
		{"f", []byte{0}, "bool(false)"},
	})
	testMalformed(t, boolText, "", "T", "true", "1")
	testMalformed(t, boolBinary, "", "\x02", "\x00\x00")
}

func TestInt2(t *testing.T) {
	testForms(t, int2Text, int2Binary, []wireForm{
		{"0", bytesOf(int16(0)), "int(0)"},
		{"-1", bytesOf(int16(-1)), "int(-1)"},
		{"-32768", bytesOf(int16(math.MinInt16)), "int(-32768)"},
		{"32767", bytesOf(int16(math.MaxInt16)), "int(32767)"},
	})
	testMalformed(t, int2Text, "", "-", "32768", "-32769", "1x", " 1", "1.0")
	testMalformed(t, int2Binary, "", "\x00", "\x00\x00\x00")
}

func TestInt4(t *testing.T) {
	testForms(t, int4Text, int4Binary, []wireForm{
		{"0", bytesOf(int32(0)), "int(0)"},
		{"-2147483648", bytesOf(int32(math.MinInt32)), "int(-2147483648)"},
		{"2147483647", bytesOf(int32(math.MaxInt32)), "int(2147483647)"},
	})
	testMalformed(t, int4Text, "", "--1", "2147483648", "-2147483649", "99999999999999999999")
	testMalformed(t, int4Binary, "", "\x00\x00\x00", "\x00\x00\x00\x00\x00")
}

func TestInt8(t *testing.T) {
	testForms(t, int8Text, int8Binary, []wireForm{
		{"0", bytesOf(int64(0)), "int(0)"},
		{"-9223372036854775808", bytesOf(int64(math.MinInt64)), "int(-9223372036854775808)"},
		{"9223372036854775807", bytesOf(int64(math.MaxInt64)), "int(9223372036854775807)"},
	})
	testMalformed(t, int8Text, "", "9223372036854775808", "-9223372036854775809", "10000000000000000000", "18446744073709551616")
	testMalformed(t, int8Binary, "", "\x00\x00\x00\x00")
}

func TestOID(t *testing.T) {
	testForms(t, oidTextForm, oidBinary, []wireForm{
		{"0", bytesOf(uint32(0)), "uint(0)"},
		{"4294967295", bytesOf(uint32(math.MaxUint32)), "uint(4294967295)"},
	})
	testMalformed(t, oidTextForm, "", "-1", "4294967296")
	testMalformed(t, oidBinary, "", "\x00\x00\x00")
}

func FuzzInt8Text(f *testing.F) {
	for _, s := range []string{"0", "-0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "00000000000000000001"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, int8Text, cell)
		v, ok := parseInt(cell)
		want, err := strconv.ParseInt(string(cell), 10, 64)
		if ok && (err != nil || v != want) {
			t.Fatalf("%q: %d, want %d, %v", cell, v, want, err)
		}
		// strconv takes a plus and any number of zeros as well.
		if !ok && err == nil && strconv.FormatInt(want, 10) == string(cell) {
			t.Fatalf("%q is refused", cell)
		}
	})
}

func FuzzFixedBinary(f *testing.F) {
	f.Add([]byte{1})
	f.Add([]byte{0xff, 0xff})
	f.Add(bytesOf(int32(math.MinInt32)))
	f.Add(bytesOf(int64(math.MaxInt64)))
	f.Add(sequence)
	f.Fuzz(func(t *testing.T, cell []byte) {
		for _, c := range builtin {
			if c.binary != nil {
				fuzzSafe(t, c.binary, cell)
			}
			fuzzSafe(t, c.text, cell)
		}
	})
}
