package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// members returns what a publication lists, sorted.
func members(t *testing.T, conn *pgx.Conn, name string) string {
	t.Helper()
	var list string
	err := conn.QueryRow(t.Context(), `
		SELECT coalesce(string_agg(prrelid::regclass::text, ' ' ORDER BY prrelid::regclass::text), '')
		FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE pubname = $1`, name).Scan(&list)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func ensure(t *testing.T, s *Source, conn *pgx.Conn, patterns ...string) error {
	t.Helper()
	s.cfg.Select.Patterns = patterns
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s.ensurePublication(t.Context(), conn, tables)
}

func TestPublicationFollowsTheSelection(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`, `CREATE TABLE b (id int PRIMARY KEY)`, `CREATE TABLE "C d" (id int PRIMARY KEY)`,
		`CREATE TABLE child (PRIMARY KEY (id)) INHERITS (a)`,
		`CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE p1 PARTITION OF p DEFAULT`)
	s := newTestSource(t, dsn)
	s.cfg.Publication = `it's "ours"`
	conn := testConnect(t, s)
	for _, step := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"a", "p"}, "public.a public.p"}, // no child of a, no partition of p
		{[]string{"a", "C d"}, `public."C d" public.a`},
		{[]string{"a", "C d"}, `public."C d" public.a`},
		{[]string{"b"}, "public.b"},
		{[]string{"none"}, ""},
		{[]string{"*"}, `public."C d" public.a public.b public.child public.p`},
	} {
		if err := ensure(t, s, conn, step.patterns...); err != nil {
			t.Fatalf("%v: %v", step.patterns, err)
		}
		if got := members(t, conn, s.cfg.Publication); got != step.want {
			t.Errorf("%v: got %s, want %s", step.patterns, got, step.want)
		}
		p, err := s.readPublication(t.Context(), conn)
		if err != nil || !p.ours || !p.inStep() {
			t.Errorf("%v: got %+v, %v", step.patterns, p, err)
		}
	}
	pg.Exec(t, dsn, `ALTER PUBLICATION `+quote(s.cfg.Publication)+` SET (publish = 'insert', publish_via_partition_root = false)`)
	if err := ensure(t, s, conn, "*"); err != nil {
		t.Fatal(err)
	}
	if p, err := s.readPublication(t.Context(), conn); err != nil || !p.inStep() {
		t.Errorf("the options were not set again: %+v, %v", p, err)
	}
}

func TestPublicationInStepIsNotTouched(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`)
	s := newTestSource(t, dsn)
	conn := testConnect(t, s)
	var before, after string
	for _, version := range []*string{&before, &after} {
		if err := ensure(t, s, conn, "a"); err != nil {
			t.Fatal(err)
		}
		err := conn.QueryRow(t.Context(), `SELECT string_agg(r.xmin::text || p.xmin::text, ',') FROM pg_publication_rel r, pg_publication p`).Scan(version)
		if err != nil {
			t.Fatal(err)
		}
	}
	if before != after {
		t.Error("a publication in step was altered")
	}
}

// Publishing the selected tables must leave an application's statements on the
// ones that cannot be published as they were.
func TestApplicationsStatementsStillWork(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE TABLE good (id int PRIMARY KEY, v int)`,
		`CREATE TABLE keyless (id int, v int)`,
		`CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE, v int)`,
		`CREATE TABLE nothing (id int PRIMARY KEY, v int)`, `ALTER TABLE nothing REPLICA IDENTITY NOTHING`,
		`CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v int)`,
		`CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id)`,
		`CREATE TABLE parted_1 PARTITION OF parted DEFAULT`, `ALTER TABLE parted_1 REPLICA IDENTITY NOTHING`,
	)
	s := newTestSource(t, dsn)
	conn := testConnect(t, s)
	if err := ensure(t, s, conn, "*"); err != nil {
		t.Fatal(err)
	}
	if got := members(t, conn, s.cfg.Publication); got != "public.good" {
		t.Errorf("published: %s", got)
	}
	for _, table := range []string{"good", "keyless", "deferred", "nothing", "unlogged", "parted"} {
		pg.Exec(t, dsn, `INSERT INTO `+table+` VALUES (1, 1)`, `UPDATE `+table+` SET v = 2`, `DELETE FROM `+table)
	}
}

// Since Postgres 18 the old row must not hold generated columns that are not
// published.
func TestApplicationsStatementsOnGeneratedColumns(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn,
		`CREATE TABLE by_key (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED)`,
		`CREATE TABLE whole (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED)`, `ALTER TABLE whole REPLICA IDENTITY FULL`,
		`CREATE TABLE parted (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED) PARTITION BY RANGE (id)`,
		`CREATE TABLE parted_1 PARTITION OF parted DEFAULT`, `ALTER TABLE parted_1 REPLICA IDENTITY FULL`,
	)
	s := newTestSource(t, dsn)
	conn := testConnect(t, s)
	if err := ensure(t, s, conn, "*"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"by_key", "whole", "parted"} {
		pg.Exec(t, dsn, `INSERT INTO `+table+` VALUES (1, 1)`, `UPDATE `+table+` SET v = 2`, `DELETE FROM `+table)
	}
	for name, table := range testTables(t, s) {
		if table.Problem != nil {
			mend(t, pg, dsn, hintOf(table.Problem))
		} else if name != "public.by_key" && serverVersion(conn.PgConn()) >= 18 {
			t.Errorf("%s was published", name)
		}
	}
	for name, table := range testTables(t, s) {
		if table.Problem != nil {
			t.Errorf("%s, mended: %v", name, table.Problem)
		}
	}
}

// What Tables saw may be wrong by the time of publishing.
func TestTablesAreReadAgainBeforeTheyArePublished(t *testing.T) {
	pg := testenv.Postgres(t)
	for _, tt := range []struct{ change, want string }{
		{`ALTER TABLE t DROP CONSTRAINT t_pkey`, "no primary key"},
		{`ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id) DEFERRABLE`, "deferrable"},
		{`ALTER TABLE t REPLICA IDENTITY NOTHING`, "NOTHING"},
		{`ALTER TABLE t SET UNLOGGED`, "unlogged"},
		{`ALTER TABLE p1 REPLICA IDENTITY NOTHING`, "partition public.p1"},
		{`ALTER TABLE t RENAME TO t2; CREATE TABLE t (id int PRIMARY KEY)`, "renamed"},
		{`DROP TABLE t`, "does not exist"},
	} {
		t.Run(tt.change, func(t *testing.T) {
			dsn := pg.Database(t)
			pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)`, `CREATE TABLE p1 PARTITION OF p DEFAULT`)
			s := newTestSource(t, dsn)
			tables, err := s.Tables(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pg.Exec(t, dsn, strings.Split(tt.change, "; ")...)
			conn := testConnect(t, s)
			err = s.ensurePublication(t.Context(), conn, tables)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if p, err := s.readPublication(t.Context(), conn); err != nil || p.exists {
				t.Errorf("something was published: %+v, %v", p, err)
			}
		})
	}
}

func TestForeignPublicationIsLeftAlone(t *testing.T) {
	pg := testenv.Postgres(t)
	for name, create := range map[string]string{
		"tables":      `CREATE PUBLICATION NAME FOR TABLE a WITH (publish = 'insert, update')`,
		"all tables":  `CREATE PUBLICATION NAME FOR ALL TABLES`,
		"schema":      `CREATE PUBLICATION NAME FOR TABLES IN SCHEMA public`,
		"of a sister": `CREATE PUBLICATION NAME FOR TABLE a; COMMENT ON PUBLICATION NAME IS 'millrace: sister'`,
	} {
		t.Run(name, func(t *testing.T) {
			dsn := pg.Database(t)
			s := newTestSource(t, dsn)
			pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`, `CREATE TABLE b (id int PRIMARY KEY)`)
			pg.Exec(t, dsn, strings.Split(strings.ReplaceAll(create, "NAME", s.cfg.Publication), "; ")...)
			conn := testConnect(t, s)
			before, err := s.readPublication(t.Context(), conn)
			if err != nil || before.ours {
				t.Fatalf("got %+v, %v", before, err)
			}
			if err := ensure(t, s, conn, "a"); err != nil {
				t.Fatal(err)
			}
			after, err := s.readPublication(t.Context(), conn)
			if err != nil || before.inStep() != after.inStep() || !slices.Equal(before.listed, after.listed) {
				t.Errorf("it changed: %+v, %v", after, err)
			}
			missing := &source.Table{Schema: "public", Name: "gone", Handle: 1}
			if err := s.ensurePublication(t.Context(), conn, []*source.Table{missing}); err == nil || hintOf(err) == "" {
				t.Errorf("a table that it does not have: %v", err)
			}
		})
	}
}

// Somebody's lock delays the publication, which meanwhile holds nobody up.
func TestPublishingGivesWayToLocks(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY, v int)`, `CREATE TABLE b (id int PRIMARY KEY, v int)`, `INSERT INTO a VALUES (1, 1)`)
	s := newTestSource(t, dsn)
	log := captureLog(s)
	conn, other := testConnect(t, s), testConnect(t, s)
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `BEGIN; UPDATE public.a SET v = 2; LOCK TABLE public.b IN SHARE UPDATE EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() { published <- s.ensurePublication(t.Context(), conn, tables) }()
	poll(t, "the lock to time out", func() bool {
		pg.Exec(t, dsn, `INSERT INTO b SELECT coalesce(max(id), 0) + 1, 1 FROM b`, `SET lock_timeout = '1s'; INSERT INTO a SELECT max(id) + 1, 1 FROM a`)
		return strings.Contains(log.String(), "waiting for a lock")
	})
	if _, err := other.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if got := members(t, conn, s.cfg.Publication); got != "public.a public.b" {
		t.Errorf("published: %s", got)
	}
}

// A transaction that has written to the tables is no obstacle.
func TestPublishingDoesNotWaitForWriters(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`)
	s := newTestSource(t, dsn)
	log := captureLog(s)
	writer := testConnect(t, s)
	if _, err := writer.Exec(t.Context(), `BEGIN; INSERT INTO public.a VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	if err := ensure(t, s, testConnect(t, s), "a"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "waiting") {
		t.Errorf("it waited: %s", log)
	}
}

func TestTeardown(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`)
	s := newTestSource(t, dsn)
	conn := testConnect(t, s)
	if err := ensure(t, s, conn, "a"); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, dsn, `SELECT pg_create_logical_replication_slot('`+s.cfg.Slot+`', 'pgoutput')`)
	for range 2 { // the second has nothing left to do
		if err := s.Teardown(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := s.readPublication(t.Context(), conn)
		slot, slotErr := s.readSlot(t.Context(), conn)
		if err != nil || slotErr != nil || p.exists || slot.exists {
			t.Errorf("left: %+v %v, %+v %v", p, err, slot, slotErr)
		}
	}
	pg.Exec(t, dsn, `CREATE PUBLICATION `+s.cfg.Publication)
	if err := s.Teardown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err := s.readPublication(t.Context(), conn); err != nil || !p.exists {
		t.Errorf("a publication of others was dropped, %v", err)
	}
}
