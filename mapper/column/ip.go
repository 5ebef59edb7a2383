package column

import (
	"encoding/binary"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// ipv4 takes addresses of 4 bytes in network order.
type ipv4 struct {
	refusal
	fixed[proto.ColUInt32, uint32, *proto.ColUInt32]
}

func newIPv4(typ string) *Column {
	a := &ipv4{refusal: refusal(typ)}
	return newColumn(typ, a, &a.fixed)
}

func (a *ipv4) Bytes(v []byte) error {
	if len(v) != 4 {
		return a.refuse(fmt.Sprintf("an address of %d bytes", len(v)))
	}
	a.items = append(a.items, binary.BigEndian.Uint32(v))
	return nil
}

// ipv6 takes addresses of 16 bytes, and of 4 bytes as ::ffff:a.b.c.d.
type ipv6 struct {
	refusal
	fixed[proto.ColIPv6, proto.IPv6, *proto.ColIPv6]
}

func newIPv6(typ string) *Column {
	a := &ipv6{refusal: refusal(typ)}
	return newColumn(typ, a, &a.fixed)
}

func (a *ipv6) Bytes(v []byte) error {
	switch len(v) {
	case 16:
		a.items = append(a.items, proto.IPv6(v))
	case 4:
		a.items = append(a.items, proto.IPv6{10: 0xFF, 11: 0xFF, 12: v[0], v[1], v[2], v[3]})
	default:
		return a.refuse(fmt.Sprintf("an address of %d bytes", len(v)))
	}
	return nil
}
