package sourcetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/millrace/millrace/source"
)

// A writer is an application that writes to a table until it is stopped.
type writer struct {
	*bench
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	good   int // transactions that were committed
	last   error
}

// write starts writers of a table with ids below ids. They get into each
// other's way: a transaction that fails is rolled back.
func (b *bench) write(table string, ids int) *writer {
	ctx, cancel := context.WithCancel(b.ctx)
	w := &writer{bench: b, cancel: cancel}
	for i := range 2 {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		w.wg.Go(func() {
			for ctx.Err() == nil {
				w.transaction(ctx, table, ids, r)
			}
		})
	}
	b.Cleanup(func() { cancel(); w.wg.Wait() })
	return w
}

// transaction commits a few random statements, or now and then rolls them back.
func (w *writer) transaction(ctx context.Context, table string, ids int, r *rand.Rand) {
	tx, err := w.sql.BeginTx(ctx, nil)
	if err != nil {
		return
	}
	defer func() { _ = tx.Rollback() }() // no error when it has ended
	for range 1 + r.IntN(5) {
		if _, err = tx.ExecContext(ctx, w.statement(table, r.IntN(ids), r.IntN(ids), r.IntN(8), r.IntN(1000))); err != nil {
			break
		}
	}
	if err == nil && r.IntN(10) > 0 {
		err = tx.Commit()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.good++
	} else if ctx.Err() == nil {
		w.last = err
	}
}

func (w *writer) statement(table string, id, other, what, n int) string {
	switch what {
	case 0:
		return fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, id)
	case 1:
		return fmt.Sprintf("UPDATE %s SET id = %d WHERE id = %d", table, other, id)
	case 2, 3:
		return w.dialect.Upsert(table, fmt.Sprintf("(%d, %d, NULL)", id, n))
	case 4:
		return fmt.Sprintf("UPDATE %s SET v = 'short' WHERE id = %d", table, id)
	default:
		return fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE id BETWEEN %d AND %d", table, id, id+3)
	}
}

// stop ends the writers.
func (w *writer) stop() {
	w.Helper()
	w.cancel()
	w.wg.Wait()
	if w.good < 10 {
		w.Errorf("only %d transactions were committed; the last error: %v", w.good, w.last)
	}
}

// A gate stops a handler's rows until it is opened.
type gate struct {
	arrived chan struct{}
	opened  chan struct{}
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 1000), opened: make(chan struct{})}
}

func (g *gate) open() { close(g.opened) }

// pass blocks until the gate is open, or ctx ends.
func (g *gate) pass(ctx context.Context, _ *source.Row) error {
	select {
	case <-g.opened:
		return nil
	default:
	}
	g.arrived <- struct{}{}
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waited returns when n rows stand before the gate.
func (g *gate) waited(b *bench, n int) {
	b.Helper()
	for range n {
		select {
		case <-g.arrived:
		case <-b.ctx.Done():
			b.Fatal("no row has come")
		}
	}
}
