package sourcetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

var serverTests = map[string]func(*testing.T, Env){
	"is patient with a handler that blocks": blockedHandler,
	"is stopped":                            func(t *testing.T, env Env) { restarted(t, env, Server.Stop) },
	"is killed":                             func(t *testing.T, env Env) { restarted(t, env, Server.Kill) },
	"is killed during a copy":               killedInCopy,
}

// blockedHandler takes nothing for longer than the server waits for a reader
// that is dead, while the server has more to send than fits on the way.
func blockedHandler(t *testing.T, env Env) {
	server := env.Server(t)
	b := newBench(t, env, server.Database(t))
	b.createTable("t")
	tables, from := b.start()
	b.fill(b.sql, "t", 0, 50_000, noise(400))
	rec, g := newRecorder(), newGate()
	rec.before = g.pass
	f := b.stream(from, tables, rec)
	g.waited(b, 1)
	select {
	case <-time.After(4 * server.Patience()):
	case <-f.done:
		t.Fatalf("the stream ended: %v", f.err)
	}
	g.open()
	f.caughtUp()
	b.exec("INSERT INTO t VALUES (-1, 0, 'after')")
	f.caughtUp()
	if rows := rowsOf(f.stop(), "t"); len(rows) != 50_001 {
		t.Errorf("%d rows instead of 50,001", len(rows))
	}
}

// restarted takes the server away from a stream.
func restarted(t *testing.T, env Env, end func(Server, *testing.T)) {
	server := env.Server(t)
	b := newBench(t, env, server.Database(t))
	b.createTable("t")
	tables, from := b.start()
	id, _, err := b.src.Identify(b.ctx, nil)
	b.must(err)
	rec := newRecorder()
	rec.after = b.src.Ack // a server that stops waits for readers
	f := b.stream(from, tables, rec)
	b.exec("INSERT INTO t VALUES (1, 1, 'before')")
	f.caughtUp()
	end(server, t)
	select {
	case <-f.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the stream goes on without a server")
	}
	if !errors.Is(f.err, source.ErrDisconnected) {
		t.Errorf("the stream ended with %v", f.err)
	}
	events := b.recorded(f.rec)
	if _, err := b.src.Latest(b.ctx); !errors.Is(err, source.ErrDisconnected) {
		t.Errorf("without a server, latest returned %v", err)
	}
	if err := b.src.Stream(b.ctx, from, tables, newRecorder()); !errors.Is(err, source.ErrDisconnected) {
		t.Errorf("without a server, stream returned %v", err)
	}
	server.Start(t)
	b.sql = b.base.DB(t)
	b.exec("INSERT INTO t VALUES (2, 2, 'after')")
	from = events[len(events)-1].Position
	if again, continued, err := b.src.Identify(b.ctx, &position.Saved{Position: from, Identity: id}); err != nil || !continued || again != id {
		t.Errorf("after the restart the log is %+v, continued %v, %v", again, continued, err)
	}
	more := b.follow(from, tables)
	b.compare(tables[0], events, more)
	if rows := rowsOf(more, "t"); len(rows) != 1 {
		t.Errorf("%d rows after the restart instead of one", len(rows))
	}
}

// killedInCopy takes the server away from a copy, which goes on with the
// chunks that are missing.
func killedInCopy(t *testing.T, env Env) {
	server := env.Server(t)
	b := newBench(t, env, server.Database(t))
	b.createTable("t")
	b.fill(b.sql, "t", 0, 3000, noise(150))
	b.options.ChunkRows = 300
	b.open()
	table := b.tables()["t"]
	snap, err := b.src.Begin(b.ctx, nil, []*source.Table{table}, true)
	b.must(err)
	from := snap.Position()
	plan, err := snap.Plan(b.ctx, table)
	b.must(err)
	rec := newRecorder()
	rec.snapshot = true
	b.must(snap.Read(b.ctx, table, plan.Chunks[0], rec))
	server.Kill(t)
	for range 2 * b.options.Workers {
		if err := snap.Read(b.ctx, table, plan.Chunks[1], rec); !errors.Is(err, source.ErrDisconnected) {
			t.Errorf("without a server, read returned %v", err)
		}
	}
	server.Start(t)
	b.sql = b.base.DB(t)
	if err := snap.Read(b.ctx, table, plan.Chunks[1], rec); !errors.Is(err, source.ErrDisconnected) {
		t.Errorf("after a restart, read of the old copy returned %v", err)
	}
	if err := snap.Close(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	b.exec("UPDATE t SET n = 100 WHERE id % 3 = 0", "DELETE FROM t WHERE id % 5 = 0")
	snap = b.beginAgain([]*source.Table{table}, false)
	defer snap.Close()
	for _, c := range plan.Chunks[1:] {
		b.must(snap.Read(b.ctx, table, c, rec))
	}
	b.compare(table, b.recorded(rec), b.follow(from, []*source.Table{table}))
}
