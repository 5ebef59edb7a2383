package column

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/millrace/millrace/source"
)

// ticksOf returns what a column of 64-bit ticks sends.
func ticksOf(t *testing.T, c *Column) []int64 {
	t.Helper()
	sent := native(t, c.Input())
	ticks := make([]int64, c.Rows())
	for i := range ticks {
		ticks[i] = int64(binary.LittleEndian.Uint64(sent[8*i:]))
	}
	return ticks
}

func TestDateTime64(t *testing.T) {
	const first, last = -2208988800, 10413791999 // seconds
	for precision := range 10 {
		typ := fmt.Sprintf("DateTime64(%d, 'UTC')", precision)
		start, second := isTimestamp(first*1e6), isTimestamp(last*1e6)
		if precision == 9 {
			second = isTimestamp(math.MaxInt64 / 1000)
		}
		checkFits(t, typ, []fit{
			{start, isDate(days("1900-01-01")), nil},
			{second, second, nil},
			{isTimestamp(-86400e6), isDate(-1), nil},
			{isTimestamp(first*1e6 - 1), start, source.OutOfRange},
			{isTimestamp(math.MinInt64), start, source.OutOfRange},
			{isDate(days("1899-12-31")), start, source.OutOfRange},
			{isDate(math.MinInt64), start, source.OutOfRange},
			{is(source.NegInf), start, source.OutOfRange},
			{is(source.ZeroDate), isTimestamp(0), source.NotADate},
		})
	}
}

// The last tick may have more digits than µs have.
func TestDateTime64EndsWithTheLastTick(t *testing.T) {
	for precision, want := range []int64{
		10413791999, 104137919999, 1041379199999, 10413791999999, 104137919999999,
		1041379199999999, 10413791999999999, 104137919999999999, 1041379199999999999, math.MaxInt64,
	} {
		c := newTest(t, fmt.Sprintf("DateTime64(%d)", precision))
		for _, value := range []call{
			isTimestamp(math.MaxInt64), isTimestamp(10413792000e6), isDate(math.MaxInt64),
			isDate(days("2300-01-01")), is(source.PosInf),
		} {
			if err := put(c, value); !errors.Is(err, source.OutOfRange) {
				t.Errorf("%s: error %v", c.Type(), err)
			}
		}
		for i, got := range ticksOf(t, c) {
			if got != want {
				t.Errorf("%s: value %d became %d, want %d", c.Type(), i, got, want)
			}
		}
	}
}

func TestDateTime64NeverRounds(t *testing.T) {
	for precision, step := range []int64{1e6, 1e5, 1e4, 1e3, 100, 10, 1} {
		at := 1234567 * step
		fits := []fit{
			{isTimestamp(at), isTimestamp(at), nil},
			{isTimestamp(-at), isTimestamp(-at), nil},
		}
		if step > 1 {
			fits = append(fits,
				fit{isTimestamp(at + step/10), isTimestamp(0), source.TooWide},
				fit{isTimestamp(-at + 1), isTimestamp(0), source.TooWide})
		}
		checkFits(t, fmt.Sprintf("DateTime64(%d, 'UTC')", precision), fits)
	}
	c := newTest(t, "DateTime64(8)")
	if err := put(c, isTimestamp(-1)); err != nil || ticksOf(t, c)[0] != -100 {
		t.Errorf("-1 µs is %d ticks of 10 ns, %v", ticksOf(t, c), err)
	}
}

func TestDateTime(t *testing.T) {
	last := isTimestamp(math.MaxUint32 * 1e6)
	checkFits(t, "DateTime('UTC')", []fit{
		{last, last, nil},
		{isDate(1), isTimestamp(86400e6), nil},
		{isTimestamp(math.MaxUint32*1e6 + 1e6), last, source.OutOfRange},
		{isTimestamp(-1), isTimestamp(0), source.OutOfRange},
		{isTimestamp(1), isTimestamp(0), source.TooWide},
		{is(source.PosInf), last, source.OutOfRange},
		{is(source.NegInf), isTimestamp(0), source.OutOfRange},
		{is(source.ZeroDate), isTimestamp(0), source.NotADate},
	})
}
