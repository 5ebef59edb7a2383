package column

import (
	"fmt"
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

func TestTimes(t *testing.T) {
	const last = 3599999_999999 // 999:59:59.999999
	checkFits(t, "Time", []fit{
		{isTime(86400e6), isTime(86400e6), nil},
		{isTime(-1e6), isTime(-1e6), nil},
		{isTime(3600000e6), isTime(3599999e6), source.OutOfRange},
		{isTime(math.MinInt64), isTime(-3599999e6), source.OutOfRange},
		{isTime(1), isTime(0), source.TooWide},
		{isTime(-500_000), isTime(0), source.TooWide},
	})
	checkFits(t, "Time64(6)", []fit{
		{isTime(last), isTime(last), nil},
		{isTime(-last), isTime(-last), nil},
		{isTime(last + 1), isTime(last), source.OutOfRange},
		{isTime(-last - 1), isTime(-last), source.OutOfRange},
		{isTime(math.MaxInt64), isTime(last), source.OutOfRange},
	})
	checkFits(t, "Time64(3)", []fit{
		{isTime(-838*3600e6 - 59*60e6 - 59_999_000), isTime(-3020399_999000), nil},
		{isTime(1_500), isTime(0), source.TooWide},
	})
}

func TestTime64EndsWithTheLastTick(t *testing.T) {
	end := int64(3600000)
	for precision := range 10 {
		c := newTest(t, fmt.Sprintf("Time64(%d)", precision))
		for _, v := range []int64{math.MaxInt64, math.MinInt64} {
			if put(c, isTime(v)) == nil {
				t.Errorf("%s took %d µs", c.Type(), v)
			}
		}
		if got := ticksOf(t, c); got[0] != end-1 || got[1] != 1-end {
			t.Errorf("%s ends at %d, want %d", c.Type(), got, end-1)
		}
		end *= 10
	}
}
