package postgres

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestText(t *testing.T) {
	testForms(t, rawBytes, rawBytes, []wireForm{
		{"", []byte{}, `bytes("")`},
		{"it's 人間失格", []byte("it's 人間失格"), `bytes("it's 人間失格")`},
		{"padded    ", []byte("padded    "), `bytes("padded    ")`},
	})
}

func TestJSONB(t *testing.T) {
	testForms(t, rawBytes, jsonbBinary, []wireForm{
		{"null", []byte("\x01null"), `bytes("null")`},
		{`{"n": 9007199254740993}`, []byte("\x01" + `{"n": 9007199254740993}`), `bytes("{\"n\": 9007199254740993}")`},
	})
	testMalformed(t, jsonbBinary, "", "\x01", "\x02{}", "{}")
}

func TestChar(t *testing.T) {
	testForms(t, charForm, charForm, []wireForm{
		{"", []byte{0}, `bytes("")`},
		{"a", []byte("a"), `bytes("a")`},
		{`\`, []byte(`\`), `bytes("\\")`},
		{`\200`, []byte{0x80}, `bytes("\\200")`},
		{`\377`, []byte{0xff}, `bytes("\\377")`},
	})
	testMalformed(t, charForm, "ab", "abcd", `\20`)
}

func TestBytea(t *testing.T) {
	testForms(t, byteaText, rawBytes, []wireForm{
		{`\x`, []byte{}, `bytes("")`},
		{`\x00ff`, []byte{0, 0xff}, `bytes("\x00\xff")`},
		{`\xDEADbeef`, []byte{0xde, 0xad, 0xbe, 0xef}, `bytes("ޭ\xbe\xef")`},
		{``, []byte{}, `bytes("")`},
		{`hi`, []byte("hi"), `bytes("hi")`},
		{`a\\b`, []byte(`a\b`), `bytes("a\\b")`},
		{`\\x41`, []byte(`\x41`), `bytes("\\x41")`},
		{`a\000\377b`, []byte{'a', 0, 0xff, 'b'}, `bytes("a\x00\xffb")`},
	})
	testMalformed(t, byteaText, `\x0`, `\x0g`, `\`, `a\`, `\40`, `\400`, `\08a`, `\n`)
}

func TestUUID(t *testing.T) {
	testForms(t, uuidText, uuidBinary, []wireForm{
		{"00010203-0405-0607-0809-0a0b0c0d0e0f", sequence, "uuid(000102030405060708090a0b0c0d0e0f)"},
		{"ffffffff-ffff-ffff-ffff-ffffffffffff", bytes.Repeat([]byte{0xff}, 16), "uuid(ffffffffffffffffffffffffffffffff)"},
	})
	testMalformed(t, uuidText, "", "000102030405060708090a0b0c0d0e0f", "00010203-0405-0607-0809-0a0b0c0d0e0g",
		"0001020-30405-0607-0809-0a0b0c0d0e0f", "{0010203-0405-0607-0809-0a0b0c0d0e0}")
	testMalformed(t, uuidBinary, sequence[:15], append(sequence[:16:16], 0))
}

func FuzzByteaText(f *testing.F) {
	for _, s := range []string{`\x00ff`, `a\\b`, `\000`, `\x0g`, `\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, byteaText, cell)
		want, _ := record(rawBytes, cell)
		if got, err := record(byteaText, hex.AppendEncode([]byte(`\x`), cell)); err != nil || got != want {
			t.Fatalf("hex of %q: %s, %v", cell, got, err)
		}
		if got, err := record(byteaText, escapeBytea(cell)); err != nil || got != want {
			t.Fatalf("escape of %q: %s, %v", cell, got, err)
		}
	})
}

// escapeBytea is byteaout with bytea_output escape.
func escapeBytea(v []byte) (b []byte) {
	for _, c := range v {
		switch {
		case c == '\\':
			b = append(b, `\\`...)
		case c < 0x20 || c > 0x7e:
			b = append(b, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			b = append(b, c)
		}
	}
	return b
}

func FuzzUUIDText(f *testing.F) {
	f.Add([]byte("00010203-0405-0607-0809-0a0b0c0d0e0f"))
	f.Fuzz(func(t *testing.T, cell []byte) {
		fuzzSafe(t, uuidText, cell)
		if len(cell) < 16 {
			return
		}
		h := hex.EncodeToString(cell[:16])
		text := h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
		if got, err := record(uuidText, []byte(text)); err != nil || got != "uuid("+h+")" {
			t.Fatalf("%s: %s, %v", text, got, err)
		}
	})
}
