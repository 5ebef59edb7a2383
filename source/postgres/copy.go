package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/source"
)

// copySQL returns the COPY of one chunk. Columns without a decoder for the
// binary form come as their type's own output, as in the log: a cast to text
// is another thing for some types (inet, bpchar). IS NOT NULL is another thing
// as well: it is false for a composite value with a NULL in it.
func (s *Source) copySQL(t *source.Table, c source.Chunk) string {
	var b strings.Builder
	b.WriteString("COPY (SELECT ")
	for i := range t.Columns {
		if i > 0 {
			b.WriteString(", ")
		}
		name := quote(t.Columns[i].Name)
		if t.Columns[i].Binary == nil {
			name = "CASE WHEN " + name + " IS DISTINCT FROM NULL THEN format('%s', " + name + ") END"
		}
		b.WriteString(name)
	}
	part := c.Part
	if part == "" {
		part = quote(t.Schema, t.Name)
	}
	b.WriteString(" FROM ONLY " + part)
	var where []string
	if c.From != "" {
		where = append(where, "ctid >= "+literal(c.From)+"::tid")
	}
	if c.To != "" {
		where = append(where, "ctid < "+literal(c.To)+"::tid")
	}
	if filter := s.rowFilter(t); filter != "" {
		where = append(where, "("+filter+")")
	}
	if len(where) > 0 {
		b.WriteString(" WHERE " + strings.Join(where, " AND "))
	}
	b.WriteString(") TO STDOUT (FORMAT binary)")
	return b.String()
}

// copySignature begins a binary COPY (manual: "COPY", section "Binary Format"):
//
//	signature 11 bytes, int32 flags, int32 length of an extension, extension
//	each row: int16 number of fields, each: int32 length (-1: NULL), bytes
//	int16 -1
var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

// copyReader is the io.Writer that a binary COPY is written into. Rows go to
// the handler as soon as they are whole.
type copyReader struct {
	ctx     context.Context //nolint:containedctx // io.Writer has no place for it
	handler source.Handler
	row     source.Row
	rest    []byte // of a row that came in pieces
	started bool
	ended   bool
	refused error // the handler's
}

func newCopyReader(ctx context.Context, t *source.Table, h source.Handler) *copyReader {
	return &copyReader{ctx: ctx, handler: h, row: source.Row{
		Table: t, Op: source.Insert, New: make([]source.Cell, len(t.Columns)),
	}}
}

// Write takes the next bytes of the COPY.
func (c *copyReader) Write(p []byte) (int, error) {
	n := len(p)
	if len(c.rest) > 0 {
		c.rest = append(c.rest, p...)
		p = c.rest
	}
	for len(p) > 0 && !c.ended {
		size, err := c.next(p)
		if errors.Is(err, errShort) && c.refused == nil {
			break
		}
		if err != nil {
			return 0, err
		}
		p = p[size:]
	}
	c.rest = append(c.rest[:0], p...)
	return n, nil
}

// next takes the header, a row or the end off p and returns its size, or
// errShort when it is not whole.
func (c *copyReader) next(p []byte) (int, error) {
	r := reader{data: p}
	if !c.started {
		if !bytes.Equal(r.take(len(copySignature)), copySignature) && !r.short {
			return 0, errors.New("this is no binary COPY")
		}
		flags := r.uint32()
		extension := int32(r.uint32())
		if !r.short && (flags != 0 || extension < 0) {
			return 0, fmt.Errorf("a COPY of the unknown form %#x, %d", flags, extension)
		}
		r.take(int(extension))
		if err := r.err(); err != nil {
			return 0, err
		}
		c.started = true
		return len(p) - len(r.data), nil
	}
	fields := r.int16()
	if r.short {
		return 0, errShort
	}
	if fields == -1 {
		c.ended = true
		return len(p) - len(r.data), nil
	}
	if fields != len(c.row.New) {
		return 0, fmt.Errorf("row of %d fields in a COPY of %d", fields, len(c.row.New))
	}
	columns := c.row.Table.Columns
	for i := range c.row.New {
		size := int32(r.uint32())
		if size == -1 {
			c.row.New[i] = source.Cell{Kind: source.Null}
			continue
		}
		if size < 0 {
			return 0, fmt.Errorf("field of %d bytes in a COPY", size)
		}
		kind := source.Binary
		if columns[i].Binary == nil {
			kind = source.Text
		}
		c.row.New[i] = source.Cell{Kind: kind, Bytes: r.take(int(size))}
	}
	if r.short {
		return 0, errShort
	}
	c.refused = c.handler.Row(c.ctx, &c.row)
	return len(p) - len(r.data), c.refused
}

// end reports whether the COPY was whole.
func (c *copyReader) end() error {
	switch {
	case !c.ended:
		return errors.New("the COPY ended too early")
	case len(c.rest) > 0:
		return errors.New("the COPY goes on behind its end")
	}
	return nil
}
