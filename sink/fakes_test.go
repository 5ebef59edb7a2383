package sink_test

import (
	"context"
	"encoding/binary"
	"io"
	"strconv"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

func asInt(cell []byte, to source.Appender) error {
	n, err := strconv.ParseInt(string(cell), 10, 64)
	if err != nil {
		return err
	}
	return to.Int(n)
}

func asBytes(cell []byte, to source.Appender) error { return to.Bytes(cell) }

// shape is a table with a key, a small and a big column.
func shape(name string) *source.Table {
	return &source.Table{
		Schema: "public", Name: name, Key: []int{0}, Rows: -1,
		Columns: []source.Column{
			{Name: "id", Native: "bigint", Type: source.Type{Kind: source.Int64}, Text: asInt},
			{Name: "n", Native: "bigint", Type: source.Type{Kind: source.Int64}, Text: asInt},
			{Name: "big", Native: "text", Type: source.Type{Kind: source.String}, Nullable: true, Text: asBytes},
		},
	}
}

func newPlan(t *source.Table) *mapper.Plan {
	p, err := mapper.NewPlan(t, mapper.Options{Target: t.Name}, func(string) bool { return true })
	if err != nil {
		panic(err)
	}
	return p
}

func text(s string) source.Cell  { return source.Cell{Kind: source.Text, Bytes: []byte(s)} }
func number(n int64) source.Cell { return text(strconv.FormatInt(n, 10)) }

func absent() source.Cell    { return source.Cell{Kind: source.Absent} }
func unchanged() source.Cell { return source.Cell{Kind: source.Unchanged} }
func null() source.Cell      { return source.Cell{Kind: source.Null} }

func fits(*mapper.Plan, *mapper.Field, *source.Misfit) error { return nil }

// A stored row of a table of that shape.
type storedRow struct {
	id, n   int64
	big     string
	version uint64
	deleted bool
}

const isNull = "NULL"

// rowsOf reads an inserted block, as it would go over the wire.
func rowsOf(columns []proto.InputColumn) []storedRow {
	rows := make([]storedRow, columns[0].Data.Rows())
	var buf proto.Buffer
	for _, c := range columns {
		buf.Reset()
		c.Data.EncodeColumn(&buf)
		rest := buf.Buf
		word := func() (v uint64) {
			v, rest = binary.LittleEndian.Uint64(rest), rest[8:]
			return v
		}
		nulls := rest
		if c.Name == "big" {
			rest = rest[len(rows):]
		}
		for i := range rows {
			r := &rows[i]
			switch c.Name {
			case "id":
				r.id = int64(word())
			case "n":
				r.n = int64(word())
			case "big":
				size, n := binary.Uvarint(rest)
				r.big, rest = string(rest[n:n+int(size)]), rest[n+int(size):]
				if nulls[i] != 0 {
					r.big = isNull
				}
			case mapper.VersionColumn:
				r.version = word()
			case mapper.IsDeletedColumn:
				r.deleted = rest[i] != 0
			}
		}
	}
	return rows
}

// storedOf makes the answer to a lookup. all is in the order of insertion.
func storedOf(p *mapper.Plan, all []storedRow, keys []*column.Column, columns map[int]bool) (*sink.Stored, error) {
	wanted := make(map[string]bool)
	for row := range keys[0].Rows() {
		wanted[string(keys[0].Key(nil, row))] = true
	}
	s := &sink.Stored{Columns: make(map[int]*column.Column)}
	id, err := column.New("Int64")
	if err != nil {
		return nil, err
	}
	s.Keys = []*column.Column{id}
	for c := range columns {
		if s.Columns[c], err = column.New(p.Columns[c].Type); err != nil {
			return nil, err
		}
	}
	for _, r := range winners(all, false) {
		if err := id.Append(number(r.id), asInt); err != nil {
			return nil, err
		}
		if !wanted[string(id.Key(nil, id.Rows()-1))] {
			id.Truncate(id.Rows() - 1)
			continue
		}
		s.Version = append(s.Version, r.version)
		deleted := uint8(0)
		if r.deleted {
			deleted = 1
		}
		s.Deleted = append(s.Deleted, deleted)
		for c, col := range s.Columns {
			cell, decode := number(r.n), source.Decode(asInt)
			if p.Columns[c].Name == "big" {
				cell, decode = text(r.big), asBytes
				if r.big == isNull {
					cell = null()
				}
			}
			if err := col.Append(cell, decode); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// once hands out one batch.
type once struct {
	from *mapper.Mapper
	done bool
}

func (o *once) Next(ctx context.Context) (*mapper.Batch, error) {
	if o.done {
		return nil, io.EOF
	}
	o.done = true
	return o.from.Next(ctx)
}

func (o *once) Release(b *mapper.Batch) { o.from.Release(b) }
