package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A kind is how a column is written as text on each side, the same on both.
type kind struct{ postgres, clickhouse string }

var (
	plain  = kind{"%s::text", "toString(%s)"}
	cents  = kind{"%s::text", "toDecimalString(%s, 2)"}
	moment = kind{"to_char(%s AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", "toString(%s)"}
	list   = kind{"array_to_string(%s, ',', 'NULL')", "arrayStringConcat(arrayMap(e -> ifNull(e, 'NULL'), %s), ',')"}
)

type column struct {
	name string
	kind kind
}

type table struct {
	name    string
	columns []column
}

// tables are all of the shop's, in the order that they are shown in.
var tables = []table{
	{"customers", []column{
		{"id", plain},
		{"ref", plain},
		{"name", plain},
		{"city", plain},
		{"newsletter", plain},
		{"interests", list},
		{"profile", plain},
		{"joined_at", moment},
	}},
	{"products", []column{
		{"sku", plain},
		{"name", plain},
		{"price", cents},
		{"stock", plain},
		{"weight", plain},
		{"description", plain},
		{"changed_at", moment},
	}},
	{"orders", []column{
		{"id", plain},
		{"customer_id", plain},
		{"status", plain},
		{"total", cents},
		{"currency", plain},
		{"placed_at", moment},
		{"delivered_on", plain},
		{"note", plain},
	}},
	{"order_items", []column{
		{"order_id", plain},
		{"line", plain},
		{"sku", plain},
		{"quantity", plain},
		{"price", cents},
	}},
}

// checksums returns the statements that give a table's number of rows and the
// sum of its rows' hashes, modulo 2^64. Each side writes its rows as text by
// itself; the sum does not depend on their order.
func (t *table) checksums() (postgres, clickhouse string) {
	var p, c []string
	for _, col := range t.columns {
		p = append(p, "coalesce("+fmt.Sprintf(col.kind.postgres, col.name)+", '∅')")
		c = append(c, "ifNull("+fmt.Sprintf(col.kind.clickhouse, col.name)+", '∅')")
	}
	// 60 bits of each hash, as Postgres has no unsigned integer of 64.
	postgres = "SELECT count(*), mod(coalesce(sum(('x' || left(md5(concat_ws('|', " + strings.Join(p, ", ") +
		")), 15))::bit(60)::bigint), 0), 18446744073709551616)::text FROM " + t.name
	clickhouse = "SELECT count(), sum(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5(concat_ws('|', " + strings.Join(c, ", ") +
		")), 1, 8))), 4)) FROM " + t.name + " FINAL"
	return postgres, clickhouse
}

// A comparison is what both sides say about a table.
type comparison struct {
	table                string
	postgres, clickhouse []string // rows, checksum
}

func (c *comparison) equal() bool { return slices.Equal(c.postgres, c.clickhouse) }

func (s *sides) compare(ctx context.Context) ([]comparison, error) {
	var all []comparison
	for _, t := range tables {
		postgres, clickhouse := t.checksums()
		p, c, err := s.ask(ctx, postgres, clickhouse)
		if err != nil {
			return nil, fmt.Errorf("compare table %s: %w", t.name, err)
		}
		all = append(all, comparison{t.name, p.rows[0], c.rows[0]})
	}
	return all, nil
}
