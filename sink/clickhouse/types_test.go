package clickhouse

import (
	"slices"
	"testing"
)

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		have, want string
		holds      bool
	}{
		{"Int32", "Int32", true},
		{"Int64", "Int32", true},
		{"Int256", "Int8", true},
		{"Int16", "Int32", false},
		{"UInt64", "Int32", false},
		{"Int64", "UInt32", true},
		{"Int32", "UInt32", false},
		{"UInt32", "UInt16", true},
		{"Int128", "UInt64", true},
		{"Float64", "Int32", false},
		{"Float64", "Float32", true},
		{"Float32", "Float64", false},
		{"UInt8", "Bool", true},
		{"Int8", "Bool", false},
		{"Bool", "UInt8", false},
		{"Nullable(Int32)", "Int32", true},
		{"Nullable(Int64)", "Nullable(Int32)", true},
		{"Int64", "Nullable(Int32)", false},
		{"Nullable(Int16)", "Int32", false},
		{"LowCardinality(String)", "String", true},
		{"String", "LowCardinality(String)", true},
		{"LowCardinality(Nullable(String))", "Nullable(String)", true},
		{"Nullable(String)", "LowCardinality(Nullable(String))", true},
		{"LowCardinality(String)", "Nullable(String)", false},
		{"FixedString(16)", "String", false},
		{"UUID", "String", false},
		{"String", "UUID", false},
		{"JSON", "String", false},
		{"Decimal(38, 9)", "Decimal(10, 2)", true},
		{"Decimal(38,9)", "Decimal(10,2)", true},
		{"Decimal(10, 3)", "Decimal(10, 2)", false},
		{"Decimal(11, 3)", "Decimal(10, 2)", true},
		{"Decimal(38, 1)", "Decimal(10, 2)", false},
		{"DateTime64(6)", "DateTime64(6, 'UTC')", true},
		{"DateTime64(8, 'Asia/Tokyo')", "DateTime64(6, 'UTC')", true},
		{"DateTime64(9, 'UTC')", "DateTime64(6, 'UTC')", false},
		{"DateTime64(9, 'UTC')", "DateTime64(9, 'UTC')", true},
		{"DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')", false},
		{"DateTime('UTC')", "DateTime64(0, 'UTC')", false},
		{"Date", "Date32", false},
		{"Time64(9)", "Time64(6)", true},
		{"Time64(3)", "Time64(6)", false},
		{"Array(Nullable(Int64))", "Array(Nullable(Int32))", true},
		{"Array(Int64)", "Array(Nullable(Int32))", false},
		{"Array(Array(Nullable(String)))", "Array(Array(Nullable(String)))", true},
		{"Array(LowCardinality(String))", "Array(String)", true},
		{"Map(String, Nullable(String))", "Map(String, Nullable(String))", true},
		{"Map(LowCardinality(String), Nullable(String))", "Map(String, Nullable(String))", true},
		{"Map(String, String)", "Map(String, Nullable(String))", false},
		{"IntervalDay", "Int32", false},
	} {
		if holds(c.have, c.want) != c.holds {
			t.Errorf("%s for %s: %v", c.have, c.want, !c.holds)
		}
	}
}

func TestSplitList(t *testing.T) {
	for in, want := range map[string][]string{
		"":                     nil,
		"a":                    {"a"},
		"a, `b, c`, f(d, e)":   {"a", "b, c", "f(d, e)"},
		"`quo'te`, `b\\`\\n`":  {"quo'te", "b`\n"},
		"`b\\\\`, 'a, \\', b'": {`b\`, `'a, \', b'`},
		"a, b) ORDER BY c":     {"a", "b"},
		"[1, 2], `a` + `b`":    {"[1, 2]", "`a` + `b`"},
		"`unclosed":            {"`unclosed"},
	} {
		if got := splitList(in); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
