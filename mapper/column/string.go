package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"
)

// text takes strings of any bytes.
type text struct {
	refusal
	texts
}

func newString(typ string) *Column {
	t := &text{refusal: refusal(typ)}
	return newColumn(typ, t, &t.texts)
}

func (t *text) Bytes(v []byte) error {
	t.add(v)
	return nil
}

// jsonAsString is the version of JSON's serialization in which each document
// is a string, which the server parses. It sends documents in this form with
// the setting output_format_native_write_json_as_string.
const jsonAsString = 1

// documents stores JSON documents in the server's string form.
type documents struct{ texts }

// document takes the text of JSON documents. It is not checked: the server
// refuses a block with a malformed one.
type document struct {
	refusal
	documents
}

func newJSON(typ string) *Column {
	d := &document{refusal: refusal(typ)}
	return newColumn(typ, d, &d.documents)
}

func (d *document) Bytes(v []byte) error {
	d.add(v)
	return nil
}

func (d *documents) zero() { d.add([]byte("{}")) }

func (d *documents) copyFrom(src values, row int) { d.addRaw(src.(*documents).raw(row)) }

func (d *documents) encodeState(b *proto.Buffer) { b.PutUInt64(jsonAsString) }

func (d *documents) decodeState(r *proto.Reader) error {
	version, err := r.UInt64()
	if err != nil {
		return fmt.Errorf("version of JSON's serialization: %w", err)
	}
	if version != jsonAsString {
		return fmt.Errorf("version %d of JSON's serialization is not its string form", version)
	}
	return nil
}
