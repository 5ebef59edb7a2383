package column

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// decimal takes numbers that it holds exactly: decimals, whatever their scale,
// and integers. Others are TooWide, and what is no number is NotANumber.
type decimal struct {
	refusal
	coefficients
	scale int
	limit uint256 // 10^precision, which no coefficient reaches
	// word is the limit of those that are one word: most are, and that makes
	// them cheap.
	word uint64
}

// coefficients stores numbers times 10^scale, as integers of 32, 64, 128 or
// 256 bits.
type coefficients interface {
	put(coef uint256, neg bool)
	putWord(coef uint64, neg bool)
}

func newDecimal(precision, scale int) *Column {
	typ := fmt.Sprintf("Decimal(%d, %d)", precision, scale)
	d := &decimal{refusal: refusal(typ), scale: scale, limit: powers[precision], word: math.MaxUint64}
	if precision <= step {
		d.word = d.limit[0]
	}
	var store values
	switch {
	case precision <= 9:
		f := new(decimal64[proto.ColDecimal32, proto.Decimal32, *proto.ColDecimal32])
		d.coefficients, store = f, &f.fixed
	case precision <= 18:
		f := new(decimal64[proto.ColDecimal64, proto.Decimal64, *proto.ColDecimal64])
		d.coefficients, store = f, &f.fixed
	case precision <= 38:
		f := new(decimal128)
		d.coefficients, store = f, &f.fixed
	default:
		f := new(decimal256)
		d.coefficients, store = f, &f.fixed
	}
	return newColumn(typ, d, store)
}

func (d *decimal) Decimal(n *source.Number) error {
	shift := d.scale - n.Scale
	if uint(shift) <= step && n.Coef[1]|n.Coef[2]|n.Coef[3] == 0 && !n.Over {
		hi, lo := bits.Mul64(n.Coef[0], powers[shift][0])
		if hi == 0 && lo < d.word {
			d.putWord(lo, n.Neg)
			return nil
		}
	}
	coef, ok := rescale(n, d.scale)
	if !ok || !coef.less(&d.limit) {
		d.putWord(0, false)
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
	d.putWord(0, false)
	return source.NotANumber
}

// decimal64 holds coefficients of at most 18 digits.
type decimal64[C ~[]T, T interface {
	comparable
	~int32 | ~int64
}, P storage[C]] struct{ fixed[C, T, P] }

func (f *decimal64[C, T, P]) put(coef uint256, neg bool) { f.putWord(coef[0], neg) }

func (f *decimal64[C, T, P]) putWord(coef uint64, neg bool) {
	v := T(coef)
	if neg {
		v = -v
	}
	f.items = append(f.items, v)
}

type decimal128 struct {
	fixed[proto.ColDecimal128, proto.Decimal128, *proto.ColDecimal128]
}

func (f *decimal128) put(coef uint256, neg bool) {
	if neg {
		coef = coef.neg()
	}
	f.items = append(f.items, proto.Decimal128{Low: coef[0], High: coef[1]})
}

func (f *decimal128) putWord(coef uint64, neg bool) { f.put(uint256{coef}, neg) }

type decimal256 struct {
	fixed[proto.ColDecimal256, proto.Decimal256, *proto.ColDecimal256]
}

func (f *decimal256) put(coef uint256, neg bool) {
	if neg {
		coef = coef.neg()
	}
	f.items = append(f.items, proto.Decimal256{
		Low:  proto.UInt128{Low: coef[0], High: coef[1]},
		High: proto.UInt128{Low: coef[2], High: coef[3]},
	})
}

func (f *decimal256) putWord(coef uint64, neg bool) { f.put(uint256{coef}, neg) }
