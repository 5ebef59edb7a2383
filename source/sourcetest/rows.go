package sourcetest

import (
	"fmt"

	"github.com/millrace/millrace/source"
)

var rowTests = map[string]func(*bench){
	"of a delete carry the key":        deleteKey,
	"with NULL and empty texts":        nullAndEmpty,
	"with large values left unchanged": largeUnchanged,
	"of hostile names":                 hostileRows,
	"of an upsert":                     upserted,
}

func deleteKey(b *bench) {
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (7, 1, 'v')")
	tables, from := b.start()
	b.exec("DELETE FROM t WHERE id = 7", "DELETE FROM t WHERE id = 8")
	rows := rowsOf(b.follow(from, tables), "t")
	if len(rows) != 1 || rows[0].Op != "DELETE" || rows[0].Old[0].Text != "7" {
		b.Fatalf("the delete of row 7 came as %v", rows)
	}
	for i, v := range rows[0].Old[1:] {
		if tables[0].OldRow == (v.Kind == source.Absent) {
			b.Errorf("old rows come whole: %v; column %d came as %s", tables[0].OldRow, i+1, v)
		}
	}
}

func nullAndEmpty(b *bench) {
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (1, 1, 'v'), (2, 2, NULL), (3, 3, '')")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (4, 4, NULL)", "INSERT INTO t VALUES (5, 5, '')",
		"UPDATE t SET v = NULL WHERE id = 1", "UPDATE t SET v = '' WHERE id = 2", "UPDATE t SET v = NULL WHERE id = 3")
	events := b.follow(from, tables)
	for i, want := range []Value{{}, {Kind: source.Text}, {}, {Kind: source.Text}, {}} {
		if got := rowsOf(events, "t")[i].New[2]; got != want {
			b.Errorf("row %d has %s, want %s", i, got, want)
		}
	}
	b.compare(tables[0], events)
}

// largeUnchanged changes rows around values that the log may leave out.
func largeUnchanged(b *bench) {
	b.createTable("t")
	for i := range 6 {
		b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d, 0, '%d%s')", i, i, noise(90_000)))
	}
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.exec("UPDATE t SET n = 1", "UPDATE t SET id = 10 WHERE id = 1",
		"UPDATE t SET v = 'short' WHERE id = 2", "UPDATE t SET n = 2 WHERE id = 2",
		fmt.Sprintf("UPDATE t SET v = 'new%s' WHERE id = 3", noise(50_000)), "UPDATE t SET n = 3 WHERE id = 3",
		"UPDATE t SET v = NULL WHERE id = 4", "DELETE FROM t WHERE id = 5")
	b.transaction("UPDATE t SET n = 5 WHERE id = 0", "UPDATE t SET id = 11 WHERE id = 0", "UPDATE t SET n = 6 WHERE id = 11")
	logged := b.follow(snap.Position(), tables)
	b.compare(tables[0], copied, logged)
	b.compare(tables[0], copied, logged, logged)
}

// hostileNames are names that quoting easily gets wrong.
func (b *bench) hostileNames() []string {
	return append([]string{"select", "MiXed Case", "quo'te", `back"slash`, "a.b", "人間失格", "$1", "--", "%s", "{int}"}, b.dialect.Hostile...)
}

// hostile makes a table of each hostile name, with a row 'old'. Its columns
// and its key have such names too.
func (b *bench) hostile() {
	q := b.dialect.Quote
	for _, name := range b.hostileNames() {
		// {int} is a name here, not a type.
		create := fmt.Sprintf("CREATE TABLE %s (%s %s NOT NULL PRIMARY KEY, %s %s, %s %s)", q(name),
			q(name), b.dialect.Key, q(name+"2"), b.dialect.Text, q("order"), b.dialect.Int)
		for _, s := range []string{create, fmt.Sprintf("INSERT INTO %s VALUES ('%s', 'old', 1)", q(name), "k'';--")} {
			_, err := b.sql.ExecContext(b.ctx, s)
			b.must(err)
		}
	}
}

func hostileRows(b *bench) {
	b.hostile()
	b.open()
	byName := b.tables()
	tables := list(byName)
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	for _, name := range b.hostileNames() {
		if byName[name] == nil {
			b.Fatalf("table %q is not there", name)
		}
		q := b.dialect.Quote
		for _, s := range []string{
			fmt.Sprintf("INSERT INTO %s VALUES ('two', 'new', NULL)", q(name)),
			fmt.Sprintf("UPDATE %s SET %s = 'newer' WHERE %s = 'k'';--'", q(name), q(name+"2"), q(name)),
		} {
			_, err := b.sql.ExecContext(b.ctx, s)
			b.must(err)
		}
	}
	logged := b.follow(snap.Position(), tables)
	for _, t := range tables {
		b.compare(t, copied, logged)
	}
}

func upserted(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	for _, values := range []string{"(1, 1, 'a')", "(1, 2, 'b')", "(2, 1, NULL)", "(1, 3, NULL)"} {
		b.exec(b.dialect.Upsert("t", values))
	}
	events := b.follow(from, tables)
	if n := len(rowsOf(events, "t")); n != 4 {
		b.Errorf("%d rows of four upserts", n)
	}
	b.compare(tables[0], events)
}
