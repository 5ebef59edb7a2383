package column

import (
	"strings"
	"testing"
)

func TestTypeIsNormalised(t *testing.T) {
	for typ, want := range map[string]string{
		" Int32 ":                            "Int32",
		"Nullable( Decimal(10,2) )":          "Nullable(Decimal(10, 2))",
		"Decimal(5)":                         "Decimal(5, 0)",
		"Decimal":                            "Decimal(10, 0)",
		"DateTime64":                         "DateTime64(3)",
		"DateTime64(6,'UTC')":                "DateTime64(6, 'UTC')",
		"DateTime( 'Europe/Berlin' )":        "DateTime('Europe/Berlin')",
		"Time64":                             "Time64(3)",
		"Array(Array( Nullable(String)))":    "Array(Array(Nullable(String)))",
		"LowCardinality(Nullable( String ))": "LowCardinality(Nullable(String))",
		"JSON(max_dynamic_paths=3, a UInt8)": "JSON(max_dynamic_paths=3, a UInt8)",
		"FixedString( 16)":                   "FixedString(16)",
	} {
		c, err := New(typ)
		if err != nil {
			t.Error(err)
			continue
		}
		if c.Type() != want || string(c.Input().Type()) != want {
			t.Errorf("%q is %q and sent as %q, want %q", typ, c.Type(), c.Input().Type(), want)
		}
		if nullable := strings.HasPrefix(want, "Nullable") || strings.HasPrefix(want, "LowCardinality(Nullable"); c.Nullable() != nullable {
			t.Errorf("%q is nullable: %v", typ, c.Nullable())
		}
	}
}

func TestUnsupportedTypeIsNamed(t *testing.T) {
	for _, typ := range []string{
		"", "int32", "Int128", "Enum8('a' = 1)", "Map(String, String)", "Tuple(Int8)",
		"Nullable", "Nullable()", "Nullable(Int8, Int8)", "Nullable(Nullable(Int8))",
		"Nullable(Array(Int8))", "Nullable(LowCardinality(String))",
		"LowCardinality(Int8)", "LowCardinality(FixedString(3))",
		"Array", "Array()", "Array(Int8", "Array)", "Array(Foo)", "Int8()",
		"Decimal(0, 0)", "Decimal(77, 0)", "Decimal(5, 6)", "Decimal(5, -1)", "Decimal(1, 1, 1)", "Decimal(x)",
		"FixedString", "FixedString(0)", "FixedString(99999999)",
		"DateTime()", "DateTime64(10)", "DateTime64(6, 'UTC', 1)", "Time64(-1)", "Time64(3, 3)",
	} {
		c, err := New(typ)
		if err == nil {
			t.Errorf("%q made a column of %s", typ, c.Type())
		} else if !strings.Contains(err.Error(), typ) {
			t.Errorf("%q is not named by: %v", typ, err)
		}
	}
}

func FuzzNew(f *testing.F) {
	for _, family := range families {
		f.Add("Array(Nullable(" + family.typ + "))")
		f.Add(family.typ)
	}
	f.Add("DateTime64(6, 'a\\',b')")
	f.Fuzz(func(t *testing.T, typ string) {
		c, err := New(typ)
		if err != nil {
			return
		}
		again, err := New(c.Type())
		if err != nil || again.Type() != c.Type() {
			t.Errorf("%q is normalised to %q, and that to %v, %v", typ, c.Type(), again, err)
		}
	})
}
