package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Names that end an identifier, a string or a line where they are not quoted.
var hostile = []string{
	"quo'te", `dou"ble`, "人間失格", "select", "back`tick", `back\slash`, "semi;colon --", "Upper Case", "percent%s$1", "new\nline",
	strings.Repeat("x", 63), "dots.in.it",
}

func TestHostileIdentifiers(t *testing.T) {
	r := newRig(t, "*.*")
	r.with["target.table_name"] = "{schema}/{table}"
	var columns []string
	for _, name := range hostile {
		if !strings.Contains(name, ".") { // ClickHouse takes dots for nested columns
			columns = append(columns, pgx.Identifier{name}.Sanitize()+" text")
		}
	}
	key := pgx.Identifier{hostile[0]}.Sanitize() + ", " + pgx.Identifier{hostile[4]}.Sanitize() + ", " + pgx.Identifier{hostile[5]}.Sanitize()
	value := func(i int) string {
		var cells []string
		for j := range columns {
			cells = append(cells, literal(fmt.Sprintf(`%d-%d '"\n\%s`+"`\t\n\r\b ;{}%%s$1 \u2028 🦀 人間", i, j, `\\N`)))
		}
		return "(" + strings.Join(cells, ", ") + ")"
	}
	var tables []pgx.Identifier
	for i, name := range hostile {
		table := pgx.Identifier{hostile[(i+1)%len(hostile)], name}
		tables = append(tables, table)
		r.exec("CREATE SCHEMA "+pgx.Identifier{table[0]}.Sanitize(),
			"CREATE TABLE "+table.Sanitize()+" ("+strings.Join(columns, ", ")+", PRIMARY KEY ("+key+"))",
			"INSERT INTO "+table.Sanitize()+" VALUES "+value(1)+", "+value(2)+", "+value(3))
	}
	r.begin()
	for _, table := range tables {
		quoted := pgx.Identifier{hostile[0]}.Sanitize()
		r.exec("INSERT INTO "+table.Sanitize()+" VALUES "+value(4),
			"UPDATE "+table.Sanitize()+" SET "+quoted+" = "+quoted+" || '''moved' WHERE "+quoted+" LIKE '1-%'",
			"UPDATE "+table.Sanitize()+" SET \"select\" = NULL WHERE "+quoted+" LIKE '2-%'",
			"DELETE FROM "+table.Sanitize()+" WHERE "+quoted+" LIKE '3-%'")
	}
	r.settle()
	for _, table := range tables {
		r.equalTo(table, table[0]+"/"+table[1])
	}
}

func TestOrderByWithoutOldValuesIsRefused(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE o (id int PRIMARY KEY, tenant int NOT NULL, v text)",
		"INSERT INTO o SELECT i, i % 5, 'v' FROM generate_series(1, 50) i")
	r.config = "tables:\n  - name: public.o\n    order_by: [tenant, id]\n"
	r.once().wantExit(1, "public.o", "tenant", "REPLICA IDENTITY FULL")

	r.exec("ALTER TABLE o REPLICA IDENTITY FULL")
	r.set("flush.rows=3")
	r.begin()
	r.exec("UPDATE o SET tenant = tenant + 10 WHERE id % 3 = 0", "UPDATE o SET id = id + 100 WHERE id % 7 = 0",
		"UPDATE o SET v = 'w' WHERE tenant = 11", "UPDATE o SET tenant = 1, id = -id WHERE id < 5", "DELETE FROM o WHERE tenant = 2")
	r.settle()
	r.equal("o")
	if key := r.ch.query("SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'o'"); key != "tenant, id" {
		t.Errorf("the sorting key is %s", key)
	}
}
