package column

import (
	"github.com/ClickHouse/ch-go/proto"
)

// lastTime is the last whole second of Time and Time64: 999:59:59.
const lastTime = 999*3600 + 59*60 + 59

// span takes times of day and signed spans of time. Those beyond 999:59:59
// either way are clamped.
type span[C ~[]T, T interface {
	comparable
	~int32 | ~int64
}, P storage[C]] struct {
	refusal
	fixed[C, T, P]
	ticks ticks
}

func newTime(typ string) *Column {
	s := &span[proto.ColInt32, int32, *proto.ColInt32]{
		refusal: refusal(typ), ticks: spanTicks(0),
	}
	return newColumn(typ, s, &s.fixed)
}

func newTime64(typ string, precision int) *Column {
	s := &span[proto.ColInt64, int64, *proto.ColInt64]{
		refusal: refusal(typ), ticks: spanTicks(precision),
	}
	return newColumn(typ, s, &s.fixed)
}

// spanTicks are ticks that reach as far before zero as behind it.
func spanTicks(precision int) ticks {
	t := newTicks(precision, 0, lastTime)
	t.first, t.low = -t.last, -t.high
	return t
}

func (s *span[C, T, P]) Time(micros int64) error {
	v, misfit := s.ticks.of(micros)
	s.items = append(s.items, T(v))
	if misfit != nil {
		return misfit
	}
	return nil
}
