package sink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

var (
	errBusy  = &sink.RetryError{Err: errors.New("too many parts")}
	errGone  = &sink.TableError{Table: "b", Err: errors.New("table b is gone"), Hint: "bring it back"}
	errBroke = errors.New("broke")
)

// A script is a target and all else that a Flusher talks to. It notes what
// happens, and fails as it is told to.
type script struct {
	mu     sync.Mutex // protects all below
	events []string
	tokens map[string][]string // by event
	fails  map[string][]error  // by event; the last one for good
	busy   int                 // inserts at this moment
	peak   int
	watch  func(table string, columns []proto.InputColumn)
}

func newScript() *script {
	return &script{tokens: make(map[string][]string), fails: make(map[string][]error)}
}

// happen notes an event and returns the error that it is to end with.
func (s *script) happen(event string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fails := s.fails[event]
	if len(fails) == 0 {
		s.events = append(s.events, event)
		return nil
	}
	if len(fails) > 1 || fails[0] == nil {
		s.fails[event] = fails[1:]
	}
	if fails[0] != nil {
		event += " fails"
	}
	s.events = append(s.events, event)
	return fails[0]
}

func (s *script) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Insert implements sink.Target.
func (s *script) Insert(ctx context.Context, table, token string, columns []proto.InputColumn) error {
	if s.watch != nil {
		s.watch(table, columns)
	}
	event := fmt.Sprintf("insert %s", table)
	if table != sink.DeadLetters {
		for _, r := range rowsOf(columns) {
			event += fmt.Sprintf(" %d", r.id)
		}
	}
	s.mu.Lock()
	s.tokens[event] = append(s.tokens[event], token)
	s.busy++
	s.peak = max(s.peak, s.busy)
	s.mu.Unlock()
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.happen(event)
}

// Truncate implements sink.Target.
func (s *script) Truncate(_ context.Context, table string) error {
	return s.happen("truncate " + table)
}

// Stored implements sink.Target.
func (s *script) Stored(_ context.Context, p *mapper.Plan, keys []*column.Column, columns map[int]bool) (*sink.Stored, error) {
	if err := s.happen("stored " + p.Target); err != nil {
		return nil, err
	}
	return storedOf(p, []storedRow{{id: 9, big: "old"}}, keys, columns)
}

func (s *script) flusher(writers int) *sink.Flusher {
	return sink.NewFlusher(sink.FlusherConfig{
		Target: s,
		Resolve: &sink.Resolver{Target: s, Fetch: func(_ context.Context, t *source.Table, key []source.Cell, _ []int) ([]source.Cell, bool, error) {
			if err := s.happen(fmt.Sprintf("fetch %s %s", t.Name, key[0].Bytes)); err != nil {
				return nil, false, err
			}
			return []source.Cell{text("fetched")}, true, nil
		}},
		Writers: writers,
		Failed:  func(e *mapper.TableError) error { return s.happen("failed " + e.Table) },
		Stop:    func(p *mapper.Plan, _ error) { _ = s.happen("stop " + p.Target) },
		Save:    func(p position.Position) error { return s.happen("save " + p.Text) },
		Ack:     func(p position.Position) { _ = s.happen("ack " + p.Text) },
		Flushed: func(*mapper.Batch, time.Duration) { _ = s.happen("flushed") },
		Logger:  slog.New(slog.DiscardHandler),
	})
}

// A feed fills batches of the tables a, b and c.
type feed struct {
	*mapper.Mapper
	t      *testing.T
	tables map[string]*source.Table
	at     int
}

func newFeed(t *testing.T) *feed {
	f := &feed{t: t, tables: make(map[string]*source.Table)}
	plans := make(map[*source.Table]*mapper.Plan)
	f.Mapper = mapper.New(mapper.Config{
		Rows: math.MaxInt, Bytes: math.MaxInt, Memory: math.MaxInt, Misfit: fits,
		Plan: func(_ context.Context, t *source.Table) (*mapper.Plan, error) { return plans[t], nil },
	})
	for _, name := range []string{"a", "b", "c"} {
		f.tables[name] = shape(name)
		plans[f.tables[name]] = newPlan(f.tables[name])
		must(t, f.Schema(t.Context(), f.tables[name]))
	}
	return f
}

// row adds an insert: "a 1".
func (f *feed) row(what string) *feed {
	f.t.Helper()
	name, id, _ := strings.Cut(what, " ")
	return f.add(name, source.Insert, text(id), number(0), null())
}

// waiting adds an update whose big value is unchanged.
func (f *feed) waiting(what string) *feed {
	f.t.Helper()
	name, id, _ := strings.Cut(what, " ")
	return f.add(name, source.Update, text(id), number(0), unchanged())
}

func (f *feed) add(name string, op source.Op, cells ...source.Cell) *feed {
	f.t.Helper()
	must(f.t, f.Row(f.t.Context(), &source.Row{Table: f.tables[name], Op: op, Version: uint64(f.at + 1), New: cells}))
	return f
}

func (f *feed) commit() *feed {
	f.t.Helper()
	f.at++
	must(f.t, f.Commit(f.t.Context(), source.Commit{Position: place(f.at)}))
	return f
}

// flush runs a Flusher for one batch.
func (f *feed) flush(ctx context.Context, flusher *sink.Flusher) error {
	return flusher.Run(ctx, &once{from: f.Mapper})
}

// wants compares events, in which the inserts of one batch have no order.
func wants(t *testing.T, s *script, want ...string) {
	t.Helper()
	got := s.list()
	for i := 0; i < len(got); {
		j := i
		for j < len(got) && strings.HasPrefix(got[j], "insert") {
			j++
		}
		slices.Sort(got[i:j])
		i = max(j, i+1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFlushOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		must(t, f.Row(t.Context(), &source.Row{Table: f.tables["c"], Op: source.Truncate}))
		f.row("a 1").row("b 1").row("a 2").row("c 7")
		f.Fail(f.tables["b"], errBroke)
		f.row("b 2").commit()
		must(t, f.flush(t.Context(), s.flusher(2)))
		wants(t, s, "truncate c", "insert a 1 2", "insert b 1", "insert c 7", "failed public.b", "save 1", "ack 1", "flushed")
		if s.peak != 2 {
			t.Errorf("%d inserts at the same time", s.peak)
		}
	})
}

// Part of a transaction moves no position.
func TestFlushWithoutPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		f.row("a 1")
		f.Fail(f.tables["b"], errBroke)
		must(t, f.flush(t.Context(), s.flusher(1)))
		wants(t, s, "insert a 1", "failed public.b", "flushed")
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		f.row("a 1").commit().Close()
		must(t, s.flusher(1).Run(t.Context(), f))
		wants(t, s, "insert a 1", "save 1", "ack 1", "flushed")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.flusher(1).Run(ctx, newFeed(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// What may pass is tried again, with the same rows under the same token; the
// other tables are written once, and the position waits.
func TestFlushTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["insert b 1 2"] = []error{errBusy, fmt.Errorf("insert: %w", errBusy), errBusy, nil}
		f.row("a 1").row("b 1").row("b 2").row("c 1").commit()
		must(t, f.flush(t.Context(), s.flusher(3)))
		wants(t, s, "insert a 1", "insert b 1 2", "insert b 1 2 fails", "insert b 1 2 fails", "insert b 1 2 fails", "insert c 1", "save 1", "ack 1", "flushed")
		tokens := s.tokens["insert b 1 2"]
		if len(tokens) != 4 || len(slices.Compact(tokens)) != 1 {
			t.Errorf("tokens %v of one block", s.tokens["insert b 1 2"])
		}
	})
}

// A token that was used before would make the target drop rows: not even
// another Flusher of the same run may use it again.
func TestTokensAreNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		for range 3 {
			f, flusher := newFeed(t), s.flusher(2)
			for range 2 {
				f.row("a 1").row("b 1").commit()
				must(t, f.flush(t.Context(), flusher))
			}
		}
		seen := make(map[string]bool)
		for _, tokens := range s.tokens {
			for _, token := range tokens {
				if seen[token] {
					t.Errorf("token %q comes twice", token)
				}
				seen[token] = true
			}
		}
		if len(seen) != 12 {
			t.Errorf("%d tokens for 12 blocks", len(seen))
		}
	})
}

// A table that the target refuses stops; the others of the batch are written
// and the failure is kept before the position is.
func TestTargetRefusesATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		flusher := s.flusher(1)
		s.fails["insert b 1"] = []error{fmt.Errorf("insert 1 row: %w", errGone)}
		f.row("a 1").row("b 1").row("c 1").commit()
		must(t, f.flush(t.Context(), flusher))
		wants(t, s, "insert a 1", "insert b 1 fails", "insert c 1", "stop b", "failed public.b", "save 1", "ack 1", "flushed")

		// Rows that were on their way are dropped, and it is not told again.
		s.events = nil
		f.row("a 2").row("b 2").commit()
		f.Fail(f.tables["b"], errGone)
		must(t, f.flush(t.Context(), flusher))
		wants(t, s, "insert a 2", "save 2", "ack 2", "flushed")
	})
}

func TestTargetRefusesATruncate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["truncate b"] = []error{errBusy, errGone}
		must(t, f.Row(t.Context(), &source.Row{Table: f.tables["b"], Op: source.Truncate}))
		f.row("b 1").row("a 1").commit()
		must(t, f.flush(t.Context(), s.flusher(1)))
		wants(t, s, "truncate b fails", "truncate b fails", "stop b", "insert a 1", "failed public.b", "save 1", "ack 1", "flushed")
	})
}

// An error of no class ends the run, whatever else is still tried again, and
// no position is saved.
func TestFlushStops(t *testing.T) {
	for event, want := range map[string][]string{
		"truncate c":      {"truncate c fails"},
		"insert a 1":      {"truncate c", "insert a 1 fails"},
		"failed public.b": {"truncate c", "insert a 1", "insert b 1", "failed public.b fails"},
		"save 1":          {"truncate c", "insert a 1", "insert b 1", "failed public.b", "save 1 fails"},
	} {
		t.Run(event, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := newScript(), newFeed(t)
				s.fails[event] = []error{errBroke}
				must(t, f.Row(t.Context(), &source.Row{Table: f.tables["c"], Op: source.Truncate}))
				f.row("a 1").row("b 1")
				f.Fail(f.tables["b"], errBroke)
				f.commit()
				if err := f.flush(t.Context(), s.flusher(1)); !errors.Is(err, errBroke) {
					t.Errorf("error %v", err)
				}
				wants(t, s, want...)
			})
		})
	}
}

func TestFlushStopsWhileASiblingIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["insert a 1"] = []error{errBusy} // for good
		s.fails["insert b 1"] = []error{errBusy, errBroke}
		f.row("a 1").row("b 1").commit()
		start := time.Now()
		if err := f.flush(t.Context(), s.flusher(2)); !errors.Is(err, errBroke) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %s", took)
		}
		if slices.Contains(s.list(), "save 1") {
			t.Error("the position was saved")
		}
	})
}

func TestFlushIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["insert a 1"] = []error{errBusy}
		f.row("a 1").row("b 1").commit()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := f.flush(ctx, s.flusher(2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		for _, e := range s.list() {
			if e != "insert a 1 fails" && e != "insert b 1" {
				t.Fatalf("event %q", e)
			}
		}
	})
}

// Values that the log left out are found before a block is written.
func TestFlushResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["stored a"] = []error{errBusy, nil}
		s.fails["fetch a 1"] = []error{fmt.Errorf("read: %w", source.ErrDisconnected), nil}
		f.waiting("a 9").waiting("a 1").commit()
		must(t, f.flush(t.Context(), s.flusher(1)))
		wants(t, s, "stored a fails", "stored a", "fetch a 1 fails", "stored a", "fetch a 1", "insert a 9 1", "save 1", "ack 1", "flushed")
	})
}

// A source that does not answer for one table stops that one.
func TestFlushCannotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["fetch a 1"] = []error{errors.New("relation does not exist")}
		f.waiting("a 1").row("b 1").commit()
		must(t, f.flush(t.Context(), s.flusher(1)))
		wants(t, s, "stored a", "fetch a 1 fails", "insert b 1", "stop a", "failed public.a", "save 1", "ack 1", "flushed")
	})
}

func TestNextFails(t *testing.T) {
	s := newScript()
	if err := s.flusher(1).Run(t.Context(), broken{}); !errors.Is(err, errBroke) {
		t.Errorf("error %v", err)
	}
}

type broken struct{}

func (broken) Next(context.Context) (*mapper.Batch, error) { return nil, errBroke }
func (broken) Release(*mapper.Batch)                       {}

var _ sink.Batches = broken{}

// A batch is given back only when it is written.
func TestBatchesAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fails := range []bool{false, true} {
			s, f := newScript(), newFeed(t)
			if fails {
				s.fails["insert a 1"] = []error{errBroke}
			}
			f.row("a 1").commit()
			c := &counter{from: &once{from: f.Mapper}}
			if err := s.flusher(1).Run(t.Context(), c); fails != (err != nil) {
				t.Fatal(err)
			}
			if released := c.released == 1; released == fails {
				t.Errorf("with a failure %t: released %d times", fails, c.released)
			}
		}
	})
}

type counter struct {
	from     sink.Batches
	released int
}

func (c *counter) Next(ctx context.Context) (*mapper.Batch, error) { return c.from.Next(ctx) }
func (c *counter) Release(b *mapper.Batch)                         { c.released++; c.from.Release(b) }
