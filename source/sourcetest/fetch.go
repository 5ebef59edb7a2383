package sourcetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/millrace/millrace/source"
)

var fetchTests = map[string]func(*bench){
	"by a key":                     fetchByKey,
	"by a composite key":           fetchByComposite,
	"from tables of hostile names": fetchHostile,
	"by a key as the log gives it": fetchAsLogged,
	"from many goroutines":         fetchAtOnce,
}

func text(s string) source.Cell { return source.Cell{Kind: source.Text, Bytes: []byte(s)} }

// fetch returns columns of the row at key; nil when there is none.
func (b *bench) fetch(t *source.Table, key []source.Cell, columns ...int) []Value {
	b.Helper()
	cells, found, err := b.src.Fetch(b.ctx, t, key, columns)
	b.must(err)
	if !found {
		return nil
	}
	if len(cells) != len(columns) {
		b.Fatalf("%d cells of %d columns", len(cells), len(columns))
	}
	row := make([]Value, len(cells))
	for i, c := range columns {
		row[i], err = value(&t.Columns[c], cells[i])
		b.must(err)
	}
	return row
}

func (b *bench) wantFetch(t *source.Table, key []source.Cell, columns []int, want ...string) {
	b.Helper()
	got := b.fetch(t, key, columns...)
	if len(got) != len(want) {
		b.Errorf("fetched %v, want %q", got, want)
		return
	}
	for i := range want {
		if got[i].String() != want[i] {
			b.Errorf("column %d: fetched %s, want %s", columns[i], got[i], want[i])
		}
	}
}

func fetchByKey(b *bench) {
	b.createTable("t")
	b.exec("INSERT INTO t VALUES (1, 5, 'one'), (2, 6, NULL), (3, 7, '')")
	b.open()
	t := b.tables()["t"]
	b.wantFetch(t, []source.Cell{text("1")}, []int{2, 0}, `"one"`, `"1"`)
	b.wantFetch(t, []source.Cell{text("2")}, []int{1, 2}, `"6"`, "NULL")
	b.wantFetch(t, []source.Cell{text("3")}, []int{2}, `""`)
	b.wantFetch(t, []source.Cell{text("4")}, []int{2})
	b.exec("UPDATE t SET v = 'uno' WHERE id = 1")
	b.wantFetch(t, []source.Cell{text("1")}, []int{2}, `"uno"`)
}

func fetchByComposite(b *bench) {
	b.exec("CREATE TABLE t (v {text}, a {int} NOT NULL, k {key} NOT NULL, PRIMARY KEY (k, a))",
		"INSERT INTO t VALUES ('x', 1, 'a'), ('y', 2, 'a'), ('z', 1, 'b'), ('e', 1, '')")
	b.open()
	t := b.tables()["t"]
	b.wantFetch(t, []source.Cell{text("a"), text("2")}, []int{0}, `"y"`)
	b.wantFetch(t, []source.Cell{text("b"), text("1")}, []int{0}, `"z"`)
	b.wantFetch(t, []source.Cell{text(""), text("1")}, []int{0}, `"e"`)
	b.wantFetch(t, []source.Cell{text("b"), text("2")}, []int{0})
}

func fetchHostile(b *bench) {
	b.hostile()
	b.open()
	byName := b.tables()
	for _, name := range b.hostileNames() {
		b.wantFetch(byName[name], []source.Cell{text("k';--")}, []int{1, 2}, `"old"`, `"1"`)
		b.wantFetch(byName[name], []source.Cell{text("' OR true --")}, []int{1})
	}
}

// fetchAsLogged takes the key in the form in which Stream delivers it.
func fetchAsLogged(b *bench) {
	b.exec("CREATE TABLE t (a {int} NOT NULL, k {key} NOT NULL, v {text}, PRIMARY KEY (a, k))")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (-7, 'it''s', 'v')")
	var key []source.Cell
	rec := newRecorder()
	rec.before = func(_ context.Context, r *source.Row) error {
		for _, k := range r.Table.Key {
			key = append(key, source.Cell{Kind: r.New[k].Kind, Bytes: bytes.Clone(r.New[k].Bytes)})
		}
		return nil
	}
	f := b.stream(from, tables, rec)
	f.caughtUp()
	f.stop()
	b.wantFetch(tables[0], key, []int{2}, `"v"`)
}

func fetchAtOnce(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 50, "v")
	b.open()
	t := b.tables()["t"]
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			cells, found, err := b.src.Fetch(b.ctx, t, []source.Cell{text(fmt.Sprint(i))}, []int{0})
			if err != nil || !found {
				b.Errorf("row %d: found %v, %v", i, found, err)
				return
			}
			if v, err := value(&t.Columns[0], cells[0]); err != nil || v.Text != fmt.Sprint(i) {
				b.Errorf("row %d is %s, %v", i, v, err)
			}
		})
	}
	wg.Wait()
}
