package mapper

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// targetType returns the ClickHouse type for a logical type. Arrays are never
// nullable, since ClickHouse has no such type: a NULL array arrives empty.
func targetType(t *source.Type, nullable bool, types func(string) bool) string {
	switch t.Kind {
	case source.Array:
		return "Array(" + targetType(t.Elem, true, types) + ")"
	case source.Set:
		return "Array(LowCardinality(String))"
	case source.Vector:
		return "Array(Float32)"
	case source.Enum:
		if nullable {
			return "LowCardinality(Nullable(String))"
		}
		return "LowCardinality(String)"
	}
	typ := scalarType(t, types)
	if nullable {
		return "Nullable(" + typ + ")"
	}
	return typ
}

// isList reports whether values of a kind have elements. ClickHouse has no NULL
// for them and does not sort by them.
func isList(k source.Kind) bool {
	return k == source.Array || k == source.Set || k == source.Vector
}

func scalarType(t *source.Type, types func(string) bool) string {
	switch t.Kind {
	case source.Bool:
		return "Bool"
	case source.Int8:
		return "Int8"
	case source.Int16:
		return "Int16"
	case source.Int32:
		return "Int32"
	case source.Int64:
		return "Int64"
	case source.UInt8:
		return "UInt8"
	case source.UInt16:
		return "UInt16"
	case source.UInt32:
		return "UInt32"
	case source.UInt64:
		return "UInt64"
	case source.Float32:
		return "Float32"
	case source.Float64:
		return "Float64"
	case source.Decimal:
		return fmt.Sprintf("Decimal(%d, %d)", t.Precision, t.Scale)
	case source.UUID:
		return "UUID"
	case source.Date:
		return "Date32"
	case source.Time:
		if !types("Time64") {
			return "Int64" // microseconds since midnight
		}
		return fmt.Sprintf("Time64(%d)", t.Precision)
	case source.Timestamp:
		return fmt.Sprintf("DateTime64(%d, 'UTC')", t.Precision)
	case source.IPv4:
		return "IPv4"
	case source.IPv6:
		return "IPv6"
	}
	return "String"
}

// canTake tries a value of the logical type on a column of a ClickHouse type.
func canTake(typ string, t *source.Type) error {
	c, err := column.New(typ)
	if err != nil {
		return err
	}
	err = c.Append(source.Cell{Kind: source.Text}, func(_ []byte, to source.Appender) error { return sample(t, to) })
	if misfit := (*source.Misfit)(nil); errors.As(err, &misfit) {
		return nil
	}
	return err
}

// sample appends some value of a logical type.
func sample(t *source.Type, to source.Appender) error {
	switch t.Kind {
	case source.Bool:
		return to.Bool(true)
	case source.Int8, source.Int16, source.Int32, source.Int64:
		return to.Int(1)
	case source.UInt8, source.UInt16, source.UInt32, source.UInt64:
		return to.Uint(1)
	case source.Float32, source.Float64:
		return to.Float(1)
	case source.Decimal:
		return to.Decimal(&source.Number{})
	case source.UUID:
		return to.UUID([16]byte{})
	case source.Date:
		return to.Date(0)
	case source.Time:
		return to.Time(0)
	case source.Timestamp:
		return to.Timestamp(0)
	case source.IPv4:
		return to.Bytes(make([]byte, 4))
	case source.IPv6:
		return to.Bytes(make([]byte, 16))
	case source.Array, source.Set, source.Vector:
		_, err := to.List(0)
		return err
	}
	return to.Bytes(nil)
}
