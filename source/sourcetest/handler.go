package sourcetest

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/source"
)

var handlerTests = map[string]func(*bench){
	"whose error ends the stream":     handlerError,
	"whose error ends a chunk":        copyError,
	"that blocks can be cancelled":    cancelBlocked,
	"that is idle can be cancelled":   cancelIdle,
	"of a chunk can be cancelled":     cancelCopy,
	"that is called before the start": cancelledBefore,
}

var errHandler = errors.New("the handler's own error")

func handlerError(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.fill(b.sql, "t", 0, 100, "v")
	calls := 0
	rec := newRecorder()
	rec.before = func(context.Context, *source.Row) error {
		if calls++; calls == 3 {
			return errHandler
		}
		return nil
	}
	f := b.stream(from, tables, rec)
	if err := f.ended(); !errors.Is(err, errHandler) || errors.Is(err, source.ErrDisconnected) {
		b.Errorf("the stream returned %v", err)
	} else if err.Error() != errHandler.Error() {
		b.Errorf("the handler's error came back as %q", err)
	}
	if calls != 3 {
		b.Errorf("%d calls, although the third had an error", calls)
	}
	if rows := rowsOf(b.follow(from, tables), "t"); len(rows) != 100 {
		b.Errorf("%d of 100 rows came after that", len(rows))
	}
}

func copyError(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 5000, noise(100))
	b.options.Workers = 1
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	plan, err := snap.Plan(b.ctx, tables[0])
	b.must(err)
	rec, calls := newRecorder(), 0
	rec.snapshot = true
	rec.before = func(context.Context, *source.Row) error {
		if calls++; calls == 3 {
			return errHandler
		}
		return nil
	}
	if err := snap.Read(b.ctx, tables[0], plan.Chunks[0], rec); !errors.Is(err, errHandler) {
		b.Errorf("read returned %v", err)
	}
	if calls != 3 {
		b.Errorf("%d calls, although the third had an error", calls)
	}
	b.compare(tables[0], b.copy(snap, tables)) // the copy goes on
}

func cancelBlocked(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.fill(b.sql, "t", 0, 50_000, noise(200))
	rec, g := newRecorder(), newGate()
	rec.before = g.pass
	f := b.stream(from, tables, rec)
	g.waited(b, 1)
	f.stop()
}

func cancelIdle(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	f.caughtUp()
	start := time.Now()
	f.stop()
	if took := time.Since(start); took > prompt/2 {
		b.Errorf("an idle stream ended after %s", took)
	}
}

func cancelCopy(b *bench) {
	b.createTable("t")
	b.fill(b.sql, "t", 0, 50_000, noise(100))
	b.open()
	tables := list(b.tables())
	snap, err := b.src.Begin(b.ctx, nil, tables, true)
	b.must(err)
	defer snap.Close()
	plan, err := snap.Plan(b.ctx, tables[0])
	b.must(err)
	rec, g := newRecorder(), newGate()
	rec.snapshot, rec.before = true, g.pass
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- snap.Read(ctx, tables[0], plan.Chunks[0], rec) }()
	g.waited(b, 1)
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			b.Errorf("a read that was cancelled returned %v", err)
		}
	case <-time.After(prompt):
		b.Fatal("the read has not ended")
	}
}

func cancelledBefore(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	f.stop()
}
