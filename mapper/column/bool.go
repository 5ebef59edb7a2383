package column

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// boolean takes booleans, and the integers 0 and 1. Another integer is TooWide.
type boolean struct {
	refusal
	fixed[proto.ColBool, bool, *proto.ColBool]
}

func newBool(typ string) *Column {
	b := &boolean{refusal: refusal(typ)}
	return newColumn(typ, b, &b.fixed)
}

func (b *boolean) Bool(v bool) error {
	b.items = append(b.items, v)
	return nil
}

func (b *boolean) Int(v int64) error { return b.Uint(uint64(v)) }

func (b *boolean) Uint(v uint64) error {
	if v > 1 {
		b.zero()
		return source.TooWide
	}
	b.items = append(b.items, v == 1)
	return nil
}
