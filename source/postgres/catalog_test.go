package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

func TestTablesDescribeTheCatalog(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE TYPE mood AS ENUM ('a', 'b')`,
		`CREATE DOMAIN cents AS numeric(12, 2)`,
		`CREATE TABLE orders (
			id bigint, gone int, "quo'te" text NOT NULL, amount numeric(10, 2), tags text[][], m mood, c cents,
			total bigint GENERATED ALWAYS AS (id * 2) STORED, tenant int,
			PRIMARY KEY (tenant, id))`,
		`ALTER TABLE orders DROP COLUMN gone`,
		`COMMENT ON TABLE orders IS 'what was bought'`,
		`COMMENT ON COLUMN orders.amount IS 'in euro'`,
		`CREATE SCHEMA other`, `CREATE TABLE other.orders (id int PRIMARY KEY)`,
		`CREATE VIEW v AS SELECT 1 AS id`,
		`INSERT INTO orders (id, "quo'te", tenant) SELECT g, '', 1 FROM generate_series(1, 50) g`,
		`ANALYZE orders`,
	)
	s := newTestSource(t, dsn)
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tables) != 1 {
		t.Fatalf("got %v, want public.orders alone", tables)
	}
	got := tables[0]
	if got.String() != "public.orders" || got.Problem != nil || got.Comment != "what was bought" || got.Rows != 50 || got.OldRow {
		t.Errorf("got %+v", got)
	}
	var columns []string
	for _, c := range got.Columns {
		columns = append(columns, fmt.Sprintf("%s %s null=%v %s", c.Name, c.Native, c.Nullable, c.Comment))
	}
	want := []string{
		"id bigint null=false ", "quo'te text null=false ", "amount numeric(10,2) null=true in euro", "tags text[] null=true ",
		"m public.mood null=true ", "c public.cents null=true ", "tenant integer null=false ",
	}
	if diff := cmp.Diff(want, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if !slices.Equal(got.Key, []int{6, 0}) {
		t.Errorf("key %v, want tenant and id, in the index's order", got.Key)
	}
	if got.Columns[5].Type.Kind != source.Decimal || got.Columns[4].Type.Kind != source.Enum || got.Columns[3].Type.Kind != source.Array {
		t.Errorf("types of c, m, tags: %v", got.Columns)
	}
	if !slices.ContainsFunc(got.Notes, func(n string) bool { return strings.Contains(n, `"total" is generated`) }) {
		t.Errorf("notes %q do not name the generated column", got.Notes)
	}
	info := s.table(uint32(got.Handle))
	if info == nil || len(info.leaves) != 1 || info.leaves[0].name != `"public"."orders"` || info.leaves[0].node == 0 || info.leaves[0].tuples != 50 {
		t.Errorf("leaves of %+v", info)
	}
	if info.attributes[1].num != 3 {
		t.Errorf("attnum of the second column is %d, want 3, since 2 was dropped", info.attributes[1].num)
	}
}

// Every table that cannot be replicated says why, and its hint mends it.
func TestProblemsAndTheirHints(t *testing.T) {
	tests := []struct {
		name, problem string
		setup         []string
	}{
		{"no key", "no primary key", []string{`CREATE TABLE t (id int)`}},
		{"a unique index would do", "no primary key", []string{`CREATE TABLE t (id int NOT NULL UNIQUE)`}},
		{"identity nothing", "NOTHING", []string{`CREATE TABLE t (id int PRIMARY KEY)`, `ALTER TABLE t REPLICA IDENTITY NOTHING`}},
		{"identity index gone", "index that is gone", []string{
			`CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL)`, `CREATE UNIQUE INDEX i ON t (u)`,
			`ALTER TABLE t REPLICA IDENTITY USING INDEX i`, `DROP INDEX i`,
		}},
		{"deferrable", `"t_pkey" is deferrable`, []string{`CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)`}},
		{"full and deferrable", "deferrable", []string{`CREATE TABLE t (id int NOT NULL UNIQUE DEFERRABLE)`, `ALTER TABLE t REPLICA IDENTITY FULL`}},
		{"full without key", "no key", []string{`CREATE TABLE t (id int)`, `ALTER TABLE t REPLICA IDENTITY FULL`}},
		{"unlogged", "unlogged", []string{`CREATE UNLOGGED TABLE t (id int PRIMARY KEY)`}},
		{"partition with no identity", "partition public.t1", []string{
			`CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE t1 PARTITION OF t DEFAULT`, `ALTER TABLE t1 REPLICA IDENTITY NOTHING`,
		}},
		{"unlogged partition", "t1 is unlogged", []string{
			`CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE UNLOGGED TABLE t1 PARTITION OF t DEFAULT`,
		}},
		{"full, its partition is not", "FULL", []string{
			`CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE t1 PARTITION OF t DEFAULT`, `ALTER TABLE t REPLICA IDENTITY FULL`,
		}},
		{"partition with another identity", "other key columns (u)", []string{
			`CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL) PARTITION BY RANGE (id)`, `CREATE TABLE t1 PARTITION OF t DEFAULT`,
			`CREATE UNIQUE INDEX i ON t1 (u)`, `ALTER TABLE t1 REPLICA IDENTITY USING INDEX i`,
		}},
		{"unselected column of the key", "leaves out columns of its key", []string{
			`CREATE TABLE t (id int, b int, PRIMARY KEY (id, b))`, `CREATE PUBLICATION NAME FOR TABLE t (b) WHERE (b > 1)`,
		}},
		{"not in a publication of others", "does not have it", []string{`CREATE TABLE t (id int PRIMARY KEY)`, `CREATE PUBLICATION NAME`}},
		{"partitions under their own names", "under their own names", []string{
			`CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE t1 PARTITION OF t DEFAULT`, `CREATE PUBLICATION NAME FOR TABLE t`,
		}},
	}
	pg := testenv.Postgres(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dsn := pg.Database(t)
			s := newTestSource(t, dsn, "t")
			for _, statement := range tt.setup {
				pg.Exec(t, dsn, strings.ReplaceAll(statement, "NAME", s.cfg.Publication))
			}
			problem := testTables(t, s)["public.t"].Problem
			if problem == nil || !strings.Contains(problem.Error(), tt.problem) {
				t.Fatalf("problem %v, want one with %q", problem, tt.problem)
			}
			mend(t, pg, dsn, hintOf(problem))
			if problem := testTables(t, s)["public.t"].Problem; problem != nil {
				t.Errorf("after %s: %v", hintOf(problem), problem)
			}
		})
	}
}

func TestProblemsWithoutAStatement(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE TABLE nothing ()`, `CREATE VIEW v AS SELECT 1 AS id`, `CREATE TABLE orders (id int PRIMARY KEY)`,
		`CREATE FOREIGN DATA WRAPPER w`, `CREATE SERVER s FOREIGN DATA WRAPPER w`, `CREATE FOREIGN TABLE f (id int) SERVER s`,
		`CREATE TABLE g (a int, id int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY)`,
		`CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE p_old PARTITION OF p DEFAULT`,
		`CREATE TEMP TABLE temporary (id int)`,
	)
	tables := testTables(t, newTestSource(t, dsn, "*", "v", "f", "ordres", "!p_old"))
	for name, want := range map[string]string{
		"public.nothing": "no columns",
		"public.v":       "view",
		"public.f":       "foreign table",
		"public.g":       `key column "id" is generated`,
		"public.p":       "p_old is excluded",
		"public.ordres":  `did you mean "public.orders"?`,
	} {
		table := tables[name]
		if table == nil || table.Problem == nil || !strings.Contains(table.Problem.Error(), want) || hintOf(table.Problem) == "" {
			t.Errorf("%s: %+v, want a problem with %q", name, table, want)
		}
	}
	if tables["public.orders"].Problem != nil || len(tables) != 7 {
		t.Errorf("got %v", tables)
	}
}

func TestKeys(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE TABLE by_index (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int)`,
		`CREATE UNIQUE INDEX by_ba ON by_index (b, a) INCLUDE (c)`,
		`ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_ba`,
		`CREATE TABLE full_pk (a int NOT NULL UNIQUE, id int PRIMARY KEY)`,
		`ALTER TABLE full_pk REPLICA IDENTITY FULL`,
		`CREATE TABLE full_unique (n int UNIQUE, d int NOT NULL UNIQUE DEFERRABLE, p int NOT NULL, e int NOT NULL, u int NOT NULL)`,
		`CREATE UNIQUE INDEX ON full_unique (p) WHERE p > 1`, `CREATE UNIQUE INDEX ON full_unique ((e + 1))`,
		`CREATE UNIQUE INDEX ON full_unique (u)`, `CREATE UNIQUE INDEX ON full_unique (e)`,
		`ALTER TABLE full_unique REPLICA IDENTITY FULL`,
	)
	tables := testTables(t, newTestSource(t, dsn))
	for name, want := range map[string]struct {
		key    string
		oldRow bool
	}{
		"public.by_index": {"b a", false}, "public.full_pk": {"id", true}, "public.full_unique": {"u", true},
	} {
		table := tables[name]
		var key []string
		for _, i := range table.Key {
			key = append(key, table.Columns[i].Name)
		}
		if table.Problem != nil || strings.Join(key, " ") != want.key || table.OldRow != want.oldRow {
			t.Errorf("%s: key %v, old row %v, problem %v; want %+v", name, key, table.OldRow, table.Problem, want)
		}
	}
}

func TestPartitionsStandForTheirRoot(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE SCHEMA parts`,
		`CREATE TABLE events (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)`,
		`CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)`,
		`CREATE TABLE parts.events_2 PARTITION OF events FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id)`,
		`CREATE TABLE parts.events_2a PARTITION OF parts.events_2 DEFAULT`,
		`CREATE TABLE parent (id int PRIMARY KEY)`, `CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)`,
		`INSERT INTO events SELECT g, g FROM generate_series(0, 19) g`, `ANALYZE events_1`, `ANALYZE parts.events_2a`,
	)
	s := newTestSource(t, dsn, "*", "parts.*")
	tables := testTables(t, s)
	if len(tables) != 3 || tables["public.child"] == nil || tables["public.parent"] == nil {
		t.Fatalf("got %v, want events, parent, child", tables)
	}
	root := s.table(uint32(tables["public.events"].Handle))
	if root.Problem != nil || root.Rows != 20 || len(root.leaves) != 2 ||
		root.leaves[0].name != `"parts"."events_2a"` || root.leaves[1].name != `"public"."events_1"` {
		t.Errorf("rows %d, leaves %v, problem %v", root.Rows, root.leaves, root.Problem)
	}
	if tables := testTables(t, newTestSource(t, dsn, "events_1")); len(tables) != 1 || tables["public.events_1"].Problem != nil {
		t.Errorf("a partition alone: got %v", tables)
	}
}

func TestForeignPublicationRestrictsTables(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY, a int, secret text)`,
		`CREATE PUBLICATION `+s.cfg.Publication+` FOR TABLE t (id, a) WHERE (id > 5) WITH (publish = 'insert, update')`)
	table := testTables(t, s)["public.t"]
	if table.Problem != nil || len(table.Columns) != 2 || table.Columns[1].Name != "a" {
		t.Fatalf("got %+v", table)
	}
	if info := s.table(uint32(table.Handle)); info.filter != "(id > 5)" || info.noInserts {
		t.Errorf("filter %q, no inserts %v", info.filter, info.noInserts)
	}
	notes := strings.Join(table.Notes, " ")
	for _, want := range []string{"leaves out DELETE, TRUNCATE", `"secret" is left out`, "(id > 5)"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q lack %q", notes, want)
		}
	}
	pg.Exec(t, dsn, `ALTER PUBLICATION `+s.cfg.Publication+` SET (publish = 'delete')`)
	table = testTables(t, s)["public.t"]
	if !s.table(uint32(table.Handle)).noInserts {
		t.Error("a publication without INSERT must be known for it")
	}
}

func TestAccessProblemsAndTheirHints(t *testing.T) {
	pg := testenv.Postgres(t)
	for _, tt := range []struct {
		problem string
		setup   []string
	}{
		{"may not use schema", []string{`GRANT SELECT ON app.t TO ROLE`}},
		{"may not read app.t", []string{`GRANT USAGE ON SCHEMA app TO ROLE`}},
		{"row level security", []string{`GRANT USAGE ON SCHEMA app TO ROLE`, `GRANT SELECT ON app.t TO ROLE`, `ALTER TABLE app.t ENABLE ROW LEVEL SECURITY`}},
		{"may not publish it, since it belongs to \"postgres\"", []string{`GRANT USAGE ON SCHEMA app TO ROLE`, `GRANT SELECT ON app.t TO ROLE`, `GRANT SELECT ON app.u TO ROLE`}},
	} {
		t.Run(tt.problem, func(t *testing.T) {
			dsn := pg.Database(t)
			role, roleDSN := newRole(t, pg, dsn)
			pg.Exec(t, dsn, `CREATE SCHEMA app`, `CREATE TABLE app.t (id int PRIMARY KEY)`, `CREATE TABLE app.u (id int PRIMARY KEY)`)
			for _, statement := range tt.setup {
				pg.Exec(t, dsn, strings.ReplaceAll(statement, "ROLE", role))
			}
			s := newTestSource(t, roleDSN, "app.*")
			problem := testTables(t, s)["app.t"].Problem
			if problem == nil || !strings.Contains(problem.Error(), tt.problem) {
				t.Fatalf("problem %v, want one with %q", problem, tt.problem)
			}
			mend(t, pg, dsn, hintOf(problem))
			after := testTables(t, s)["app.t"].Problem
			if after != nil && strings.Contains(after.Error(), tt.problem) {
				t.Errorf("after %s: %v", hintOf(problem), after)
			}
		})
	}
}

// Once a superuser has made the publication, a role that owns nothing can use it.
func TestUnownedTablesThroughAPublicationOfASuperuser(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	role, roleDSN := newRole(t, pg, dsn)
	pg.Exec(t, dsn, `CREATE TABLE "T 1" (id int PRIMARY KEY)`, `CREATE TABLE u (id int PRIMARY KEY)`, `GRANT SELECT ON ALL TABLES IN SCHEMA public TO `+role)
	s := newTestSource(t, roleDSN)
	mend(t, pg, dsn, hintOf(testTables(t, s)["public.u"].Problem))
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Problem != nil {
			t.Errorf("%s: %v", table, table.Problem)
		}
	}
	if err := s.ensurePublication(t.Context(), testConnect(t, s), tables); err != nil {
		t.Error(err)
	}
}

func TestDescribeAndMark(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY, a int)`,
		`CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)`)
	s := newTestSource(t, dsn)
	conn := testConnect(t, s)
	tables := testTables(t, s)
	markOf := func(name string) string {
		t.Helper()
		_, info, err := s.describe(t.Context(), conn, uint32(tables[name].Handle))
		if err != nil {
			t.Fatal(err)
		}
		return info.mark()
	}
	for _, change := range []struct{ table, statement string }{
		{"public.t", `VACUUM FULL t`},
		{"public.t", `TRUNCATE t`},
		{"public.t", `ALTER TABLE t ALTER a TYPE bigint`},
		{"public.p", `VACUUM FULL p1`},
		{"public.p", `CREATE TABLE p2 PARTITION OF p DEFAULT`},
		{"public.p", `ALTER TABLE p DETACH PARTITION p1`},
	} {
		before := markOf(change.table)
		if again := markOf(change.table); again != before {
			t.Errorf("mark changed by itself: %q, %q", before, again)
		}
		pg.Exec(t, dsn, change.statement)
		if after := markOf(change.table); after == before {
			t.Errorf("%s left the mark %q", change.statement, before)
		}
	}
	oid := uint32(tables["public.t"].Handle)
	now, info, err := s.describe(t.Context(), conn, oid)
	if err != nil || now.Columns[1].Native != "bigint" || info.oid != oid || now.SameShape(tables["public.t"]) {
		t.Errorf("describe: %+v, %v", now, err)
	}
	pg.Exec(t, dsn, `DROP TABLE t`)
	if _, _, err := s.describe(t.Context(), conn, oid); !errors.Is(err, errNoTable) {
		t.Errorf("describe of a table that is gone: %v", err)
	}
}

// A catalog that is asked once per table would take many times as long.
func TestTablesOfALargeCatalog(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `DO $$ BEGIN FOR i IN 1..1000 LOOP
		EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text, b numeric(10,2), c timestamptz, d jsonb, e int[], f bool, g uuid)', i);
	END LOOP; END $$`)
	s := newTestSource(t, dsn)
	start := time.Now()
	tables, err := s.Tables(t.Context())
	took := time.Since(start)
	if err != nil || len(tables) != 1000 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	t.Logf("1000 tables of 8 columns: %v", took)
	if took > 5*time.Second { // far from the 0.2 s that it takes on an idle machine
		t.Errorf("1000 tables took %v", took)
	}
	start = time.Now()
	if err := s.ensurePublication(t.Context(), testConnect(t, s), tables); err != nil {
		t.Fatal(err)
	}
	t.Logf("publishing them: %v", time.Since(start))
}

func TestColumnsSincePostgres18(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	if v := serverVersion(testConnect(t, s).PgConn()); v < 18 {
		t.Skipf("Postgres %d has neither published generated columns nor unproven NOT NULL", v)
	}
	pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY, a int, stored int GENERATED ALWAYS AS (a * 2) STORED, virtual int GENERATED ALWAYS AS (a * 3) VIRTUAL)`,
		`INSERT INTO t VALUES (1, NULL)`, `ALTER TABLE t ADD CONSTRAINT proven NOT NULL a NOT VALID`,
		`CREATE PUBLICATION `+s.cfg.Publication+` FOR TABLE t WITH (publish_generated_columns = stored)`)
	table := testTables(t, s)["public.t"]
	if table.Problem != nil || len(table.Columns) != 3 || table.Columns[2].Name != "stored" {
		t.Errorf("got %+v, want the column that the publication has", table)
	}
	if a := table.Column("a"); a < 0 || !table.Columns[a].Nullable {
		t.Error("a holds NULL, whatever its unproven constraint says")
	}
}

// Columns that are wanted as text come as Postgres prints them, in the copy as
// in the log.
func TestColumnsAsText(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE n (id numeric(10, 2) PRIMARY KEY, v int[], t text)")
	s := newTestSource(t, dsn)
	s.cfg.AsText = func(schema, table, column string) bool { return schema+"."+table == "public.n" && column != "id" }
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, v, text := tables[0].Columns[0], tables[0].Columns[1], tables[0].Columns[2]
	if id.Type.Kind != source.Decimal || id.Binary == nil {
		t.Errorf("id is %+v, but it was not asked for", id.Type)
	}
	if v.Type.Kind != source.String || v.Binary != nil {
		t.Errorf("v is %+v with a binary form, want text", v.Type)
	}
	if text.Type.Kind != source.String || text.Binary == nil {
		t.Errorf("t is text anyway, and lost its binary form")
	}
	if got, want := s.copySQL(tables[0], source.Chunk{}), `CASE WHEN "v" IS DISTINCT FROM NULL THEN format('%s', "v") END`; !strings.Contains(got, want) {
		t.Errorf("the copy reads %s, want %s", got, want)
	}
}
