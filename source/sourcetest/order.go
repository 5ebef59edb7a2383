package sourcetest

import (
	"fmt"
	"strconv"
	"time"
)

var orderTests = map[string]func(*bench){
	"of interleaved transactions":       interleaved,
	"of a key that two insert":          contested,
	"of many updates of a row":          manyUpdates,
	"of keys that move up":              keysMoveUp,
	"of keys that are swapped":          keysSwapped,
	"of composite keys":                 compositeKeys,
	"of a large transaction":            largeTransaction,
	"leaves out what was rolled back":   rolledBack,
	"has no rows of other tables":       otherTables,
	"of a truncate":                     truncated,
	"is the same with smaller messages": slowHandler,
}

// versions returns the version of each row by its first column.
func versions(events []Event) map[string]uint64 {
	found := make(map[string]uint64)
	for _, e := range events {
		if len(e.New) > 0 {
			found[e.New[0].Text] = e.Version
		}
	}
	return found
}

// interleaved has transactions that begin in one order and commit in another;
// the recorder sees to it that versions rise.
func interleaved(b *bench) {
	b.createTable("t", "u")
	tables, from := b.start()
	first, second, third := b.begin(), b.begin(), b.begin()
	b.run(first, "INSERT INTO t VALUES (1, 0, NULL)")
	b.run(second, "INSERT INTO t VALUES (2, 0, NULL)")
	b.run(third, "INSERT INTO u VALUES (3, 0, NULL)")
	b.run(first, "INSERT INTO u VALUES (11, 0, NULL)")
	b.run(second, "INSERT INTO u VALUES (12, 0, NULL)")
	b.must(second.Commit())
	b.run(first, "INSERT INTO t VALUES (21, 0, NULL)")
	b.must(third.Commit())
	b.must(first.Commit())
	events := b.follow(from, tables)
	v := versions(events)
	if v["1"] != v["11"] || v["1"] != v["21"] || v["2"] != v["12"] {
		b.Errorf("rows of a transaction differ in version: %v", v)
	}
	if !(v["2"] < v["3"] && v["3"] < v["1"]) {
		b.Errorf("versions are not in the order of the commits: %v", v)
	}
	commits := 0
	for _, e := range changes(events) {
		if e.Op == "COMMIT" {
			commits++
		}
	}
	if commits != 3 {
		b.Errorf("%d commits of three transactions", commits)
	}
}

// contested has a row that is logged before the delete that lets it in.
func contested(b *bench) {
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (1, 1, 'old')")
	tables, from := b.start()
	first, second := b.begin(), b.begin()
	b.run(first, "UPDATE t SET v = 'held' WHERE id = 1")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := second.ExecContext(b.ctx, "INSERT INTO t VALUES (1, 2, 'new')"); err != nil {
			b.Error(err)
		}
	}()
	select { // it waits for the first
	case <-done:
	case <-time.After(overtaken / 4):
	}
	b.run(first, "DELETE FROM t WHERE id = 1")
	b.must(first.Commit())
	<-done
	b.must(second.Commit())
	events := b.follow(from, tables)
	b.compare(tables[0], events)
	b.compare(tables[0], events, events)
}

func manyUpdates(b *bench) {
	const updates = 20_000
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (1, 0, NULL)")
	tables, from := b.start()
	tx := b.begin()
	statement, err := tx.PrepareContext(b.ctx, "UPDATE t SET n = n + 1")
	b.must(err)
	for range updates {
		_, err := statement.ExecContext(b.ctx)
		b.must(err)
	}
	b.must(tx.Commit())
	events := b.follow(from, tables)
	rows := rowsOf(events, "t")
	if len(rows) != updates {
		b.Fatalf("%d rows of %d updates", len(rows), updates)
	}
	for i, e := range rows {
		if e.New[1].Text != strconv.Itoa(i+1) {
			b.Fatalf("update %d has n = %s", i+1, e.New[1].Text)
		}
	}
	b.compare(tables[0], events)
}

// keysMoveUp gives each row the key of the next one, in one transaction.
func keysMoveUp(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 1, 100, "v")
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.transaction("UPDATE t SET id = -id", "UPDATE t SET id = 1 - id")
	b.exec("UPDATE t SET v = 'after' WHERE id = 50")
	logged := b.follow(snap.Position(), tables)
	b.compare(tables[0], copied, logged)
	b.compare(tables[0], copied, logged, logged)
	b.compare(tables[0], logged, copied)
}

func keysSwapped(b *bench) {
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two')")
	tables, from := b.start()
	b.transaction("UPDATE t SET id = 3 WHERE id = 1", "UPDATE t SET id = 1 WHERE id = 2", "UPDATE t SET id = 2 WHERE id = 3")
	events := b.follow(from, tables)
	for _, e := range rowsOf(events, "t") {
		if len(e.Old) == 0 || e.Old[0] == e.New[0] {
			b.Errorf("update to key %v does not give the old one: %v", e.New[0], e.Old)
		}
	}
	b.compare(tables[0], events)
}

func compositeKeys(b *bench) {
	b.exec("CREATE TABLE t (v {text}, a {int} NOT NULL, k {key} NOT NULL, PRIMARY KEY (k, a))",
		"INSERT INTO t VALUES ('x', 10, 'a'), ('y', 20, 'a'), ('z', 10, 'b'), (NULL, 1, '')")
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.transaction("UPDATE t SET k = 'tmp' WHERE a = 20", "UPDATE t SET a = 20 WHERE k = 'a'", "UPDATE t SET a = 10, k = 'a' WHERE k = 'tmp'")
	b.exec("UPDATE t SET k = 'B' WHERE k = 'b'", "UPDATE t SET a = 2 WHERE k = ''", "DELETE FROM t WHERE a = 20 AND k = 'a'")
	logged := b.follow(snap.Position(), tables)
	b.compare(tables[0], copied, logged)
	b.compare(tables[0], logged, copied)
}

func largeTransaction(b *bench) {
	const rows = 200_000
	b.createTable("t")
	tables, from := b.start()
	tx := b.begin()
	b.fill(tx, "t", 0, rows, noise(80))
	b.must(tx.Commit())
	b.exec("DELETE FROM t WHERE id >= 100")
	events := changes(b.follow(from, tables))
	if len(events) != 2*rows-100+2 {
		b.Fatalf("%d events", len(events))
	}
	for i, e := range events[:rows] {
		if e.New[0].Text != strconv.Itoa(i) {
			b.Fatalf("row %d is %s", i, e.New[0])
		}
	}
	b.compare(tables[0], events)
}

func rolledBack(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	tx := b.begin()
	b.run(tx, "INSERT INTO t VALUES (1, 1, 'never')")
	b.must(tx.Rollback())
	b.transaction("INSERT INTO t VALUES (2, 2, 'kept')",
		"SAVEPOINT s", "INSERT INTO t VALUES (3, 3, 'never')", "UPDATE t SET n = 20", "ROLLBACK TO SAVEPOINT s",
		"INSERT INTO t VALUES (4, 4, 'kept')", "SAVEPOINT u", "INSERT INTO t VALUES (5, 5, 'kept')", "RELEASE SAVEPOINT u")
	events := b.follow(from, tables)
	if rows := rowsOf(events, "t"); len(rows) != 3 || rows[0].Version != rows[2].Version {
		b.Errorf("three rows were kept in one transaction, these came: %v", rows)
	}
	b.compare(tables[0], events)
}

// otherTables writes to tables that nobody follows, also with those that are.
func otherTables(b *bench) {
	b.createTable("t", "other")
	b.open("t")
	tables, from := b.start()
	b.exec("INSERT INTO other VALUES (1, 1, 'alone')")
	b.transaction("INSERT INTO other VALUES (2, 2, 'with')", "INSERT INTO t VALUES (1, 1, 'v')", "DELETE FROM other")
	for _, e := range changes(b.follow(from, tables)) {
		if e.Op != "COMMIT" && e.Table != "t" {
			b.Errorf("a row of %s", e.Table)
		}
	}
}

func truncated(b *bench) {
	b.createTable("t", "u")
	b.fill(b.sql, "t", 0, 100, "v")
	b.fill(b.sql, "u", 0, 100, "v")
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	copied := b.copy(snap, tables)
	b.must(snap.Close()) // its locks would hold up the truncate
	b.exec("INSERT INTO t VALUES (200, 0, 'before')", "TRUNCATE TABLE t", "INSERT INTO t VALUES (1, 1, 'after')", "UPDATE u SET n = 5 WHERE id = 1")
	logged := b.follow(snap.Position(), tables)
	n := 0
	for _, e := range logged {
		if e.Op == "TRUNCATE" {
			n++
		}
	}
	if n != 1 {
		b.Errorf("%d truncates", n)
	}
	for _, t := range tables {
		b.compare(t, copied, logged)
		b.compare(t, logged, copied)
	}
}

// slowHandler takes rows of very different sizes one at a time.
func slowHandler(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	tx := b.begin()
	for i, size := range []int{0, 1, 100_000, 5, 8192, 99_999, 1000} {
		b.run(tx, fmt.Sprintf("INSERT INTO t VALUES (%d, %d, '%s')", i, size, noise(size)))
	}
	b.must(tx.Commit())
	rec, g := newRecorder(), newGate()
	rec.before = g.pass
	f := b.stream(from, tables, rec)
	g.waited(b, 1)
	g.open()
	f.until("all rows", func(events []Event) bool { return len(rowsOf(events, "t")) == 7 })
	b.compare(tables[0], f.stop())
	if !f.rec.announced[tables[0]] {
		b.Error("rows refer to another table than the one that was given")
	}
}
