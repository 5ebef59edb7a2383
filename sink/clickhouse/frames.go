package clickhouse

import (
	"io"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

const (
	// frameSize is how many bytes are compressed at a time. The server's own
	// clients use as much; a frame is decompressed as a whole.
	frameSize = 1 << 20
	// keepBuffer is the capacity that an idle connection may hold on to.
	keepBuffer = 4 << 20
)

// methods by the DSN's compress parameter.
var methods = map[string]compress.Method{"lz4": compress.LZ4, "zstd": compress.ZSTD}

// A frames writer compresses what is written to it, frame by frame.
//
//	checksum (CityHash128 of the rest) 16 | method 1 | compressed size 4 | size 4 | data
//
// Sizes are little-endian, the compressed one counts the nine bytes before the
// data too. Source: manual, "Compression" of the native protocol.
type frames struct {
	out io.Writer
	raw []byte
	c   *compress.Writer
}

func newFrames(out io.Writer, method compress.Method) *frames {
	return &frames{out: out, c: compress.NewWriter(compress.LevelZero, method)}
}

// Write takes p, of which whole frames leave without being copied.
func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(f.raw) == 0 && len(p) >= frameSize {
			if err := f.emit(p[:frameSize]); err != nil {
				return n - len(p), err
			}
			p = p[frameSize:]
			continue
		}
		k := min(len(p), frameSize-len(f.raw))
		f.raw = append(f.raw, p[:k]...)
		p = p[k:]
		if len(f.raw) == frameSize {
			if err := f.Flush(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

// Flush sends what is left as a frame of its own.
func (f *frames) Flush() error {
	if len(f.raw) == 0 {
		return nil
	}
	raw := f.raw
	f.raw = f.raw[:0]
	return f.emit(raw)
}

func (f *frames) emit(raw []byte) error {
	if err := f.c.Compress(raw); err != nil {
		return err
	}
	_, err := f.out.Write(f.c.Data)
	return err
}

// A blockWriter writes blocks in the native format, column by column, so that
// no more than one column's encoding is in memory.
type blockWriter struct {
	buf proto.Buffer
	w   *proto.Writer
}

func newBlockWriter(out io.Writer) *blockWriter {
	b := &blockWriter{}
	b.w = proto.NewWriter(out, &b.buf)
	return b
}

// write sends one block; the one without columns ends the data. revision is
// the protocol's, or 0 where the block stands in a file or an HTTP body.
//
//	block info (revision 51903) | columns varint | rows varint |
//	for each column: name | type | state | data
//
// Source: manual, "Native" format, and "Block" of the native protocol.
func (b *blockWriter) write(revision int, cols []proto.InputColumn) error {
	rows := 0
	if len(cols) > 0 {
		rows = cols[0].Data.Rows()
	}
	b.w.ChainBuffer(func(buf *proto.Buffer) {
		head := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(cols), Rows: rows}
		head.EncodeAware(buf, revision)
	})
	for _, col := range cols {
		if err := b.column(revision, col); err != nil {
			return err
		}
	}
	return b.flush()
}

func (b *blockWriter) column(revision int, col proto.InputColumn) error {
	b.w.ChainBuffer(func(buf *proto.Buffer) { col.EncodeStart(buf, revision) })
	if p, ok := col.Data.(proto.Preparable); ok {
		if err := p.Prepare(); err != nil {
			return err
		}
	}
	if col.Data.Rows() == 0 {
		return nil
	}
	if s, ok := col.Data.(proto.StateEncoder); ok {
		b.w.ChainBuffer(s.EncodeState)
	}
	col.Data.WriteColumn(b.w)
	return b.flush()
}

func (b *blockWriter) flush() error {
	_, err := b.w.Flush()
	if cap(b.buf.Buf) > keepBuffer {
		b.buf.Buf = nil
	}
	return err
}
