package test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Both sides are turned into text by SQL of their own, and the texts compared:
// nothing of millrace takes part.

// rendering is a column's text on both sides, or NULL.
type rendering struct{ pg, ch string }

// equal compares source tables with the target tables of their name. A name is
// table, or schema.table.
func (r *rig) equal(tables ...string) {
	r.t.Helper()
	for _, name := range tables {
		table := pgx.Identifier{"public", name}
		if schema, rest, ok := strings.Cut(name, "."); ok {
			table = pgx.Identifier{schema, rest}
		}
		r.equalTo(table, table[1])
	}
}

// equalTo compares a source table with a target table.
func (r *rig) equalTo(source pgx.Identifier, target string) {
	r.t.Helper()
	r.compare(source, target, r.renderings(source))
}

func (r *rig) compare(source pgx.Identifier, target string, columns []rendering) {
	r.t.Helper()
	var pg, ch []string
	for _, c := range columns {
		pg = append(pg, "("+c.pg+")")
		ch = append(ch, "CAST("+c.ch+", 'Nullable(String)')")
	}
	pgRow := "ARRAY[" + strings.Join(pg, ", ") + "]::text[]"
	chRow := "[" + strings.Join(ch, ", ") + "]"
	pgFrom := " FROM " + r.only(source)
	chFrom := " FROM " + ident(r.ch.database) + "." + ident(target) + " FINAL"

	want := r.value("SELECT count(*) || ' rows, ' || coalesce(sum(('x' || substr(md5(array_to_string(" + pgRow + ", E'\\x1f', E'\\x1e')), 1, 8))::bit(32)::bigint), 0)" + pgFrom)
	got := r.ch.query("SELECT concat(count(), ' rows, ', sum(reinterpretAsUInt32(reverse(substring(MD5(arrayStringConcat(arrayMap(x -> ifNull(x, '\\x1e'), " + chRow + "), '\\x1f')), 1, 4)))))" + chFrom)
	if got == want {
		return
	}
	r.t.Errorf("%s: Postgres has %s; ClickHouse has %s", source.Sanitize(), want, got)
	r.difference(r.query("SELECT "+strings.Join(pg, ", ")+pgFrom), r.ch.rows("SELECT "+chRow+chFrom))
	r.t.FailNow()
}

// only leaves out what inherits from a table, but not partitions.
func (r *rig) only(table pgx.Identifier) string {
	if r.value("SELECT relkind FROM pg_class WHERE oid = "+literal(table.Sanitize())+"::regclass") == "p" {
		return table.Sanitize()
	}
	return "ONLY " + table.Sanitize()
}

// difference prints the first rows that only one side has.
func (r *rig) difference(pg, ch [][]*string) {
	r.t.Helper()
	count := map[string]int{}
	for _, row := range pg {
		count[text(row)]++
	}
	for _, row := range ch {
		count[text(row)]--
	}
	var left []string
	for row, n := range count {
		switch {
		case n > 0:
			left = append(left, row+"   only in Postgres")
		case n < 0:
			left = append(left, row+"   only in ClickHouse")
		}
	}
	slices.Sort(left)
	for _, row := range left[:min(len(left), 10)] {
		r.t.Log(row)
	}
}

// text writes a row; long values are shortened.
func text(row []*string) string {
	cells := make([]string, len(row))
	for i, c := range row {
		switch {
		case c == nil:
			cells[i] = "NULL"
		case len(*c) > 80:
			cells[i] = fmt.Sprintf("%q… (%d bytes)", (*c)[:32], len(*c))
		default:
			cells[i] = fmt.Sprintf("%q", *c)
		}
	}
	return strings.Join(cells, " | ")
}

// renderings are those of the columns that the log delivers, by their types.
func (r *rig) renderings(table pgx.Identifier) []rendering {
	r.t.Helper()
	var list []rendering
	for _, row := range r.query(`
		SELECT a.attname, coalesce(b.typname, t.typname), coalesce(b.typtype, t.typtype), coalesce(b.typcategory, t.typcategory)
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
		WHERE a.attrelid = ` + literal(table.Sanitize()) + `::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		ORDER BY a.attnum`) {
		list = append(list, render(*row[0], *row[1], *row[3]))
	}
	if len(list) == 0 {
		r.t.Fatalf("table %s has no columns", table.Sanitize())
	}
	return list
}

func render(name, typ, category string) rendering {
	pg, ch := pgx.Identifier{name}.Sanitize(), ident(name)
	if category == "A" { // a NULL array arrives empty
		return rendering{"coalesce(to_json(" + pg + ")::text, '[]')", "toJSONString(" + ch + ")"}
	}
	switch typ {
	case "bool":
		return rendering{pg + "::text", "toString(" + ch + ")"}
	case "numeric":
		return rendering{"trim_scale(" + pg + ")::text", "toString(" + ch + ")"}
	case "float4":
		return rendering{"encode(float4send(" + pg + "), 'hex')", "lower(leftPad(hex(reinterpretAsUInt32(" + ch + ")), 8, '0'))"}
	case "float8":
		return rendering{"encode(float8send(" + pg + "), 'hex')", "lower(leftPad(hex(reinterpretAsUInt64(" + ch + ")), 16, '0'))"}
	case "bytea":
		return rendering{"encode(" + pg + ", 'hex')", "lower(hex(" + ch + "))"}
	case "timestamp":
		return rendering{"to_char(" + pg + ", 'YYYY-MM-DD HH24:MI:SS.US')", "toString(" + ch + ")"}
	case "timestamptz":
		return rendering{"to_char(" + pg + " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')", "toString(" + ch + ")"}
	case "time":
		return rendering{"to_char(" + pg + ", 'HH24:MI:SS.US')", "toString(" + ch + ")"}
	}
	// Not a cast to text, which drops the padding of char(n) and completes inet.
	return rendering{"CASE WHEN " + pg + " IS NOT NULL THEN format('%s', " + pg + ") END", "toString(" + ch + ")"}
}

// ident quotes a name for ClickHouse.
func ident(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}

// literal quotes a text for Postgres.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
