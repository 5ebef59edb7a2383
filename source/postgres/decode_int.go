package postgres

import (
	"encoding/binary"
	"math"

	"github.com/millrace/millrace/source"
)

// Booleans and integers. Manual: "Numeric Types", "Boolean Type". Binary forms
// are big-endian two's complement, a boolean is one byte (boolsend, int4send …
// in src/backend/utils/adt).

func boolText(cell []byte, to source.Appender) error {
	if len(cell) == 1 {
		switch cell[0] {
		case 't':
			return to.Bool(true)
		case 'f':
			return to.Bool(false)
		}
	}
	return malformed("boolean")
}

func boolBinary(cell []byte, to source.Appender) error {
	if len(cell) != 1 || cell[0] > 1 {
		return malformed("boolean")
	}
	return to.Bool(cell[0] == 1)
}

func int2Text(cell []byte, to source.Appender) error {
	v, ok := parseInt(cell)
	if !ok || v != int64(int16(v)) {
		return malformed("smallint")
	}
	return to.Int(v)
}

func int2Binary(cell []byte, to source.Appender) error {
	if len(cell) != 2 {
		return malformed("smallint")
	}
	return to.Int(int64(int16(binary.BigEndian.Uint16(cell))))
}

func int4Text(cell []byte, to source.Appender) error {
	v, ok := parseInt(cell)
	if !ok || v != int64(int32(v)) {
		return malformed("integer")
	}
	return to.Int(v)
}

func int4Binary(cell []byte, to source.Appender) error {
	if len(cell) != 4 {
		return malformed("integer")
	}
	return to.Int(int64(int32(binary.BigEndian.Uint32(cell))))
}

func int8Text(cell []byte, to source.Appender) error {
	v, ok := parseInt(cell)
	if !ok {
		return malformed("bigint")
	}
	return to.Int(v)
}

func int8Binary(cell []byte, to source.Appender) error {
	if len(cell) != 8 {
		return malformed("bigint")
	}
	return to.Int(int64(binary.BigEndian.Uint64(cell)))
}

func oidTextForm(cell []byte, to source.Appender) error {
	v, ok := parseUint(cell)
	if !ok || v > math.MaxUint32 {
		return malformed("oid")
	}
	return to.Uint(v)
}

func oidBinary(cell []byte, to source.Appender) error {
	if len(cell) != 4 {
		return malformed("oid")
	}
	return to.Uint(uint64(binary.BigEndian.Uint32(cell)))
}

// parseInt reads a decimal integer of 64 bits.
func parseInt(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	v, ok := parseUint(b)
	switch {
	case !ok:
		return 0, false
	case neg:
		return -int64(v), v <= 1<<63
	default:
		return int64(v), v < 1<<63
	}
}

// parseUint reads 1 to 19 decimal digits, which cannot overflow.
func parseUint(b []byte) (v uint64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, c := range b {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + uint64(d)
	}
	return v, true
}
