package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/sink"
)

// lastFirst sorts rows of one key and version against the order in which they
// were inserted: by the part's first block number (its name is
// partition_min_max_level), then by their place in the part. Rows of one key
// lie in one partition.
const lastFirst = "toUInt64(splitByChar('_', _part)[2]) DESC, _part_offset DESC"

var _ sink.Target = (*Target)(nil)

// Stored reads the row that wins at each of some keys, a tombstone too, which
// FINAL would not show. keys holds a column for each of p.OrderBy, of the
// plan's types; columns says which of p.Columns to read. The keys go along as a
// table of their own, so their number is not bounded by a query's length.
func (t *Target) Stored(ctx context.Context, p *mapper.Plan, keys []*column.Column, columns map[int]bool) (*sink.Stored, error) {
	wanted := slices.Sorted(maps.Keys(columns))
	s := &sink.Stored{Columns: map[int]*column.Column{}}
	var version proto.ColUInt64
	var deleted proto.ColUInt8
	results := proto.Results{{Data: &version}, {Data: &deleted}}
	var from, to []*column.Column // what a block is read into, and where its rows go
	for i, c := range slices.Concat(p.OrderBy, wanted) {
		block, err := column.New(p.Columns[c].Type)
		if err != nil {
			return nil, err
		}
		all, err := column.New(p.Columns[c].Type)
		if err != nil {
			return nil, err
		}
		if i < len(p.OrderBy) {
			s.Keys = append(s.Keys, all)
		} else {
			s.Columns[c] = all
		}
		from, to = append(from, block), append(to, all)
		results = append(results, proto.ResultColumn{Data: block.Result()})
	}
	err := t.read(ctx, p.Target, t.storedQuery(p, keys, wanted), results, func(rows int) error {
		s.Version = append(s.Version, version...)
		s.Deleted = append(s.Deleted, deleted...)
		for i := range from {
			for row := range rows {
				to[i].AppendFrom(from[i], row)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read stored rows of table %s: %w", p.Target, err)
	}
	return s, nil
}

// storedQuery casts every column to the plan's type, since the table's may be
// wider.
func (t *Target) storedQuery(p *mapper.Plan, keys []*column.Column, wanted []int) query {
	selected := []string{Ident(mapper.VersionColumn), Ident(mapper.IsDeletedColumn)}
	for _, c := range slices.Concat(p.OrderBy, wanted) {
		selected = append(selected, "CAST("+Ident(p.Columns[c].Name)+", "+Literal(p.Columns[c].Type)+")")
	}
	q := query{text: "SELECT " + strings.Join(selected, ", ") + " FROM " + t.Name(p.Target) +
		" WHERE (" + idents(keyNames(p)) + ") IN (SELECT * FROM " + keysTable + ")" +
		" ORDER BY " + Ident(mapper.VersionColumn) + " DESC, " + lastFirst + " LIMIT 1 BY " + idents(keyNames(p))}
	types := make([]string, 0, len(p.Columns))
	for _, f := range p.Columns {
		types = append(types, f.Type)
	}
	q.settings = t.typeSettings(types)
	for i, k := range keys {
		q.keys = append(q.keys, proto.InputColumn{Name: p.Columns[p.OrderBy[i]].Name, Data: k.Input()})
	}
	return q
}
