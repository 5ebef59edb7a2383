package column

import (
	"github.com/millrace/millrace/source"
)

type anyInteger interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// integer takes whole numbers, booleans as 0 and 1, and times as microseconds,
// for servers without Time64. A number outside the type's range is TooWide.
type integer[C ~[]T, T interface {
	comparable
	anyInteger
}, P storage[C]] struct {
	refusal
	fixed[C, T, P]
}

func newInteger[C ~[]T, T interface {
	comparable
	anyInteger
}, P storage[C]](typ string) *Column {
	i := &integer[C, T, P]{refusal: refusal(typ)}
	return newColumn(typ, i, &i.fixed)
}

func (i *integer[C, T, P]) Int(v int64) error {
	t := T(v)
	if int64(t) != v || (t < 0) != (v < 0) {
		i.zero()
		return source.TooWide
	}
	i.items = append(i.items, t)
	return nil
}

func (i *integer[C, T, P]) Uint(v uint64) error {
	t := T(v)
	if uint64(t) != v || t < 0 {
		i.zero()
		return source.TooWide
	}
	i.items = append(i.items, t)
	return nil
}

func (i *integer[C, T, P]) Time(micros int64) error { return i.Int(micros) }

func (i *integer[C, T, P]) Bool(v bool) error {
	if v {
		i.add(1)
	} else {
		i.add(0)
	}
	return nil
}
