package postgres

import (
	"bytes"
	"encoding/hex"

	"github.com/millrace/millrace/source"
)

// Text and what is kept as bytes. Manual: "Character Types", "Binary Data
// Types", "UUID Type", "JSON Types". The binary form of text is the text, that
// of jsonb a version byte and the text (jsonb_send).

func rawBytes(cell []byte, to source.Appender) error { return to.Bytes(cell) }

func jsonbBinary(cell []byte, to source.Appender) error {
	if len(cell) < 2 || cell[0] != 1 {
		return malformed("jsonb")
	}
	return to.Bytes(cell[1:])
}

// charForm reads the one-byte type "char". Text has nothing where binary has a
// zero byte, and since Postgres 16 \ooo where the byte is not ASCII, which
// could not stand in UTF-8: this is the text for every version and form.
func charForm(cell []byte, to source.Appender) error {
	if len(cell) == 1 {
		switch c := cell[0]; {
		case c == 0:
			return to.Bytes(nil)
		case c >= 0x80:
			s := newScratch()
			defer s.free()
			s.buf = append(s.buf[:0], '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
			return to.Bytes(s.buf)
		}
	}
	if len(cell) > 1 && !(len(cell) == 4 && cell[0] == '\\') {
		return malformed(`"char"`)
	}
	return to.Bytes(cell)
}

// byteaText reads both bytea_output formats: \x6869 (hex), and hi with \\ for a
// backslash and \ooo for bytes that are not printable ASCII (escape).
func byteaText(cell []byte, to source.Appender) error {
	if bytes.IndexByte(cell, '\\') < 0 {
		return to.Bytes(cell)
	}
	s := newScratch()
	defer s.free()
	var err error
	if digits, found := bytes.CutPrefix(cell, []byte(`\x`)); found {
		s.buf, err = hex.AppendDecode(s.buf[:0], digits)
	} else {
		s.buf, err = appendEscaped(s.buf[:0], cell)
	}
	if err != nil {
		return malformed("bytea")
	}
	return to.Bytes(s.buf)
}

// nibbles holds the value of each hexadecimal digit, and more than 15 for what
// is none.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
	}
	for i := range byte(10) {
		t['0'+i] = i
	}
	for i := range byte(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

func appendEscaped(b, text []byte) ([]byte, error) {
	for len(text) > 0 {
		next := bytes.IndexByte(text, '\\')
		if next < 0 {
			return append(b, text...), nil
		}
		b, text = append(b, text[:next]...), text[next+1:]
		switch {
		case len(text) > 0 && text[0] == '\\':
			b, text = append(b, '\\'), text[1:]
		case len(text) > 2 && text[0]-'0' < 4 && text[1]-'0' < 8 && text[2]-'0' < 8:
			b, text = append(b, (text[0]-'0')<<6|(text[1]-'0')<<3|(text[2]-'0')), text[3:]
		default:
			return b, malformed("bytea")
		}
	}
	return b, nil
}

// uuidText reads xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.
func uuidText(cell []byte, to source.Appender) error {
	if len(cell) != 36 || cell[8] != '-' || cell[13] != '-' || cell[18] != '-' || cell[23] != '-' {
		return malformed("uuid")
	}
	var v [16]byte
	var seen byte
	for i, at := range [16]byte{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34} {
		hi, lo := nibbles[cell[at]], nibbles[cell[at+1]]
		seen |= hi | lo
		v[i] = hi<<4 | lo
	}
	if seen > 15 {
		return malformed("uuid")
	}
	return to.UUID(v)
}

func uuidBinary(cell []byte, to source.Appender) error {
	if len(cell) != 16 {
		return malformed("uuid")
	}
	return to.UUID([16]byte(cell))
}
