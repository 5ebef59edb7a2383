package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// decimal takes numbers that it holds exactly: decimals, whatever their scale,
// and integers. Others are TooWide, and what is no number is NotANumber.
type decimal struct {
	refusal
	scale int
	limit uint256 // 10^precision, which no coefficient reaches
	put   func(coef uint256, neg bool)
}

// newDecimal makes a column of Decimal(precision, scale), which ClickHouse
// stores as an integer of 32, 64, 128 or 256 bits.
func newDecimal(precision, scale int) *Column {
	typ := fmt.Sprintf("Decimal(%d, %d)", precision, scale)
	d := &decimal{refusal: refusal(typ), scale: scale, limit: powers[precision]}
	var store values
	switch {
	case precision <= 9:
		store, d.put = narrowDecimal[proto.ColDecimal32]()
	case precision <= 18:
		store, d.put = narrowDecimal[proto.ColDecimal64]()
	case precision <= 38:
		store, d.put = decimal128()
	default:
		store, d.put = decimal256()
	}
	return newColumn(typ, d, store)
}

func narrowDecimal[C ~[]T, T interface {
	comparable
	~int32 | ~int64
}, P storage[C]]() (values, func(uint256, bool)) {
	f := new(fixed[C, T, P])
	return f, func(coef uint256, neg bool) {
		v := T(coef[0])
		if neg {
			v = -v
		}
		f.items = append(f.items, v)
	}
}

func decimal128() (values, func(uint256, bool)) {
	f := new(fixed[proto.ColDecimal128, proto.Decimal128, *proto.ColDecimal128])
	return f, func(coef uint256, neg bool) {
		if neg {
			coef = coef.neg()
		}
		f.items = append(f.items, proto.Decimal128{Low: coef[0], High: coef[1]})
	}
}

func decimal256() (values, func(uint256, bool)) {
	f := new(fixed[proto.ColDecimal256, proto.Decimal256, *proto.ColDecimal256])
	return f, func(coef uint256, neg bool) {
		if neg {
			coef = coef.neg()
		}
		f.items = append(f.items, proto.Decimal256{
			Low:  proto.UInt128{Low: coef[0], High: coef[1]},
			High: proto.UInt128{Low: coef[2], High: coef[3]},
		})
	}
}

func (d *decimal) Decimal(n *source.Number) error {
	coef, ok := rescale(n, d.scale)
	if !ok || !coef.less(&d.limit) {
		d.put(uint256{}, false)
		return source.TooWide
	}
	d.put(coef, n.Neg)
	return nil
}

func (d *decimal) Int(v int64) error {
	n := source.Number{Coef: [4]uint64{uint64(v)}}
	if v < 0 {
		n.Coef[0], n.Neg = -uint64(v), true
	}
	return d.Decimal(&n)
}

func (d *decimal) Uint(v uint64) error {
	return d.Decimal(&source.Number{Coef: [4]uint64{v}})
}

func (d *decimal) Special(v source.Special) error {
	if v == source.ZeroDate {
		return d.refusal.Special(v)
	}
	d.put(uint256{}, false)
	return source.NotANumber
}
