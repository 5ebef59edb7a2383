package sourcetest

import (
	"context"
	"time"

	"github.com/millrace/millrace/source"
)

// overtaken is how long a call gets to return too early.
const overtaken = time.Second

var resumeTests = map[string]func(*bench){
	"of a copy that was cut off":         resumeCopy,
	"of a table that was rewritten":      resumeRewritten,
	"of a begin that was cut off":        resumeBegin,
	"with a table that comes later":      laterTable,
	"with a table that is open in begin": laterTableInTransaction,
	"with nothing to copy":               nothingToCopy,
}

// resumeCopy copies some chunks, and the others in another process after the
// rows of both have moved.
func resumeCopy(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 4000, noise(150))
	b.options.ChunkRows = 300
	b.open()
	t := b.tables()["t"]
	snap, err := b.src.Begin(b.ctx, nil, []*source.Table{t}, true)
	b.must(err)
	from := snap.Position()
	plan, err := snap.Plan(b.ctx, t)
	b.must(err)
	rec := newRecorder()
	rec.snapshot = true
	for i := 0; i < len(plan.Chunks); i += 2 {
		b.must(snap.Read(b.ctx, t, plan.Chunks[i], rec))
	}
	b.must(snap.Close())
	w := b.write("t", 4000)
	b.open()
	t = b.tables()["t"]
	if snap, err = b.src.Begin(b.ctx, nil, []*source.Table{t}, false); err != nil {
		b.Fatal(err)
	}
	defer snap.Close()
	if !snap.Position().IsZero() {
		b.Errorf("a copy that joins a stream stands at %s", snap.Position())
	}
	now, err := snap.Plan(b.ctx, t)
	b.must(err)
	if now.Mark != plan.Mark || plan.Mark == "" {
		b.Fatalf("the mark was %q and is %q", plan.Mark, now.Mark)
	}
	for i := 1; i < len(plan.Chunks); i += 2 {
		b.must(snap.Read(b.ctx, t, plan.Chunks[i], rec))
	}
	w.stop()
	b.compare(t, b.recorded(rec), b.follow(from, []*source.Table{t}))
}

func resumeRewritten(b *bench) {
	if b.dialect.Rewrite == nil {
		b.Skip("chunks do not refer to places")
	}
	b.createTable("t")
	b.fill(b.sql, "t", 0, 1000, "v")
	b.open()
	mark := func(first bool) string {
		t := b.tables()["t"]
		snap, err := b.src.Begin(b.ctx, nil, []*source.Table{t}, first)
		b.must(err)
		defer snap.Close()
		plan, err := snap.Plan(b.ctx, t)
		b.must(err)
		return plan.Mark
	}
	first := mark(true)
	if again := mark(false); again != first {
		b.Errorf("the mark was %q and is %q", first, again)
	}
	b.exec(b.dialect.Rewrite("t"))
	if after := mark(false); after == first {
		b.Error("the table was rewritten, and its mark is the same")
	}
}

// resumeBegin gives up a begin that waits for a transaction.
func resumeBegin(b *bench) {
	b.createTable("t")
	b.open()
	tx := b.begin()
	b.run(tx, "INSERT INTO t VALUES (1, 1, 'open')")
	ctx, cancel := context.WithTimeout(b.ctx, overtaken)
	defer cancel()
	tables := list(b.tables())
	start := time.Now()
	snap, err := b.src.Begin(ctx, nil, tables, true)
	if took := time.Since(start); took > overtaken+prompt {
		b.Errorf("begin returned %s after it was cancelled", took-overtaken)
	}
	if err == nil { // nothing to wait for here
		b.must(snap.Close())
	}
	b.must(tx.Commit())
	b.open()
	tables = list(b.tables())
	snap = b.beginAgain(tables, true)
	defer snap.Close()
	copied := b.copy(snap, tables)
	b.exec("INSERT INTO t VALUES (2, 2, 'after')")
	b.compare(tables[0], copied, b.follow(snap.Position(), tables))
}

// laterTable adds a table while one streams.
func laterTable(b *bench) {
	b.createTable("a", "b")
	b.open("a")
	tables, from := b.start()
	b.exec("INSERT INTO a VALUES (1, 1, 'before')", "INSERT INTO b VALUES (1, 1, 'before')")
	logged := b.follow(from, tables)
	from = logged[len(logged)-1].Position
	b.exec("INSERT INTO b VALUES (2, 2, 'unseen')")
	b.open()
	byName := b.tables()
	snap, err := b.src.Begin(b.ctx, []*source.Table{byName["a"]}, []*source.Table{byName["b"]}, false)
	b.must(err)
	defer snap.Close()
	b.exec("INSERT INTO b VALUES (3, 3, 'after')", "UPDATE b SET n = 10 WHERE id = 1", "INSERT INTO a VALUES (2, 2, 'after')")
	copied := b.copy(snap, []*source.Table{byName["b"]})
	more := b.follow(from, list(byName))
	b.compare(byName["a"], logged, more)
	b.compare(byName["b"], copied, more)
}

// laterTableInTransaction adds a table to which a transaction has written that
// commits later.
func laterTableInTransaction(b *bench) {
	b.createTable("a", "b")
	b.exec("INSERT INTO b VALUES (1, 1, 'old'), (2, 2, 'old')")
	b.open("a")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	b.exec("INSERT INTO a VALUES (1, 1, 'streams')")
	f.caughtUp()
	logged := f.stop()
	from = logged[len(logged)-1].Position
	b.open()
	byName := b.tables()
	early, late := b.begin(), b.begin()
	b.run(early, "INSERT INTO b VALUES (10, 10, 'early')", "UPDATE b SET n = 11 WHERE id = 1", "INSERT INTO a VALUES (10, 10, 'early')")
	b.run(late, "INSERT INTO b VALUES (20, 20, 'late')", "DELETE FROM b WHERE id = 2")
	type begun struct {
		snap source.Snapshot
		err  error
	}
	done := make(chan begun, 1)
	go func() {
		snap, err := b.src.Begin(b.ctx, []*source.Table{byName["a"]}, []*source.Table{byName["b"]}, false)
		done <- begun{snap, err}
	}()
	var result begun
	select { // a source that does not wait has taken its snapshot by now
	case result = <-done:
		done <- result
	case <-time.After(overtaken):
	}
	b.answers(byName["b"])
	b.run(early, "INSERT INTO b VALUES (11, 11, 'early')")
	b.must(early.Commit())
	b.exec("INSERT INTO b VALUES (30, 30, 'meanwhile')")
	b.run(late, "INSERT INTO b VALUES (21, 21, 'late')")
	b.must(late.Commit())
	result = <-done
	b.must(result.err)
	defer result.snap.Close()
	b.exec("INSERT INTO b VALUES (40, 40, 'after')", "UPDATE b SET n = 31 WHERE id = 30")
	copied := b.copy(result.snap, []*source.Table{byName["b"]})
	more := b.follow(from, list(byName))
	b.compare(byName["a"], logged, more)
	b.compare(byName["b"], copied, more)
}

// answers asks what any goroutine may ask, whatever another waits for.
func (b *bench) answers(t *source.Table) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, prompt)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := b.src.Latest(ctx); err != nil {
			b.Errorf("latest, meanwhile: %v", err)
		}
		if _, _, err := b.src.Fetch(ctx, t, []source.Cell{text("1")}, []int{0}); err != nil {
			b.Errorf("fetch, meanwhile: %v", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(2 * prompt):
		b.Error("no answer while begin waits")
	}
}

func nothingToCopy(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (1, 1, 'v')")
	snap, err := b.src.Begin(b.ctx, tables, nil, false)
	b.must(err)
	b.must(snap.Close())
	if events := rowsOf(b.follow(from, tables), "t"); len(events) != 1 {
		b.Errorf("%d rows instead of one", len(events))
	}
}
