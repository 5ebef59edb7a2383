package column

import (
	"math"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
)

// ticks turns µs into units of a fraction of a second.
type ticks struct {
	mul, div    int64 // one of them is 1
	first, last int64 // µs between which there are ticks
	low, high   int64 // the ticks at these ends
}

// newTicks makes ticks of 10^-precision s that begin at second first and end
// with second last.
func newTicks(precision int, first, last int64) ticks {
	t := ticks{mul: 1, div: 1}
	for p := 6; p < precision; p++ {
		t.mul *= 10
	}
	for p := 6; p > precision; p-- {
		t.div *= 10
	}
	perSecond := microsPerSecond * t.mul / t.div
	t.first, t.last = first*microsPerSecond, (last+1)*microsPerSecond-1
	t.low, t.high = first*perSecond, math.MaxInt64
	if last < math.MaxInt64/perSecond {
		t.high = (last+1)*perSecond - 1
	} else {
		t.last = math.MaxInt64 / t.mul
	}
	return t
}

// of returns the ticks of micros, or what stands for it and the misfit.
// Digits below one tick are TooWide: nothing is rounded.
func (t *ticks) of(micros int64) (int64, *source.Misfit) {
	switch {
	case micros < t.first:
		return t.low, source.OutOfRange
	case micros > t.last:
		return t.high, source.OutOfRange
	case t.div == 1:
		return micros * t.mul, nil
	case micros%t.div != 0:
		return 0, source.TooWide
	}
	return micros / t.div, nil
}

// timestamp takes timestamps, and dates as their midnight in UTC. Those outside
// the type's range, and the infinities, are clamped.
type timestamp[C ~[]T, T interface {
	comparable
	~int64 | ~uint32
}, P storage[C]] struct {
	refusal
	fixed[C, T, P]
	ticks ticks
}

// newDateTime makes a column of DateTime: seconds up to 2106-02-07 06:28:15.
// A time zone only says how the server prints it.
func newDateTime(typ string) *Column {
	t := &timestamp[proto.ColUInt32, uint32, *proto.ColUInt32]{
		refusal: refusal(typ), ticks: newTicks(0, 0, math.MaxUint32),
	}
	return newColumn(typ, t, &t.fixed)
}

// newDateTime64 makes a column of DateTime64(precision): 1900-01-01 to
// 2299-12-31, with a precision of 9 to 2262-04-11 23:47:16.854775807.
func newDateTime64(typ string, precision int) *Column {
	const day = microsPerDay / microsPerSecond
	t := &timestamp[proto.ColInt64, int64, *proto.ColInt64]{
		refusal: refusal(typ),
		ticks:   newTicks(precision, firstDate32*day, (lastDate32+1)*day-1),
	}
	return newColumn(typ, t, &t.fixed)
}

func (t *timestamp[C, T, P]) Timestamp(micros int64) error {
	v, misfit := t.ticks.of(micros)
	t.items = append(t.items, T(v))
	if misfit != nil {
		return misfit
	}
	return nil
}

func (t *timestamp[C, T, P]) Date(days int64) error {
	const most = math.MaxInt64 / microsPerDay
	return t.Timestamp(min(max(days, -most), most) * microsPerDay)
}

func (t *timestamp[C, T, P]) Special(v source.Special) error {
	switch v {
	case source.PosInf:
		t.add(T(t.ticks.high))
		return source.OutOfRange
	case source.NegInf:
		t.add(T(t.ticks.low))
		return source.OutOfRange
	case source.ZeroDate:
		t.zero()
		return source.NotADate
	}
	return t.refusal.Special(v)
}
