package postgres

import (
	"fmt"
	"testing"

	"github.com/millrace/millrace/source"
)

// numericMod is the typmod of numeric(p, s).
func numericMod(p, s int32) int32 { return p<<16 | s&0x7ff + 4 }

func TestColumnType(t *testing.T) {
	numeric := &pgType{OID: oidNumeric, Kind: 'b'}
	int4 := &pgType{OID: oidInt4, Kind: 'b'}
	money := &pgType{OID: 790, Name: "money", Kind: 'b'}
	mood := &pgType{OID: 70000, Name: "mood", Kind: 'e'}
	array := func(elem *pgType) *pgType { return &pgType{OID: 80000, Kind: 'b', Elem: elem} }
	domain := func(base *pgType, mod int32) *pgType {
		return &pgType{OID: 90000, Kind: 'd', Base: base, BaseMod: mod}
	}
	for _, c := range []struct {
		name   string
		typ    *pgType
		mod    int32
		dims   int
		key    bool
		want   string
		binary bool
	}{
		{"bool", &pgType{OID: oidBool}, -1, 0, false, "Bool", true},
		{"int2", &pgType{OID: oidInt2}, -1, 0, false, "Int16", true},
		{"int4", int4, -1, 0, false, "Int32", true},
		{"int8", &pgType{OID: oidInt8}, -1, 0, true, "Int64", true},
		{"oid", &pgType{OID: oidOID}, -1, 0, false, "UInt32", true},
		{"float4", &pgType{OID: oidFloat4}, -1, 0, false, "Float32", true},
		{"float8", &pgType{OID: oidFloat8}, -1, 0, false, "Float64", true},
		{"varchar(10)", &pgType{OID: oidVarchar}, 14, 0, false, "String", true},
		{"char(10)", &pgType{OID: oidBPChar}, 14, 0, false, "String", true},
		{"citext", &pgType{OID: 70001, Name: "citext", Kind: 'b'}, -1, 0, false, "String", true},
		{"bytea", &pgType{OID: oidBytea}, -1, 0, false, "Bytes", true},
		{"uuid", &pgType{OID: oidUUID}, -1, 0, false, "UUID", true},
		{"json", &pgType{OID: oidJSON}, -1, 0, false, "JSON", true},
		{"jsonb", &pgType{OID: oidJSONB}, -1, 0, false, "JSON", true},
		{"date", &pgType{OID: oidDate}, -1, 0, false, "Date", true},
		{"time(3)", &pgType{OID: oidTime}, 3, 0, false, "Time(6)", true},
		{"timestamp(0)", &pgType{OID: oidTimestamp}, 0, 0, false, "Timestamp(6)", true},
		{"timestamptz", &pgType{OID: oidTimestampTZ}, -1, 0, false, "Timestamp(6)", true},
		{"enum", mood, -1, 0, false, "Enum", true},
		{"money", money, -1, 0, false, "String", false},
		{"interval", &pgType{OID: 1186, Name: "interval", Kind: 'b'}, -1, 0, false, "String", false},
		{"composite", &pgType{OID: 70002, Kind: 'c'}, -1, 0, false, "String", false},
		{"int4range", &pgType{OID: 3904, Kind: 'r'}, -1, 0, false, "String", false},
		{"int2vector", &pgType{OID: oidInt2Vector, Kind: 'b', Elem: &pgType{OID: oidInt2}}, -1, 0, false, "String", false},

		{"numeric", numeric, -1, 0, false, "Decimal(76, 38)", true},
		{"numeric as key", numeric, -1, 0, true, "String", true},
		{"numeric(10,2)", numeric, numericMod(10, 2), 0, false, "Decimal(10, 2)", true},
		{"numeric(10,2) as key", numeric, numericMod(10, 2), 0, true, "Decimal(10, 2)", true},
		{"numeric(1,0)", numeric, numericMod(1, 0), 0, false, "Decimal(1, 0)", true},
		{"numeric(76,76)", numeric, numericMod(76, 76), 0, false, "Decimal(76, 76)", true},
		{"numeric(77,0)", numeric, numericMod(77, 0), 0, false, "String", true},
		{"numeric(1000,1000)", numeric, numericMod(1000, 1000), 0, false, "String", true},
		{"numeric(2,-3)", numeric, numericMod(2, -3), 0, false, "Decimal(5, 0)", true},
		{"numeric(76,-1)", numeric, numericMod(76, -1), 0, false, "String", true},
		{"numeric(1,-1000)", numeric, numericMod(1, -1000), 0, false, "String", true},
		{"numeric(3,5)", numeric, numericMod(3, 5), 0, false, "Decimal(5, 5)", true},
		{"numeric(3,77)", numeric, numericMod(3, 77), 0, false, "String", true},

		{"int4[]", array(int4), -1, 1, false, "Array(Int32)", true},
		{"int4[] of unknown dimensions", array(int4), -1, 0, false, "Array(Int32)", true},
		{"int4[][]", array(int4), -1, 2, false, "Array(Array(Int32))", true},
		{"numeric(10,2)[]", array(numeric), numericMod(10, 2), 1, false, "Array(Decimal(10, 2))", true},
		{"enum[]", array(mood), -1, 1, false, "Array(Enum)", true},
		{"money[]", array(money), -1, 1, false, "Array(String)", false},
		{"domain", domain(numeric, numericMod(10, 2)), -1, 0, false, "Decimal(10, 2)", true},
		{"domain over domain", domain(domain(numeric, numericMod(10, 2)), -1), -1, 0, false, "Decimal(10, 2)", true},
		{"domain over array", domain(array(numeric), numericMod(10, 2)), -1, 0, false, "Array(Decimal(10, 2))", true},
		{"domain over array of two dimensions", &pgType{OID: 90001, Kind: 'd', Base: array(int4), BaseMod: -1, BaseDims: 2}, -1, 0, false, "Array(Array(Int32))", true},
		{"array of domain", array(domain(int4, -1)), -1, 1, false, "Array(Int32)", true},
		{"array of domain over array", array(domain(array(int4), -1)), -1, 1, false, "Array(Array(Int32))", true},
	} {
		typ, text, binary := columnType(c.typ, c.mod, c.dims, c.key)
		if got := typeName(typ); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if text == nil {
			t.Errorf("%s: no text decoder", c.name)
		}
		if (binary != nil) != c.binary {
			t.Errorf("%s: binary decoder: %t, want %t", c.name, binary != nil, c.binary)
		}
	}
}

var kindNames = map[source.Kind]string{
	source.String: "String", source.Bytes: "Bytes", source.JSON: "JSON", source.Enum: "Enum", source.Bool: "Bool",
	source.Int16: "Int16", source.Int32: "Int32", source.Int64: "Int64", source.UInt32: "UInt32",
	source.Float32: "Float32", source.Float64: "Float64", source.UUID: "UUID", source.Date: "Date",
}

func typeName(t source.Type) string {
	switch t.Kind {
	case source.Decimal:
		return fmt.Sprintf("Decimal(%d, %d)", t.Precision, t.Scale)
	case source.Time:
		return fmt.Sprintf("Time(%d)", t.Precision)
	case source.Timestamp:
		return fmt.Sprintf("Timestamp(%d)", t.Precision)
	case source.Array:
		return "Array(" + typeName(*t.Elem) + ")"
	}
	return kindNames[t.Kind]
}
