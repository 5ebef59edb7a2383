package test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// An INSERT logs its row before it waits on the unique index. So the row has a
// place in the log before that of a DELETE which commits first.
func TestInsertThatWaitedOnTheIndex(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE w (id int PRIMARY KEY, v text)", "INSERT INTO w VALUES (1, 'old')")
	r.set("flush.rows=1")
	r.begin().stop()
	start := r.mark()
	r.start()
	ctx := context.Background()
	first, second := r.connect(), r.connect()
	do := func(conn *pgx.Conn, sql string) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	do(first, "BEGIN")
	do(first, "UPDATE w SET v = 'updated' WHERE id = 1")
	do(second, "BEGIN")
	inserted := make(chan error, 1)
	go func() {
		_, err := second.Exec(ctx, "INSERT INTO w VALUES (1, 'second')")
		inserted <- err
	}()
	r.until("the insert waits", func() bool {
		return r.value(fmt.Sprintf("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d", second.PgConn().PID())) == "Lock"
	})
	do(first, "DELETE FROM w WHERE id = 1")
	do(first, "COMMIT")
	if err := <-inserted; err != nil {
		t.Fatal(err)
	}
	do(second, "COMMIT")
	check := func() {
		t.Helper()
		r.settle()
		r.equal("w")
		if v := r.ch.query("SELECT v FROM w FINAL WHERE id = 1"); v != "second" {
			t.Errorf("ClickHouse has %q", v)
		}
		r.ch.query("OPTIMIZE TABLE w FINAL")
		r.equal("w")
	}
	check()
	r.now.kill()
	r.replay(start)
	r.start()
	check()
}

// Tables that cannot be replicated are left out, and out of the publication:
// in it, their application's UPDATE would fail.
func TestApplicationGoesOnBesideTheSelectedTables(t *testing.T) {
	r := newRig(t, "",
		"CREATE TABLE good (id int PRIMARY KEY, v int)",
		"CREATE TABLE keyless (a int)",
		"CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v int)",
		"CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v int)",
		"INSERT INTO keyless VALUES (1)", "INSERT INTO deferred VALUES (1, 1)", "INSERT INTO unlogged VALUES (1, 1)", "INSERT INTO good VALUES (1, 1)")
	r.begin()
	r.exec("UPDATE keyless SET a = 2", "UPDATE deferred SET v = 2", "UPDATE unlogged SET v = 2", "UPDATE good SET v = 2",
		"DELETE FROM keyless", "DELETE FROM deferred")
	r.settle()
	r.equal("good")
	for _, name := range []string{"keyless", "deferred", "unlogged"} {
		if !r.now.log.has("table=public." + name) {
			t.Errorf("the log does not name %s:\n%s", name, r.now.log.tail())
		}
		if n := r.ch.query("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = '" + name + "'"); n != "0" {
			t.Errorf("%s was created in ClickHouse", name)
		}
	}
	r.now.stop()
	r.once().wantExit(1, "public.keyless")
	// Named by the user, such a table is an error.
	r.tables = "public.good,public.keyless"
	r.once().wantExit(1, "public.keyless", "no primary key")
}

// A row that was written before ALTER PUBLICATION, but is committed after it,
// is in the log of neither: the copy must wait for it.
func TestAddedTableWithAnOpenTransaction(t *testing.T) {
	r := newRig(t, "public.a", "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY, v text)",
		"INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1, 'before')")
	r.begin()
	r.settle()
	r.now.stop()
	ctx := context.Background()
	open := r.connect()
	if _, err := open.Exec(ctx, "BEGIN; INSERT INTO b VALUES (2, 'open'); INSERT INTO a VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	r.tables = "public.a,public.b"
	r.start().await("waits for transactions")
	r.exec("INSERT INTO a VALUES (3)") // none of b, of which the server has yet to learn that it is published
	if _, err := open.Exec(ctx, "INSERT INTO b VALUES (4, 'late'); COMMIT"); err != nil {
		t.Fatal(err)
	}
	r.now.await("caught up")
	r.exec("INSERT INTO b VALUES (5, 'after')")
	r.settle()
	r.equal("a", "b")
	if n := r.ch.query("SELECT count() FROM b FINAL"); n != "4" {
		t.Errorf("b has %s rows", n)
	}
}

// A table of the selection that goes out of it and comes back is copied anew.
func TestTablesComeAndGo(t *testing.T) {
	r := newRig(t, "public.a,public.b", "CREATE TABLE a (id int PRIMARY KEY)", "CREATE TABLE b (id int PRIMARY KEY)", "INSERT INTO b VALUES (1)")
	r.begin().stop()
	r.tables = "public.a"
	r.begin()
	r.exec("INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)")
	r.settle()
	r.equal("a")
	if n := r.ch.query("SELECT count() FROM b FINAL"); n != "1" {
		t.Errorf("b has %s rows although it is not selected any more", n)
	}
	if n := r.value("SELECT count(*) FROM pg_publication_tables WHERE pubname = " + literal(r.name)); n != "1" {
		t.Errorf("%s tables are published", n)
	}
	r.now.stop()
	r.tables = "public.a,public.b"
	r.once().wantExit(1, "has rows", "DROP TABLE")
	r.ch.query("DROP TABLE b SYNC")
	r.begin()
	r.settle()
	r.equal("a", "b")
}

func TestPartitionsArriveAsTheirRoot(t *testing.T) {
	r := newRig(t, "",
		"CREATE TABLE root (id int, region text, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region)",
		"CREATE TABLE root_eu PARTITION OF root FOR VALUES IN ('eu')",
		"CREATE TABLE root_us (v int, dropped int, region text NOT NULL, id int NOT NULL, PRIMARY KEY (id, region))",
		"ALTER TABLE root_us DROP COLUMN dropped",
		"ALTER TABLE root ATTACH PARTITION root_us FOR VALUES IN ('us')",
		"CREATE TABLE root_rest PARTITION OF root DEFAULT",
		"INSERT INTO root SELECT i, (ARRAY['eu', 'us', 'as'])[1 + i % 3], i FROM generate_series(1, 300) i",
		"CREATE TABLE parent (id int PRIMARY KEY, v int)",
		"CREATE TABLE child (more int, PRIMARY KEY (id)) INHERITS (parent)",
		"INSERT INTO parent VALUES (1, 1)", "INSERT INTO child VALUES (2, 2, 2)")
	r.begin()
	r.exec("INSERT INTO root SELECT i, (ARRAY['eu', 'us', 'as'])[1 + i % 3], i FROM generate_series(301, 330) i",
		"UPDATE root SET v = -v WHERE id % 7 = 0", "UPDATE root SET region = 'us' WHERE id < 20", "DELETE FROM root WHERE id > 320",
		"INSERT INTO parent VALUES (3, 3)", "INSERT INTO child VALUES (4, 4, 4)", "UPDATE parent SET v = -v")
	r.settle()
	r.equal("root", "parent", "child")
	if n := r.ch.query("SELECT count() FROM parent FINAL"); n != "2" {
		t.Errorf("parent has %s rows, want its own 2", n)
	}
	if n := r.ch.query("SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'root_%'"); n != "0" {
		t.Errorf("%s partitions were created in ClickHouse", n)
	}
	r.exec("TRUNCATE root", "INSERT INTO root VALUES (1, 'us', 1)")
	r.settle()
	r.equal("root")
}

func TestTruncate(t *testing.T) {
	r := newRig(t, "", "CREATE TABLE a (id int PRIMARY KEY, v int)", "CREATE TABLE b (id int PRIMARY KEY REFERENCES a)",
		"INSERT INTO a SELECT i, i FROM generate_series(1, 100) i", "INSERT INTO b SELECT i FROM generate_series(1, 50) i")
	r.set("flush.rows=7")
	r.begin().stop()
	start := r.mark()
	r.start()
	check := func() {
		t.Helper()
		r.settle()
		r.equal("a", "b")
	}
	r.exec("TRUNCATE a CASCADE")
	check()
	r.transaction("INSERT INTO a SELECT i, i FROM generate_series(1, 20) i", "TRUNCATE a, b", "INSERT INTO a VALUES (5, 5)", "INSERT INTO b VALUES (5)", "UPDATE a SET v = 6")
	check()
	r.exec("BEGIN; TRUNCATE b; INSERT INTO b VALUES (5); ROLLBACK", "INSERT INTO a VALUES (8, 8)")
	check()
	r.transaction("TRUNCATE a, b", "INSERT INTO a VALUES (1, 1)", "TRUNCATE a, b", "INSERT INTO a VALUES (2, 2)")
	check()
	r.now.kill()
	r.replay(start)
	r.start()
	check()
}
