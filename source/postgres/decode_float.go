package postgres

import (
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"github.com/millrace/millrace/source"
)

// Floating-point numbers. Manual: "Floating-Point Types". The text is the
// shortest that reads back as the same number when extra_float_digits is above
// 0; the binary form is the IEEE 754 number, big-endian (float8send in
// src/backend/utils/adt/float.c).

func float4Text(cell []byte, to source.Appender) error { return floatText(cell, to, 32) }
func float8Text(cell []byte, to source.Appender) error { return floatText(cell, to, 64) }

func float4Binary(cell []byte, to source.Appender) error {
	if len(cell) != 4 {
		return malformed("real")
	}
	return appendFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(cell))), to)
}

func float8Binary(cell []byte, to source.Appender) error {
	if len(cell) != 8 {
		return malformed("double precision")
	}
	return appendFloat(math.Float64frombits(binary.BigEndian.Uint64(cell)), to)
}

func floatText(cell []byte, to source.Appender, bits int) error {
	if special, ok := parseSpecial(cell); ok {
		return to.Special(special)
	}
	for _, c := range cell {
		// ParseFloat knows more forms than Postgres writes.
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' {
			return malformed("floating-point number")
		}
	}
	// The string ends with this call: ParseFloat copies what its errors show.
	v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(cell), len(cell)), bits)
	if err != nil {
		return malformed("floating-point number")
	}
	return to.Float(v)
}

func appendFloat(v float64, to source.Appender) error {
	switch {
	case v != v:
		return to.Special(source.NaN)
	case v > math.MaxFloat64:
		return to.Special(source.PosInf)
	case v < -math.MaxFloat64:
		return to.Special(source.NegInf)
	}
	return to.Float(v)
}

// parseSpecial reads what floating-point numbers and numerics have in common.
func parseSpecial(b []byte) (v source.Special, ok bool) {
	switch string(b) {
	case "NaN":
		return source.NaN, true
	case "Infinity":
		return source.PosInf, true
	case "-Infinity":
		return source.NegInf, true
	}
	return 0, false
}
