package column

import (
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestIntegers(t *testing.T) {
	zero := isInt(0)
	for typ, ends := range map[string][2]int64{
		"Int8":   {math.MinInt8, math.MaxInt8},
		"Int16":  {math.MinInt16, math.MaxInt16},
		"Int32":  {math.MinInt32, math.MaxInt32},
		"UInt8":  {0, math.MaxUint8},
		"UInt16": {0, math.MaxUint16},
		"UInt32": {0, math.MaxUint32},
	} {
		checkFits(t, typ, []fit{
			{isInt(ends[0]), isInt(ends[0]), nil},
			{isInt(ends[1]), isUint(uint64(ends[1])), nil},
			{isBool(true), isInt(1), nil},
			{isBool(false), zero, nil},
			{isInt(ends[0] - 1), zero, source.TooWide},
			{isInt(ends[1] + 1), zero, source.TooWide},
			{isUint(uint64(ends[1]) + 1), zero, source.TooWide},
			{isInt(math.MinInt64), zero, source.TooWide},
			{isUint(math.MaxUint64), zero, source.TooWide},
		})
	}
	checkFits(t, "Int64", []fit{
		{isUint(math.MaxInt64), isInt(math.MaxInt64), nil},
		{isUint(1 << 63), zero, source.TooWide},
	})
	checkFits(t, "UInt64", []fit{
		{isInt(math.MaxInt64), isUint(math.MaxInt64), nil},
		{isInt(-1), zero, source.TooWide},
	})
	checkFits(t, "Bool", []fit{
		{isInt(1), isBool(true), nil},
		{isUint(0), isBool(false), nil},
		{isInt(2), isBool(false), source.TooWide},
		{isInt(-1), isBool(false), source.TooWide},
	})
}
