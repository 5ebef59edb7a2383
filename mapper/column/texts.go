package column

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ClickHouse/ch-go/proto"
)

// maxText is the longest string that is read, as in ClickHouse itself.
const maxText = 1 << 30

// texts stores strings as ClickHouse sends them, one after the other:
//
//	uvarint length | bytes
type texts struct {
	buf  []byte
	ends []int // where each string ends in buf
}

func (t *texts) add(v []byte) {
	t.buf = binary.AppendUvarint(t.buf, uint64(len(v)))
	t.buf = append(t.buf, v...)
	t.ends = append(t.ends, len(t.buf))
}

// raw returns a string with its length in front.
func (t *texts) raw(row int) []byte {
	start := 0
	if row > 0 {
		start = t.ends[row-1]
	}
	return t.buf[start:t.ends[row]]
}

func (t *texts) at(row int) []byte {
	raw := t.raw(row)
	_, n := binary.Uvarint(raw)
	return raw[n:]
}

func (t *texts) settle(rows int) error {
	if len(t.ends) != rows+1 {
		return errCount
	}
	return nil
}

func (t *texts) zero() { t.add(nil) }

func (t *texts) truncate(rows int) {
	t.ends = t.ends[:rows]
	if rows == 0 {
		t.buf = t.buf[:0]
		return
	}
	t.buf = t.buf[:t.ends[rows-1]]
}

func (t *texts) reset() { t.truncate(0) }

func (t *texts) size() int { return len(t.buf) + 8*len(t.ends) }

func (t *texts) key(dst []byte, row int) []byte { return append(dst, t.raw(row)...) }

func (t *texts) copyFrom(src values, row int) { t.addRaw(src.(*texts).raw(row)) }

func (t *texts) addRaw(raw []byte) {
	t.buf = append(t.buf, raw...)
	t.ends = append(t.ends, len(t.buf))
}

func (t *texts) encode(b *proto.Buffer) { b.PutRaw(t.buf) }

func (t *texts) write(w *proto.Writer) {
	if len(t.buf) > 0 {
		w.ChainWrite(t.buf)
	}
}

func (t *texts) decode(r *proto.Reader, rows int) error {
	for row := range rows {
		n, err := r.StrLen()
		if err != nil {
			return fmt.Errorf("length of string %d: %w", row, err)
		}
		if n > maxText {
			return fmt.Errorf("string %d of %d bytes is longer than %d", row, n, maxText)
		}
		t.buf = binary.AppendUvarint(t.buf, uint64(n))
		start := len(t.buf)
		t.buf = slices.Grow(t.buf, n)[:start+n]
		if err := r.ReadFull(t.buf[start:]); err != nil {
			return fmt.Errorf("string %d: %w", row, err)
		}
		t.ends = append(t.ends, len(t.buf))
	}
	return nil
}
