package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/source"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A line is a pipeline's surroundings: a scripted source, a real ClickHouse, a
// real state file.
type line struct {
	*database
	t     *testing.T
	ch    *testenv.CH
	state string
	named bool
	runs  int
	// workers copy; one goes from chunk to chunk in order.
	workers int
}

func newLine(t *testing.T, tables ...string) *line {
	return &line{
		database: newDatabase(tables...), t: t, ch: testenv.ClickHouse(t),
		state: filepath.Join(t.TempDir(), "state.db"), workers: 2,
	}
}

// run runs a pipeline until it ends, with once set or until ctx does. watch is
// called with it as soon as it exists.
func (l *line) run(ctx context.Context, once bool, watch func(p *Pipeline)) error {
	l.t.Helper()
	store, err := position.Open(l.state, "test")
	if err != nil {
		l.t.Fatal(err)
	}
	defer store.Close()
	l.runs++
	target, err := clickhouse.Open(ctx, clickhouse.Config{DSN: l.ch.DSN(""), RunID: fmt.Sprint(l.t.Name(), l.runs)})
	if err != nil {
		l.t.Fatal(err)
	}
	defer target.Close()
	p := New(Config{
		Name: "test", Source: l.database, Target: target, Store: store,
		Options: func(t *source.Table) mapper.Options { return mapper.Options{Target: t.Name} },
		Named:   func(*source.Table) bool { return l.named },
		Once:    once, Workers: l.workers, Rows: 1000, Bytes: 1 << 20, Memory: 1 << 24, Interval: time.Hour,
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	if watch != nil {
		watch(p)
	}
	err = p.Run(ctx)
	if n := l.snapshots; n != 0 {
		l.t.Errorf("%d snapshots are open after the run", n)
	}
	return err
}

// once runs with Once set; want is a part of the error, "" for none.
func (l *line) once(want string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	err := l.run(ctx, true, nil)
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		l.t.Fatalf("the run ends with %v, want %q", err, want)
	}
}

// wants compares a table in ClickHouse: "1 x, 2 y".
func (l *line) wants(table, want string) {
	l.t.Helper()
	if got := l.rows(table); got != want {
		l.t.Errorf("table %s has %q, want %q", table, got, want)
	}
}

func (l *line) rows(table string) string {
	l.t.Helper()
	text := l.ch.Query(l.t, "SELECT id, v FROM "+table+" FINAL ORDER BY id")
	return strings.NewReplacer("\t", " ", "\n", ", ").Replace(text)
}

// kept reads the state file.
func (l *line) kept() (position.Saved, map[string]position.Table) {
	l.t.Helper()
	store, err := position.Open(l.state, "test")
	if err != nil {
		l.t.Fatal(err)
	}
	defer store.Close()
	saved, err := store.Saved()
	if err != nil {
		l.t.Fatal(err)
	}
	tables, err := store.Tables()
	if err != nil {
		l.t.Fatal(err)
	}
	if saved == nil {
		saved = new(position.Saved)
	}
	return *saved, tables
}

func (l *line) wantsSaved(order uint64) {
	l.t.Helper()
	saved, _ := l.kept()
	if saved.Position.Order != order {
		l.t.Errorf("position %d is saved, want %d", saved.Position.Order, order)
	}
	if len(l.acked) > 0 && l.acked[len(l.acked)-1] != order {
		l.t.Errorf("%v was acknowledged, want %d in the end", l.acked, order)
	}
}

func (l *line) wantsState(table string, want position.State) {
	l.t.Helper()
	_, tables := l.kept()
	if got := tables["public."+table].State; got != want {
		l.t.Errorf("table %s is %q, want %q", table, got, want)
	}
}

// wantsCalls compares what the source was asked for, and forgets it.
func (l *line) wantsCalls(what *[]string, want ...string) {
	l.t.Helper()
	got := l.note(what)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		l.t.Errorf("calls %q, want %q", got, want)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*what = nil
}

// until polls for a condition.
func (l *line) until(what string, is func() bool) {
	l.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			l.t.Fatalf("%s: not in 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// background runs a pipeline while f looks at it, then stops it. It returns
// what the run ended with.
func (l *line) background(f func(p *Pipeline)) error {
	l.t.Helper()
	ctx, stop := context.WithCancel(l.t.Context())
	defer stop()
	started, ended := make(chan *Pipeline, 1), make(chan error, 1)
	go func() { ended <- l.run(ctx, false, func(p *Pipeline) { started <- p }) }()
	f(<-started)
	stop()
	return <-ended
}

func (l *line) stateOf(p *Pipeline, table string) web.State {
	for _, t := range p.Status().Tables {
		if t.Source == "public."+table {
			return t.State
		}
	}
	return ""
}

func TestFirstRunAndNext(t *testing.T) {
	l := newLine(t, "a", "b")
	l.chunks["a"] = [][]string{{"1 x", "2 x"}, {"3 x"}, {}}
	l.once("")
	l.wants("a", "1 x, 2 x, 3 x")
	l.wants("b", "")
	l.wantsCalls(&l.begins, "[] + [a b] first true")
	l.wantsCalls(&l.reads, "a0", "a1", "a2")
	l.wantsCalls(&l.streams)
	l.wantsSaved(100)
	l.wantsState("a", position.Copied)
	l.wantsState("b", position.Copied)

	l.commit("a 1 y", "b 7 z")
	l.commit("a 2", "other 1 x")
	l.commit("other 2 x")
	l.once("")
	l.wants("a", "1 y, 3 x")
	l.wants("b", "7 z")
	l.wantsCalls(&l.begins, "[a b] + [] first false")
	l.wantsCalls(&l.reads)
	l.wantsCalls(&l.streams, "[a b] from 100")
	l.wantsSaved(130)

	l.once("") // nothing is new
	l.wantsCalls(&l.streams)
	l.wantsSaved(130)
}

// The chunks that are done are not read again.
func TestCopyGoesOn(t *testing.T) {
	l := newLine(t, "a", "b")
	l.chunks["a"] = [][]string{{"1 x"}, {"2 x"}, {"3 x"}}
	l.chunks["b"] = [][]string{{"1 x"}}
	l.workers = 1
	l.read = breakIn("a", 1)
	l.once("broke")
	l.wantsCalls(&l.reads, "a0", "a1")
	l.wantsState("a", position.Waiting)
	l.wantsSaved(100) // from where the log must be read

	l.read = nil
	l.commit("a 1 y", "a 4 y")
	l.once("")
	l.wantsCalls(&l.reads, "a1", "a2", "b0")
	l.wantsCalls(&l.begins, "[] + [a b] first false", "[] + [a b] first true")
	l.wants("a", "1 y, 2 x, 3 x, 4 y")
	l.wants("b", "1 x")
	l.wantsSaved(110)
}

// breakIn makes the copy of a chunk fail at its end.
func breakIn(table string, chunk int) func(context.Context, string, int) error {
	return func(_ context.Context, t string, c int) error {
		if t == table && c == chunk {
			return errors.New("broke")
		}
		return nil
	}
}

// A copy of a table that was rewritten begins anew, on an empty target.
func TestRewrittenTable(t *testing.T) {
	l := newLine(t, "a")
	l.chunks["a"] = [][]string{{"1 x"}, {"2 x"}}
	l.marks["a"] = "node 1"
	l.workers = 1
	l.read = breakIn("a", 1)
	l.once("broke")
	l.wants("a", "1 x")
	l.reads = nil
	l.read = nil
	l.marks["a"] = "node 2"
	l.chunks["a"] = [][]string{{"2 y"}, {"3 y"}}
	l.once("")
	l.wantsCalls(&l.reads, "a0", "a1")
	l.wants("a", "2 y, 3 y")
}

// The source may go away in a copy, too.
func TestCopyReconnects(t *testing.T) {
	l := newLine(t, "a")
	l.chunks["a"] = [][]string{{"1 x"}, {"2 x"}}
	lost := 0
	l.read = func(_ context.Context, _ string, chunk int) error {
		if chunk == 1 && lost < 2 {
			lost++
			return fmt.Errorf("read: %w", source.ErrDisconnected)
		}
		return nil
	}
	// A table that drops what comes under a known token.
	l.ch.Query(t, `CREATE TABLE a (id Int64, v String, _version UInt64, _is_deleted UInt8)
		ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id SETTINGS non_replicated_deduplication_window = 1000`)
	l.once("")
	l.wants("a", "1 x, 2 x")
	l.wantsState("a", position.Copied)
}

func TestFailedTable(t *testing.T) {
	l := newLine(t, "a", "b", "c")
	l.chunks["c"] = [][]string{{"1 x"}, {"2 ~"}, {"3 x"}}
	l.once("some tables failed: public.c")
	l.wantsState("c", position.Failed)
	l.wantsState("a", position.Copied)

	l.commit("a 1 x", "b 1 x")
	l.commit("b 2 ~", "a 2 x")
	l.commit("b 3 x", "a 3 x", "c 3 x")
	l.streams = nil
	l.once("some tables failed: public.b, public.c")
	l.wantsCalls(&l.streams, "[a b] from 100")
	l.wants("a", "1 x, 2 x, 3 x")
	l.wants("b", "1 x")
	l.wantsSaved(130)
	_, tables := l.kept()
	if e := tables["public.b"].Error; !strings.Contains(e, "column v") {
		t.Errorf("the failure that is kept is %q", e)
	}

	l.commit("b 4 x", "a 4 x") // it stays failed
	l.once("some tables failed: public.b, public.c")
	l.wantsCalls(&l.streams, "[a] from 130")
	l.wants("a", "1 x, 2 x, 3 x, 4 x")
	l.wants("b", "1 x")
}

func TestAllTablesFailed(t *testing.T) {
	l := newLine(t, "a")
	l.chunks["a"] = [][]string{{"1 ~"}}
	l.once("no table is left to follow")
}

// A target table that does not take its rows stops one table.
func TestTargetRefusesATable(t *testing.T) {
	l := newLine(t, "a", "b")
	if err := l.background(func(p *Pipeline) {
		l.until("streaming", p.Ready)
		l.ch.Query(t, "ALTER TABLE b DROP COLUMN v")
		l.commit("a 1 x", "b 1 x")
		l.until("b failed", func() bool { return l.stateOf(p, "b") == web.Failed })
		l.commit("a 2 x", "b 2 x")
	}); err != nil {
		t.Fatal(err)
	}
	l.wants("a", "1 x, 2 x")
	l.wantsState("b", position.Failed)
	l.wantsSaved(120)
}

// What was read when a stop comes is written and saved.
func TestStopDrains(t *testing.T) {
	l := newLine(t, "a")
	err := l.background(func(p *Pipeline) {
		l.until("streaming", p.Ready)
		l.commit("a 1 x") // flushed at once; the next are due in an hour
		l.until("flushed", func() bool { return l.rows("a") == "1 x" })
		l.commit("a 2 x")
		l.commit("a 3 x")
		l.until("read", func() bool { // the transaction after the last is awaited
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.awaited == 130
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	l.wants("a", "1 x, 2 x, 3 x")
	l.wantsSaved(130)
}

func TestStopDuringTheCopy(t *testing.T) {
	l := newLine(t, "a")
	l.chunks["a"] = [][]string{{"1 x"}, {"2 x"}}
	reading := make(chan struct{})
	l.read = func(ctx context.Context, _ string, chunk int) error {
		if chunk == 1 {
			close(reading)
			<-ctx.Done()
		}
		return ctx.Err()
	}
	err := l.background(func(*Pipeline) {
		<-reading
		l.until("the other chunk", func() bool { return l.rows("a") == "1 x" })
	})
	if err != nil {
		t.Fatal(err)
	}
	l.wantsState("a", position.Waiting)
}

// After the source was lost the stream goes on from what is saved, once the
// source is known again.
func TestReconnect(t *testing.T) {
	l := newLine(t, "a")
	l.once("")
	l.commit("a 1 x")
	l.commit("a 2 x")
	l.commit("a 3 x")
	lost, away := 0, 0
	l.stream = func(after uint64) error {
		if after >= 120 && lost == 0 {
			lost++
			return fmt.Errorf("read: %w", source.ErrDisconnected)
		}
		return nil
	}
	l.identify = func() error {
		if lost > 0 && away < 2 {
			away++
			return fmt.Errorf("connect: %w", source.ErrDisconnected)
		}
		return nil
	}
	l.once("")
	l.wants("a", "1 x, 2 x, 3 x")
	l.wantsSaved(130)
	l.wantsCalls(&l.streams, "[a] from 100", "[a] from 120")
	if away != 2 {
		t.Errorf("the source was asked %d times who it is", away)
	}
}

func TestStreamFails(t *testing.T) {
	l := newLine(t, "a")
	l.once("")
	l.commit("a 1 x")
	l.commit("a 2 x")
	l.stream = func(after uint64) error {
		if after == 110 {
			return errors.New("broke")
		}
		return nil
	}
	l.once("broke")
	l.wants("a", "1 x") // what was read is written
	l.wantsSaved(110)
}
