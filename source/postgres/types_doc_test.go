package postgres

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/source"
)

// documented are the first two columns of the table in docs/types.md.
func documented(t *testing.T) (postgres, clickhouse []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Postgres to ClickHouse\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		postgres, clickhouse = append(postgres, row[1]), append(clickhouse, row[2])
	}
	if len(postgres) < len(builtin) {
		t.Fatalf("the table has %d rows", len(postgres))
	}
	return postgres, clickhouse
}

// inWords are the types that the document does not write as DDL.
var inWords = map[string]string{
	"an enum": "mood", "a domain over integer": "positive", "a composite type": "pair",
}

func TestTypesDocument(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	types, want := documented(t)
	columns := []string{"id int PRIMARY KEY"}
	for i, typ := range types {
		if ddl, ok := inWords[typ]; ok {
			typ = ddl
		}
		columns = append(columns, fmt.Sprintf("c%d %s NOT NULL", i, typ))
	}
	pg.Exec(t, dsn,
		"CREATE EXTENSION citext", "CREATE EXTENSION hstore",
		"CREATE TYPE mood AS ENUM ('good')", "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)", "CREATE TYPE pair AS (a int, b int)",
		"CREATE TABLE all_types ("+strings.Join(columns, ", ")+")",
		"CREATE TABLE key_types (n numeric PRIMARY KEY, e mood, a int[])")
	s := newTestSource(t, dsn)
	tables := testTables(t, s)

	all := planned(t, tables["public.all_types"], true)
	for i, typ := range types {
		if got := all[fmt.Sprintf("c%d", i)]; got != want[i] {
			t.Errorf("docs/types.md says that %s becomes %s; it becomes %s", typ, want[i], got)
		}
	}
	key := planned(t, tables["public.key_types"], true)
	if key["n"] != "String" || key["e"] != "LowCardinality(Nullable(String))" || key["a"] != "Array(Nullable(Int32))" {
		t.Errorf("docs/types.md says otherwise of numeric in a key, or of nullable columns: %v", key)
	}
	before := planned(t, tables["public.all_types"], false)
	for i, typ := range types {
		if typ == "time" && before[fmt.Sprintf("c%d", i)] != "Int64" {
			t.Errorf("docs/types.md says that time becomes Int64 where there is no Time64; it becomes %s", before[fmt.Sprintf("c%d", i)])
		}
	}

	s.cfg.AsText = func(_, _, column string) bool { return column != "id" }
	for _, c := range testTables(t, s)["public.all_types"].Columns {
		if c.Name != "id" && c.Type.Kind.IsValue() {
			t.Errorf("docs/types.md says that type: String takes a column of type %s as text; it is of kind %d", c.Native, c.Type.Kind)
		}
	}

	known := map[uint32]bool{oidInt2Vector: true, oidOIDVector: true} // the catalog's own
	for _, a := range s.table(uint32(tables["public.all_types"].Handle)).attributes {
		known[a.typ] = true
	}
	for oid := range builtin {
		if !known[oid] {
			t.Errorf("docs/types.md lacks the type of oid %d", oid)
		}
	}
}

// planned returns the ClickHouse types of a table's columns, for a target that
// has Time64 or has it not.
func planned(t *testing.T, table *source.Table, time64 bool) map[string]string {
	t.Helper()
	plan, err := mapper.NewPlan(table, mapper.Options{Target: table.Name}, func(string) bool { return time64 })
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]string)
	for _, f := range plan.Columns {
		types[f.Name] = f.Type
	}
	return types
}

// The types that docs/types.md names for `type`, and one that it does not.
func TestTypesDocumentOnOtherTypes(t *testing.T) {
	for _, c := range []struct {
		kind source.Type
		good string
		bad  string
	}{
		{source.Type{Kind: source.Int32}, "Int64 UInt8 Int8 Decimal(10,0) Float64 Bool", "UUID"},
		{source.Type{Kind: source.Decimal, Precision: 10, Scale: 2}, "Decimal(38,9)", "Int64"},
		{source.Type{Kind: source.Date}, "Date Date32 DateTime DateTime64(3)", "UUID"},
		{source.Type{Kind: source.Timestamp, Precision: 6}, "DateTime DateTime64(9)", "Date"},
		{source.Type{Kind: source.Time, Precision: 6}, "Time Time64(3) Int64", "DateTime"},
		{source.Type{Kind: source.String}, "String LowCardinality(String) FixedString(9)", "UUID"},
		{source.Type{Kind: source.Bytes}, "String LowCardinality(String) FixedString(9)", "UUID"},
		{source.Type{Kind: source.JSON}, "String JSON", "UUID"},
	} {
		table := &source.Table{Name: "t", Columns: []source.Column{
			{Name: "id", Type: source.Type{Kind: source.Int32}}, {Name: "c", Type: c.kind},
		}, Key: []int{0}}
		plan := func(typ string) error {
			o := mapper.Options{Target: "t", Columns: map[string]mapper.ColumnOptions{"c": {Type: typ}}}
			_, err := mapper.NewPlan(table, o, func(string) bool { return true })
			return err
		}
		for typ := range strings.FieldsSeq(c.good) {
			if err := plan(typ); err != nil {
				t.Errorf("docs/types.md: %v", err)
			}
		}
		if plan(c.bad) == nil {
			t.Errorf("docs/types.md does not say that %s can be chosen for kind %d", c.bad, c.kind.Kind)
		}
	}
}
