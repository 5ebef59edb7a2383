package column

import (
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

// maxFixedString is the longest FixedString that ClickHouse makes.
const maxFixedString = 0xFFFFFF

// cells stores strings of width bytes.
type cells struct {
	width int
	buf   []byte
}

// fixedString takes strings of up to width bytes. Shorter ones are filled with
// zero bytes, as ClickHouse does. Longer ones are TooWide, and so are shorter
// ones that end in a zero byte, since they could not be told from the filling.
type fixedString struct {
	refusal
	cells
}

func newFixedString(width int) *Column {
	typ := fmt.Sprintf("FixedString(%d)", width)
	f := &fixedString{refusal: refusal(typ), cells: cells{width: width}}
	return newColumn(typ, f, &f.cells)
}

func (f *fixedString) Bytes(v []byte) error {
	n := len(v)
	if n > f.width || n > 0 && n < f.width && v[n-1] == 0 {
		f.zero()
		return source.TooWide
	}
	f.buf = append(f.buf, v...)
	f.fill(f.width - n)
	return nil
}

func (c *cells) fill(n int) { c.buf = append(c.buf, make([]byte, n)...) }

func (c *cells) at(row int) []byte { return c.buf[row*c.width : (row+1)*c.width] }

func (c *cells) settle(rows int) error {
	if len(c.buf) != (rows+1)*c.width {
		return errCount
	}
	return nil
}

func (c *cells) zero()                          { c.fill(c.width) }
func (c *cells) truncate(rows int)              { c.buf = c.buf[:rows*c.width] }
func (c *cells) reset()                         { c.buf = c.buf[:0] }
func (c *cells) size() int                      { return len(c.buf) }
func (c *cells) key(dst []byte, row int) []byte { return append(dst, c.at(row)...) }
func (c *cells) copyFrom(src values, row int)   { c.buf = append(c.buf, src.(*cells).at(row)...) }
func (c *cells) encode(b *proto.Buffer)         { b.PutRaw(c.buf) }

func (c *cells) write(w *proto.Writer) {
	if len(c.buf) > 0 {
		w.ChainWrite(c.buf)
	}
}

func (c *cells) decode(r *proto.Reader, rows int) error {
	return inChunks(rows, func(n int) error {
		start := len(c.buf)
		c.fill(n * c.width)
		return r.ReadFull(c.buf[start:])
	})
}
