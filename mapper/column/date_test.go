package column

import (
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/source"
)

func days(date string) int64 {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return at.Unix() / 86400
}

func TestDates(t *testing.T) {
	for typ, ends := range map[string][2]int64{
		"Date":   {days("1970-01-01"), days("2149-06-06")},
		"Date32": {days("1900-01-01"), days("2299-12-31")},
	} {
		first, last := isDate(ends[0]), isDate(ends[1])
		checkFits(t, typ, []fit{
			{first, first, nil},
			{last, last, nil},
			{isDate(0), isDate(0), nil},
			{isDate(ends[0] - 1), first, source.OutOfRange},
			{isDate(ends[1] + 1), last, source.OutOfRange},
			{isDate(math.MinInt64), first, source.OutOfRange},
			{isDate(math.MaxInt64), last, source.OutOfRange},
			{is(source.NegInf), first, source.OutOfRange},
			{is(source.PosInf), last, source.OutOfRange},
			{is(source.ZeroDate), isDate(0), source.NotADate},
		})
	}
}
