package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// A tableInfo is what the server says about a table that exists.
type tableInfo struct {
	engine     string // "ReplacingMergeTree"
	engineFull string // "ReplacingMergeTree(_version, _is_deleted) ORDER BY id SETTINGS …"
	sortingKey string // "tenant_id, id"
	columns    []columnInfo
}

type columnInfo struct {
	name        string
	typ         string
	kind        string // "", DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL
	partitionBy bool   // occurs in the partition key
}

func (i *tableInfo) column(name string) *columnInfo {
	if n := slices.IndexFunc(i.columns, func(c columnInfo) bool { return c.name == name }); n >= 0 {
		return &i.columns[n]
	}
	return nil
}

// describe returns nil when there is no such table.
func (t *Target) describe(ctx context.Context, table string) (*tableInfo, error) {
	where := " WHERE database = " + Literal(t.dsn.Database) + " AND "
	var info *tableInfo
	var engine, full, sorting proto.ColStr
	err := t.read(ctx, table, query{text: "SELECT engine, engine_full, sorting_key FROM system.tables" + where + "name = " + Literal(table)},
		proto.Results{{Data: &engine}, {Data: &full}, {Data: &sorting}},
		func(int) error {
			info = &tableInfo{engine: engine.First(), engineFull: full.First(), sortingKey: sorting.First()}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("describe table %s: %w", t.Name(table), err)
	}
	if info == nil {
		return nil, nil
	}
	var name, typ, kind proto.ColStr
	var inPartition proto.ColUInt8
	err = t.read(ctx, table, query{text: "SELECT name, type, default_kind, is_in_partition_key FROM system.columns" + where + "table = " + Literal(table) + " ORDER BY position"},
		proto.Results{{Data: &name}, {Data: &typ}, {Data: &kind}, {Data: &inPartition}},
		func(rows int) error {
			for i := range rows {
				info.columns = append(info.columns, columnInfo{
					name: name.Row(i), typ: typ.Row(i), kind: kind.Row(i), partitionBy: inPartition.Row(i) != 0,
				})
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("describe the columns of table %s: %w", t.Name(table), err)
	}
	return info, nil
}

// databaseEngine returns "" when the target database does not exist.
func (t *Target) databaseEngine(ctx context.Context) (string, error) {
	engines, err := t.texts(ctx, "SELECT engine FROM system.databases WHERE name = "+Literal(t.dsn.Database))
	if err != nil {
		return "", fmt.Errorf("describe database %s: %w", t.dsn.Database, err)
	}
	return strings.Join(engines, ""), nil
}

// arguments returns the arguments of an engine: the list in parentheses with
// which engine_full begins, without the quotes of identifiers.
func arguments(engineFull string) []string {
	open := strings.IndexByte(engineFull, '(')
	if open < 0 || strings.ContainsRune(engineFull[:open], ' ') {
		return nil
	}
	return splitList(engineFull[open+1:])
}

// splitList cuts a list of expressions at its commas, up to the parenthesis
// that closes it, and takes identifiers out of their quotes.
func splitList(s string) []string {
	var items []string
	depth, start := 0, 0
	add := func(end int) {
		if item := strings.TrimSpace(s[start:end]); item != "" {
			items = append(items, unquote(item))
		}
		start = end + 1
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '`', '\'', '"':
			i = closing(s, i)
		case '(', '[':
			depth++
		case ',':
			if depth == 0 {
				add(i)
			}
		case ')', ']':
			if depth == 0 {
				add(i)
				return items
			}
			depth--
		}
	}
	add(len(s))
	return items
}

// closing returns the index of the quote that ends the token at i, or len(s).
func closing(s string, i int) int {
	for j := i + 1; j < len(s); j++ {
		switch s[j] {
		case '\\':
			j++
		case s[i]:
			return j
		}
	}
	return len(s)
}

// The escapes that the server writes in quoted identifiers.
var unescapes = strings.NewReplacer(
	"\\\\", "\\", "\\`", "`", "\\'", "'", "\\n", "\n", "\\t", "\t", "\\r", "\r",
	"\\0", "\x00", "\\b", "\b", "\\f", "\f",
)

// unquote returns the name within backticks; anything else as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '`' || closing(s, 0) != len(s)-1 {
		return s
	}
	return unescapes.Replace(s[1 : len(s)-1])
}

// UUID returns ClickHouse's id of a table, "" when there is no such table. A
// table that takes the place of another has another id.
func (t *Target) UUID(ctx context.Context, table string) (string, error) {
	ids, err := t.texts(ctx, "SELECT toString(uuid) FROM system.tables WHERE database = "+
		Literal(t.dsn.Database)+" AND name = "+Literal(table))
	if err != nil {
		return "", fmt.Errorf("read the id of table %s: %w", table, err)
	}
	if len(ids) == 0 {
		return "", nil
	}
	return ids[0], nil
}
