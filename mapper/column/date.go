package column

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// The ends of ClickHouse's date types, in days since 1970-01-01.
const (
	firstDate32 = -25567 // 1900-01-01
	lastDate32  = 120529 // 2299-12-31
	firstDate   = 0
	lastDate    = 65535 // 2149-06-06
)

// date takes calendar dates. Those outside the type's range, and the
// infinities, are clamped.
type date[C ~[]T, T interface {
	comparable
	~int32 | ~uint16
}, P storage[C]] struct {
	refusal
	fixed[C, T, P]
	first, last int64
}

func newDate(typ string) *Column {
	d := &date[proto.ColUInt16, uint16, *proto.ColUInt16]{
		refusal: refusal(typ), first: firstDate, last: lastDate,
	}
	return newColumn(typ, d, &d.fixed)
}

func newDate32(typ string) *Column {
	d := &date[proto.ColInt32, int32, *proto.ColInt32]{
		refusal: refusal(typ), first: firstDate32, last: lastDate32,
	}
	return newColumn(typ, d, &d.fixed)
}

func (d *date[C, T, P]) Date(days int64) error {
	if days < d.first {
		d.add(T(d.first))
		return source.OutOfRange
	}
	if days > d.last {
		d.add(T(d.last))
		return source.OutOfRange
	}
	d.items = append(d.items, T(days))
	return nil
}

func (d *date[C, T, P]) Special(v source.Special) error {
	switch v {
	case source.PosInf:
		d.add(T(d.last))
		return source.OutOfRange
	case source.NegInf:
		d.add(T(d.first))
		return source.OutOfRange
	case source.ZeroDate:
		d.zero()
		return source.NotADate
	}
	return d.refusal.Special(v)
}
