package sourcetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

const (
	limit  = 2 * time.Minute // of one test
	prompt = 3 * time.Second // what is to happen at once takes no longer
)

// A bench is what a test works at: a database, SQL in it, and a source.
type bench struct {
	*testing.T
	ctx     context.Context
	env     Env
	dialect Dialect
	base    Database
	sql     *sql.DB
	options Options
	src     source.Source
}

func newBench(t *testing.T, env Env, base Database) *bench {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	b := &bench{T: t, ctx: ctx, env: env, dialect: env.Dialect(), base: base, sql: base.DB(t)}
	b.options = Options{Workers: 2, ChunkRows: 100_000, Memory: &memory{values: make(map[string][]byte)}}
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	if b.src != nil {
		if err := b.src.Close(); err != nil {
			b.Errorf("close the source: %v", err)
		}
		b.src = nil
	}
}

// open replaces the source by a new one, as a new process would have it.
func (b *bench) open(patterns ...string) {
	b.Helper()
	b.close()
	b.options.Tables = patterns
	b.src = b.base.Open(b.T, b.options)
}

// A memory forgets nothing while the test runs.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (m *memory) Get(key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[key], nil
}

func (m *memory) Put(key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = slices.Clone(value)
	return nil
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// An execer is a database, a connection or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// exec runs statements, in which {int}, {text} and {key} are types.
func (b *bench) exec(statements ...string) {
	b.Helper()
	b.run(b.sql, statements...)
}

func (b *bench) run(on execer, statements ...string) {
	b.Helper()
	types := strings.NewReplacer("{int}", b.dialect.Int, "{text}", b.dialect.Text, "{key}", b.dialect.Key)
	for _, s := range statements {
		if _, err := on.ExecContext(b.ctx, types.Replace(s)); err != nil {
			b.Fatalf("%v\nin: %.200s", err, s)
		}
	}
}

// begin opens a transaction.
func (b *bench) begin() *sql.Tx {
	b.Helper()
	tx, err := b.sql.BeginTx(b.ctx, nil)
	b.must(err)
	b.Cleanup(func() { _ = tx.Rollback() }) // no error when it has ended
	return tx
}

// transaction runs statements in one.
func (b *bench) transaction(statements ...string) {
	b.Helper()
	tx := b.begin()
	b.run(tx, statements...)
	b.must(tx.Commit())
}

// fill inserts rows (id, n, v) with ids from up to but not including to.
func (b *bench) fill(on execer, table string, from, to int, v string) {
	b.Helper()
	const rows = 1000
	for ; from < to; from += rows {
		var s strings.Builder
		fmt.Fprintf(&s, "INSERT INTO %s (id, n, v) VALUES ", table)
		for id := from; id < min(from+rows, to); id++ {
			if id > from {
				s.WriteByte(',')
			}
			fmt.Fprintf(&s, "(%d, %d, '%s')", id, id%7, v)
		}
		b.run(on, s.String())
	}
}

// createTable makes the table that most tests use.
func (b *bench) createTable(names ...string) {
	b.Helper()
	for _, name := range names {
		b.exec("CREATE TABLE " + name + " (id {int} NOT NULL PRIMARY KEY, n {int} NOT NULL, v {text})")
	}
}

// tables returns the selected tables by name, all of which can be replicated.
func (b *bench) tables() map[string]*source.Table {
	b.Helper()
	list, err := b.src.Tables(b.ctx)
	b.must(err)
	byName := make(map[string]*source.Table)
	for _, t := range list {
		if t.Problem != nil {
			b.Fatalf("table %s: %v", t, t.Problem)
		}
		byName[t.Name] = t
	}
	return byName
}

func list(tables map[string]*source.Table) []*source.Table {
	var l []*source.Table
	for _, t := range tables {
		l = append(l, t)
	}
	slices.SortFunc(l, func(a, b *source.Table) int { return strings.Compare(a.Name, b.Name) })
	return l
}

// start begins to follow tables whose rows nobody copies.
func (b *bench) start() (tables []*source.Table, from position.Position) {
	b.Helper()
	if b.src == nil {
		b.open()
	}
	tables = list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	b.must(snap.Close())
	if snap.Position().IsZero() {
		b.Fatal("a first copy stands nowhere")
	}
	return tables, snap.Position()
}

// beginAgain begins where the source may have lost the server.
func (b *bench) beginAgain(tables []*source.Table, first bool) source.Snapshot {
	b.Helper()
	for {
		snap, err := b.src.Begin(b.ctx, nil, tables, first)
		if errors.Is(err, source.ErrDisconnected) && b.ctx.Err() == nil {
			continue
		}
		b.must(err)
		return snap
	}
}

// copy reads all chunks of tables, some at a time, and returns their rows.
func (b *bench) copy(snap source.Snapshot, tables []*source.Table) []Event {
	b.Helper()
	rec := newRecorder()
	rec.snapshot = true
	g, ctx := errgroup.WithContext(b.ctx)
	g.SetLimit(b.options.Workers)
	for _, t := range tables {
		plan, err := snap.Plan(b.ctx, t)
		b.must(err)
		for _, c := range plan.Chunks {
			g.Go(func() error { return snap.Read(ctx, t, c, rec) })
		}
	}
	b.must(g.Wait())
	return b.recorded(rec)
}

func (b *bench) recorded(rec *recorder) []Event {
	b.Helper()
	events, _, err := rec.look()
	b.must(err)
	return events
}

// compare applies events in order and compares the outcome with the table.
func (b *bench) compare(t *source.Table, events ...[]Event) {
	b.Helper()
	r := &replica{keys: t.Key, rows: make(map[string]*kept), fetch: b.fetchValue}
	for _, part := range events {
		for _, e := range rowsOf(part, t.Name) {
			b.must(r.apply(e))
		}
	}
	if diff := cmp.Diff(b.read(t, r), r.alive()); diff != "" {
		b.Errorf("table %s differs (-server +copy):\n%.3000s", t, diff)
	}
}

// read reads a table with SQL.
func (b *bench) read(t *source.Table, r *replica) map[string][]Value {
	b.Helper()
	var columns []string
	for i := range t.Columns {
		columns = append(columns, b.dialect.Quote(t.Columns[i].Name))
	}
	rows, err := b.sql.QueryContext(b.ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+b.dialect.Quote(t.Name))
	b.must(err)
	defer rows.Close()
	found := make(map[string][]Value)
	for rows.Next() {
		texts, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range texts {
			into[i] = &texts[i]
		}
		b.must(rows.Scan(into...))
		row := make([]Value, len(columns))
		for i, text := range texts {
			if text.Valid {
				row[i] = Value{Kind: source.Text, Text: text.String}
			}
		}
		found[r.key(row)] = row
	}
	b.must(rows.Err())
	return found
}

// fetchValue asks the source for what the log left out.
func (b *bench) fetchValue(e Event, column int) (Value, error) {
	key := make([]source.Cell, len(e.table.Key))
	for i, k := range e.table.Key {
		key[i] = source.Cell{Kind: source.Text, Bytes: []byte(e.New[k].Text)}
	}
	cells, found, err := b.src.Fetch(b.ctx, e.table, key, []int{column})
	if err != nil || !found {
		return Value{}, err
	}
	return value(&e.table.Columns[column], cells[0])
}
