package column

import (
	"math"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// float takes floating-point numbers with NaN and the infinities, and whole
// numbers. What the type does not hold to the last bit is TooWide.
type float[C ~[]T, T interface {
	comparable
	~float32 | ~float64
}, P storage[C]] struct {
	refusal
	fixed[C, T, P]
}

func newFloat[C ~[]T, T interface {
	comparable
	~float32 | ~float64
}, P storage[C]](typ string) *Column {
	f := &float[C, T, P]{refusal: refusal(typ)}
	f.canon = canonicalFloat[T]
	return newColumn(typ, f, &f.fixed)
}

func newFloat32(typ string) *Column { return newFloat[proto.ColFloat32](typ) }
func newFloat64(typ string) *Column { return newFloat[proto.ColFloat64](typ) }

// canonicalFloat is what ClickHouse's sorting makes of a number: -0 equals 0,
// and all NaNs are equal.
func canonicalFloat[T ~float32 | ~float64](v T) T {
	if v == 0 {
		return 0
	}
	if v != v {
		return T(math.NaN())
	}
	return v
}

func (f *float[C, T, P]) Float(v float64) error {
	t := T(v)
	if float64(t) != v && v == v {
		f.zero()
		return source.TooWide
	}
	f.items = append(f.items, t)
	return nil
}

func (f *float[C, T, P]) Int(v int64) error {
	t := T(v)
	// 1<<63 is a number of the type, but none that converts back.
	if float64(t) >= 1<<63 || int64(t) != v {
		f.zero()
		return source.TooWide
	}
	f.add(t)
	return nil
}

func (f *float[C, T, P]) Uint(v uint64) error {
	t := T(v)
	if float64(t) >= 1<<64 || uint64(t) != v {
		f.zero()
		return source.TooWide
	}
	f.add(t)
	return nil
}

func (f *float[C, T, P]) Special(v source.Special) error {
	switch v {
	case source.NaN:
		f.add(T(math.NaN()))
	case source.PosInf:
		f.add(T(math.Inf(1)))
	case source.NegInf:
		f.add(T(math.Inf(-1)))
	default:
		return f.refusal.Special(v)
	}
	return nil
}
