package postgres

import (
	"math"
	"strconv"
	"testing"
)

func TestFloat4(t *testing.T) {
	testForms(t, float4Text, float4Binary, []wireForm{
		{"0", bytesOf(float32(0)), "float(0x0p+00)"},
		{"-0", bytesOf(float32(math.Copysign(0, -1))), "float(-0x0p+00)"},
		{"1.5", bytesOf(float32(1.5)), "float(0x1.8p+00)"},
		{"0.1", bytesOf(float32(0.1)), "float(0x1.99999ap-04)"},
		{"3.4028235e+38", bytesOf(float32(math.MaxFloat32)), "float(0x1.fffffep+127)"},
		{"1e-45", bytesOf(float32(math.SmallestNonzeroFloat32)), "float(0x1p-149)"},
		{"NaN", bytesOf(float32(math.NaN())), "special(NaN)"},
		{"Infinity", bytesOf(float32(math.Inf(1))), "special(+Inf)"},
		{"-Infinity", bytesOf(float32(math.Inf(-1))), "special(-Inf)"},
	})
	testMalformed(t, float4Text, "", "3.5e+38", "1e", "e1", "1.2.3")
	testMalformed(t, float4Binary, "", "\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00")
}

func TestFloat8(t *testing.T) {
	testForms(t, float8Text, float8Binary, []wireForm{
		{"0", bytesOf(0.0), "float(0x0p+00)"},
		{"-0", bytesOf(math.Copysign(0, -1)), "float(-0x0p+00)"},
		{"0.1", bytesOf(0.1), "float(0x1.999999999999ap-04)"},
		{"1e+300", bytesOf(1e300), "float(0x1.7e43c8800759cp+996)"},
		{"1.7976931348623157e+308", bytesOf(math.MaxFloat64), "float(0x1.fffffffffffffp+1023)"},
		{"5e-324", bytesOf(math.SmallestNonzeroFloat64), "float(0x1p-1074)"},
		{"NaN", bytesOf(math.NaN()), "special(NaN)"},
		{"Infinity", bytesOf(math.Inf(1)), "special(+Inf)"},
		{"-Infinity", bytesOf(math.Inf(-1)), "special(-Inf)"},
	})
	testMalformed(t, float8Text, "", "1e400", "0x1p-2", "1_000", "inf", "nan", "+Infinity", "1,5")
	testMalformed(t, float8Binary, "", "\x00\x00\x00\x00")
}

func FuzzFloat8Text(f *testing.F) {
	for _, s := range []string{"0", "-0", "1e+300", "0.1", "5e-324", "NaN", "-Infinity", "0x10", "1_0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) { fuzzSafe(t, float8Text, cell) })
}

// Every number that Postgres could send reads the same from both forms.
func FuzzFloatForms(f *testing.F) {
	f.Add(uint64(0))
	f.Add(math.Float64bits(0.1))
	f.Add(uint64(1))
	f.Add(math.Float64bits(math.Inf(-1)))
	f.Fuzz(func(t *testing.T, bits uint64) {
		v := math.Float64frombits(bits)
		text := strconv.FormatFloat(v, 'g', -1, 64)
		switch {
		case math.IsInf(v, 1):
			text = "Infinity"
		case math.IsInf(v, -1):
			text = "-Infinity"
		}
		a, err := record(float8Text, []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if b, err := record(float8Binary, bytesOf(bits)); err != nil || a != b {
			t.Fatalf("%s: text %s, binary %s, %v", text, a, b, err)
		}
	})
}
