package sink_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "seed of the random histories; 0: any")
	histories = flag.Int("histories", 20_000, "number of random histories")
)

// TestHistories tells random histories of one table and follows each of them,
// with batches cut anywhere, inserts that fail, crashes, replays from earlier
// positions and parts merged at whim. In the end the target is as the source.
func TestHistories(t *testing.T) {
	seed, n := *seedFlag, *histories
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		n = min(n, 2000)
	}
	t.Logf("-seed=%d -histories=%d", seed, n)
	synctest.Test(t, func(t *testing.T) {
		for i := range n {
			// Short ones come first, so that what fails is short.
			transactions := 1 + 8*i/n
			if wrong := follow(t, seed, i, transactions, nil); wrong != "" {
				var trace strings.Builder
				follow(t, seed, i, transactions, &trace)
				t.Fatalf("history %d of -seed=%d: %s\n%s", i, seed, wrong, trace.String())
			}
		}
	})
}

// A follower follows one history, in several runs.
type follower struct {
	*rand.Rand
	t         *testing.T
	h         *history
	plan      *mapper.Plan
	house     *house
	saved     int // transactions
	committed int // transactions that the source has by now
	run       int
	trace     func(format string, args ...any)
}

func follow(t *testing.T, seed uint64, i, transactions int, trace *strings.Builder) string {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	note := func(format string, args ...any) {
		if trace != nil {
			fmt.Fprintf(trace, format+"\n", args...)
		}
	}
	table := shape("t")
	h := (&teller{Rand: r, table: table}).tell(transactions)
	note("%s", h)
	f := &follower{
		Rand: r, t: t, h: h, plan: newPlan(table), committed: h.copied, trace: note,
		house: &house{Rand: r, parts: [][]storedRow{h.snapshot}, partitions: 1 + r.Int64N(2), collapse: r.IntN(2) == 0, trouble: true, trace: note},
	}
	runs := 1 + r.IntN(4)
	for f.run = range runs {
		f.house.crashes = f.run < runs-1
		if f.run > 0 && r.IntN(4) == 0 {
			f.saved = r.IntN(f.saved + 1) // an older state file
		}
		f.once()
	}
	return differ(f.house.final(), h.states[len(h.log)])
}

// once runs a mapper and a flusher from the saved position on, until the log's
// end or a crash.
func (f *follower) once() {
	f.trace("run %d from transaction %d", f.run+1, f.saved+1)
	m := mapper.New(mapper.Config{
		Rows: 1 << 20, Bytes: 1 << 30, Memory: 1 << 40, Misfit: fits,
		Plan: func(context.Context, *source.Table) (*mapper.Plan, error) { return f.plan, nil },
	})
	flusher := sink.NewFlusher(sink.FlusherConfig{
		Target:  f.house,
		Resolve: &sink.Resolver{Target: f.house, Fetch: f.fetch},
		Save:    f.save,
		Ack:     func(position.Position) {},
		Flushed: func(*mapper.Batch, time.Duration) {},
		Logger:  slog.New(slog.DiscardHandler),
	})
	ctx := f.t.Context()
	must(f.t, m.Schema(ctx, f.h.table))
	done := f.saved
	// cut ends a batch, wherever the log is.
	cut := func() bool {
		must(f.t, m.Commit(ctx, source.Commit{Position: place(done), Idle: true}))
		err := flusher.Run(ctx, &once{from: m})
		if err != nil && !errors.Is(err, errCrash) {
			f.t.Fatal(err)
		}
		return err == nil
	}
	pieces := 1 + f.IntN(6)
	for i := f.saved; i < len(f.h.log); i++ {
		f.committed = max(f.committed, i+1)
		for j := range f.h.log[i] {
			row := f.h.log[i][j]
			if row.Op == source.Truncate && !cut() {
				return
			}
			must(f.t, m.Row(ctx, &row))
			if f.IntN(pieces) == 0 && !cut() {
				return
			}
		}
		done = i + 1
		if f.IntN(pieces) == 0 && !cut() {
			return
		}
	}
	for !cut() && !f.house.crashes {
		f.t.Fatal("a crash that was not to be")
	}
}

func place(transactions int) position.Position {
	return position.Position{Order: uint64(transactions), Text: fmt.Sprint(transactions)}
}

func (f *follower) save(p position.Position) error {
	if f.house.crashes && f.IntN(10) == 0 {
		f.trace("crash before %d is saved", p.Order)
		return errCrash
	}
	f.saved = int(p.Order)
	f.trace("saved %d", p.Order)
	if f.house.crashes && f.IntN(10) == 0 {
		return errCrash
	}
	return nil
}

// fetch answers with the row as it is in the source by now.
func (f *follower) fetch(_ context.Context, _ *source.Table, k []source.Cell, columns []int) ([]source.Cell, bool, error) {
	f.committed += f.IntN(len(f.h.log) + 1 - f.committed)
	if f.IntN(10) == 0 {
		return nil, false, fmt.Errorf("fetch: %w", source.ErrDisconnected)
	}
	v, ok := f.h.states[f.committed][key(k[0])]
	f.trace("fetched %d after %d transactions: %v %t", key(k[0]), f.committed, v, ok)
	if !ok {
		return nil, false, nil
	}
	var cells []source.Cell
	for _, c := range columns {
		if c == 1 {
			cells = append(cells, number(v.n))
		} else {
			cells = append(cells, cell(v))
		}
	}
	return cells, true, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
