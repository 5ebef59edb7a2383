package sourcetest

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/millrace/millrace/source"
)

var copyTests = map[string]func(*bench){
	"of an empty table":        copyEmpty,
	"has each row once":        copyOnce,
	"of values":                copyValues,
	"under writes":             copyUnderWrites,
	"of more tables":           copySeveral,
	"by more readers than one": copyPlanWhileReading,
}

func copyEmpty(b *bench) {
	b.createTable("t")
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	b.compare(tables[0], b.copy(snap, tables))
}

// copyOnce reads a table in many chunks, in any order.
func copyOnce(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", -5000, 15_000, "some text that fills the pages")
	b.exec("DELETE FROM t WHERE id BETWEEN 3000 AND 5000 OR n = 3")
	b.options.ChunkRows, b.options.Workers = 1000, 3
	b.open()
	t := b.tables()["t"]
	snap, err := b.src.Begin(b.ctx, nil, []*source.Table{t}, true)
	b.must(err)
	defer snap.Close()
	plan, err := snap.Plan(b.ctx, t)
	b.must(err)
	if len(plan.Chunks) < 5 {
		b.Errorf("20,000 rows make %d chunks of 1,000", len(plan.Chunks))
	}
	rand.Shuffle(len(plan.Chunks), func(i, j int) { plan.Chunks[i], plan.Chunks[j] = plan.Chunks[j], plan.Chunks[i] })
	rec := newRecorder()
	rec.snapshot = true
	var wg sync.WaitGroup
	for worker := range b.options.Workers {
		wg.Go(func() {
			for i := worker; i < len(plan.Chunks); i += b.options.Workers {
				if err := snap.Read(b.ctx, t, plan.Chunks[i], rec); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	events := b.recorded(rec)
	seen := make(map[string]bool)
	for _, e := range events {
		if id := e.New[0].Text; seen[id] {
			b.Fatalf("row %s is in two chunks", id)
		} else {
			seen[id] = true
		}
	}
	b.compare(t, events)
}

// copyValues compares what arrives by the copy with what arrives by the log.
func copyValues(b *bench) {
	b.exec("CREATE TABLE t (id {int} NOT NULL PRIMARY KEY, k {key} NOT NULL, v {text})")
	b.exec(valueRows(0)...)
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.exec(valueRows(1000)...)
	logged := b.follow(snap.Position(), tables)
	b.compare(tables[0], copied, logged)
	b.compare(tables[0], logged, copied)
	if n := len(rowsOf(logged, "t")); n != len(copied) {
		b.Fatalf("%d rows copied, %d logged", len(copied), n)
	}
	byKey := make(map[string]Value)
	for _, e := range copied {
		byKey[e.New[1].Text] = e.New[2]
	}
	for _, e := range rowsOf(logged, "t") {
		if was := byKey[e.New[1].Text]; was != e.New[2] {
			b.Errorf("%v was copied as %v and logged as %v", e.New[1], was, e.New[2])
		}
	}
}

// valueRows inserts texts that are easily mistaken.
func valueRows(first int) (statements []string) {
	for i, v := range []string{"NULL", "''", "' '", "'NULL'", "'it''s'", "'a\tb\nc\rd'", "'人間失格'", "'😀'", "'{1,2}'", "'0'"} {
		statements = append(statements, fmt.Sprintf("INSERT INTO t VALUES (%d, 'row %d', %s)", first+i, i, v))
	}
	return append(statements,
		fmt.Sprintf("INSERT INTO t VALUES (%d, '', 'an empty key')", first+100),
		fmt.Sprintf("INSERT INTO t VALUES (%d, 'long', '%s')", first+101, noise(90_000)))
}

// noise returns text that does not compress.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('0' + r.IntN(75))
		if text[i] == '\\' {
			text[i] = '~'
		}
	}
	return string(text)
}

// copyUnderWrites copies a table in small chunks while its rows are moved,
// rewritten and deleted, and follows the log after that.
func copyUnderWrites(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 5000, noise(200))
	b.options.ChunkRows = 200
	b.open()
	w := b.write("t", 5000)
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	f := b.stream(snap.Position(), tables, newRecorder())
	copied := b.copy(snap, tables)
	w.stop()
	f.caughtUp()
	logged := f.stop()
	if len(rowsOf(logged, "t")) == 0 {
		b.Error("nothing was written meanwhile")
	}
	b.compare(tables[0], copied, logged)
	b.compare(tables[0], copied, logged, logged)
}

func copySeveral(b *bench) {
	b.createTable("a", "b", "c")
	b.fill(b.sql, "a", 0, 3000, "a")
	b.fill(b.sql, "c", 0, 2000, "c")
	b.options.ChunkRows = 500
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.exec("INSERT INTO b VALUES (1, 1, 'b')", "DELETE FROM c WHERE id < 1000")
	logged := b.follow(snap.Position(), tables)
	for _, t := range tables {
		b.compare(t, copied, logged)
	}
}

// copyPlanWhileReading plans a table while all readers are at work.
func copyPlanWhileReading(b *bench) {
	b.createTable("a", "b")
	b.fill(b.sql, "a", 0, 3000, "a")
	b.fill(b.sql, "b", 0, 100, "b")
	b.options.ChunkRows = 500
	b.open()
	byName := b.tables()
	snap, err := b.src.Begin(b.ctx, nil, list(byName), true)
	b.must(err)
	defer snap.Close()
	first, err := snap.Plan(b.ctx, byName["a"])
	b.must(err)
	if len(first.Chunks) < b.options.Workers {
		b.Fatalf("%d chunks", len(first.Chunks))
	}
	rec, gate := newRecorder(), newGate()
	rec.snapshot, rec.before = true, gate.pass
	var wg sync.WaitGroup
	for _, c := range first.Chunks[:b.options.Workers] {
		wg.Go(func() {
			if err := snap.Read(b.ctx, byName["a"], c, rec); err != nil {
				b.Error(err)
			}
		})
	}
	gate.waited(b, b.options.Workers)
	second, err := snap.Plan(b.ctx, byName["b"])
	b.must(err)
	gate.open()
	wg.Wait()
	rec.before = nil
	for _, c := range first.Chunks[b.options.Workers:] {
		b.must(snap.Read(b.ctx, byName["a"], c, rec))
	}
	for _, c := range second.Chunks {
		b.must(snap.Read(b.ctx, byName["b"], c, rec))
	}
	b.compare(byName["a"], b.recorded(rec))
	b.compare(byName["b"], b.recorded(rec))
}
