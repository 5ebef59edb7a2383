package column

import (
	"encoding/binary"

	"github.com/ClickHouse/ch-go/proto"
)

// identifier takes UUIDs. ClickHouse keeps a UUID as two 64-bit integers, the
// one with the first bytes of the text form first.
type identifier struct {
	refusal
	fixed[proto.ColUInt128, proto.UInt128, *proto.ColUInt128]
}

func newUUID(typ string) *Column {
	u := &identifier{refusal: refusal(typ)}
	return newColumn(typ, u, &u.fixed)
}

func (u *identifier) UUID(v [16]byte) error {
	u.items = append(u.items, proto.UInt128{
		Low:  binary.BigEndian.Uint64(v[:8]),
		High: binary.BigEndian.Uint64(v[8:]),
	})
	return nil
}
