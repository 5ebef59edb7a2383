package mapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// bench is a mapper with what a test does to it.
type bench struct {
	*Mapper
	t      *testing.T
	a, b   *source.Table
	commit uint64
}

func newBench(t *testing.T, c Config) *bench {
	t.Helper()
	a, b := orders(), orders()
	a.Name, b.Name = "a", "b"
	return &bench{Mapper: newMapper(t, c, a, b), t: t, a: a, b: b}
}

func (m *bench) row(table *source.Table, id int) {
	m.t.Helper()
	if err := m.Row(m.t.Context(), &source.Row{Table: table, Version: m.commit + 1, New: order(id)}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *bench) truncate(table *source.Table) {
	m.t.Helper()
	if err := m.Row(m.t.Context(), &source.Row{Table: table, Op: source.Truncate, Version: m.commit + 1}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *bench) end(idle bool) {
	m.t.Helper()
	m.commit++
	err := m.Commit(m.t.Context(), source.Commit{
		Position: position.Position{Order: m.commit, Text: fmt.Sprint(m.commit)}, Time: time.Unix(int64(m.commit), 0), Idle: idle,
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// batchText shows a batch: "truncate a; a 2 rows; b 1 row; to 3; failed …".
func batchText(b *Batch) string {
	var parts []string
	for _, p := range b.Truncated {
		parts = append(parts, "truncate "+p.Target)
	}
	rows := 0
	for _, block := range b.Blocks() {
		parts = append(parts, fmt.Sprintf("%s %d", block.Plan.Target, block.Rows()))
		rows += block.Rows()
	}
	if rows != b.Rows() {
		parts = append(parts, fmt.Sprintf("but %d in all", b.Rows()))
	}
	if !b.Position.IsZero() {
		parts = append(parts, "to "+b.Position.Text)
	}
	for _, f := range b.Failed {
		parts = append(parts, "failed "+f.Table)
	}
	return strings.Join(parts, "; ")
}

// take takes a batch, says what is in it, and gives it back.
func (m *bench) take() string {
	m.t.Helper()
	b, err := m.Next(m.t.Context())
	if errors.Is(err, io.EOF) {
		return "end"
	}
	if err != nil {
		m.t.Fatal(err)
	}
	defer m.Release(b)
	return batchText(b)
}

func (m *bench) wants(want string) {
	m.t.Helper()
	if got := m.take(); got != want {
		m.t.Fatalf("batch %q, want %q", got, want)
	}
}

// takes notes when which batches are due, until the end.
func (m *bench) takes() (stop func() []string) {
	start := time.Now()
	var list []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			what := m.take()
			if what == "end" {
				return
			}
			list = append(list, fmt.Sprintf("%v: %s", time.Since(start).Round(time.Millisecond), what))
		}
	}()
	return func() []string {
		m.Close()
		<-done
		return list
	}
}

// The first commit after quiet is due at once, then one batch an interval.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Interval: time.Second})
		stop := m.takes()
		for range 12 { // until 3.41 s
			m.row(m.a, 1)
			m.end(false)
			time.Sleep(310 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		m.row(m.b, 1)
		m.end(false)
		time.Sleep(time.Millisecond)
		m.row(m.b, 1)
		m.end(false)
		want := []string{
			"0s: a 1; to 1", "1s: a 3; to 4", "2s: a 3; to 7", "3s: a 3; to 10", "4s: a 2; to 12",
			"13.72s: b 1; to 13", "13.721s: b 1; to 14", // the end hurries
		}
		synctest.Wait()
		if diff := cmp.Diff(want, stop()); diff != "" {
			t.Error(diff)
		}
	})
}

// Positions alone are due once an interval, and hold up no rows.
func TestIdleCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Interval: time.Second})
		stop := m.takes()
		for i := range 25 { // until 2.16 s
			m.end(true)
			time.Sleep(90 * time.Millisecond)
			if i == 12 {
				m.row(m.a, 1)
				m.end(false)
			}
			synctest.Wait()
		}
		want := []string{"0s: to 1", "1s: to 12", "1.17s: a 1; to 14", "2s: to 24", "2.25s: to 26"}
		got := stop()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Rows of a transaction that has not ended are not due before they fill a batch.
func TestOpenTransactionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{})
		m.row(m.a, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if b, err := m.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("batch %v, error %v", b, err)
		}
		m.Close()
		m.wants("end")
	})
}

func TestFullBatchesAreDueAtOnce(t *testing.T) {
	for name, c := range map[string]Config{
		"rows":   {Rows: 3},
		"bytes":  {Bytes: 3*rowOverhead + 3*8*8 + 1},
		"memory": {Memory: batches * (3*rowOverhead + 3*8*8 + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.Interval = time.Hour
				m := newBench(t, c)
				m.row(m.a, 1)
				m.end(false)
				m.wants("a 1; to 1")
				stop := m.takes()
				size := 0
				for i := range 7 { // of a transaction that has not ended
					m.row(m.a, i)
					size++
				}
				synctest.Wait()
				list := stop()
				if len(list) == 0 || !strings.HasPrefix(list[0], "0s: a ") || strings.Contains(list[0], "to") {
					t.Errorf("batches %v", list)
				}
				if name == "rows" && len(list) != 2 {
					t.Errorf("batches %v, want two of three rows", list)
				}
			})
		})
	}
}

// A position counts for a batch that ends inside a later transaction, whose
// rows come again.
func TestPositionOfACutTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Rows: 3, Interval: time.Hour})
		m.row(m.a, 1)
		m.end(false)
		m.row(m.a, 2)
		m.row(m.a, 3)
		m.wants("a 3; to 1")
		m.row(m.a, 4)
		m.end(false)
		m.Close()
		m.wants("a 1; to 2")
		m.wants("end")
	})
}

// With all batches full, Row waits until one is given back.
func TestRowWaitsForAFreeBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Rows: 1, Interval: time.Hour})
		rows := 0
		var reader error
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for reader == nil {
				reader = m.Row(ctx, &source.Row{Table: m.a, Version: 1, New: order(rows)})
				rows++
			}
		}()
		synctest.Wait()
		if rows != 1 { // the second fills the batch behind the first
			t.Fatalf("%d rows went in before one batch was taken", rows)
		}
		b, err := m.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if rows != 2 {
			t.Fatalf("%d rows went in with one batch taken", rows)
		}
		m.Release(b)
		synctest.Wait()
		if rows != 2 {
			t.Fatalf("%d rows went in: a full batch waits, another one is filled", rows)
		}
		m.wants("a 1")
		synctest.Wait()
		if rows != 3 {
			t.Fatalf("%d rows went in after two batches", rows)
		}
		cancel()
		<-ended
		if !errors.Is(reader, context.Canceled) {
			t.Errorf("Row ends with %v", reader)
		}
		m.Close()
		m.wants("a 1")
		m.wants("end")
	})
}

// What stands before a TRUNCATE is written before it, and what follows after.
func TestTruncateIsABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Interval: time.Hour})
		stop := m.takes()
		m.truncate(m.a)
		m.row(m.a, 1)
		m.row(m.b, 2)
		m.truncate(m.a)
		m.row(m.a, 3)
		m.truncate(m.b)
		m.end(false)
		m.row(m.b, 4)
		m.end(false)
		synctest.Wait()
		want := []string{"0s: truncate a; a 1; b 1", "0s: truncate a; truncate b; a 1; b 1; to 2"}
		if diff := cmp.Diff(want, stop()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTruncateCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Rows: 2, Interval: time.Hour})
		m.row(m.a, 1)
		m.row(m.a, 2)
		m.row(m.a, 3) // behind a full batch
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := m.Row(ctx, &source.Row{Table: m.a, Op: source.Truncate})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// A failed table's rows are dropped from there on, whoever found the failure,
// and the batch says so once.
func TestFailedTable(t *testing.T) {
	bad := func(m *bench) *source.Row {
		row := &source.Row{Table: m.a, Version: 1, New: order(2)}
		row.New[0].Kind = source.Null
		return row
	}
	boom := errors.New("boom")
	for name, fail := range map[string]func(t *testing.T, m *bench){
		"row": func(t *testing.T, m *bench) {
			for range 2 {
				if err := m.Row(t.Context(), bad(m)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"target": func(_ *testing.T, m *bench) { m.Fail(m.a, boom) },
		"shape": func(t *testing.T, m *bench) {
			changed := *m.a
			changed.Problem = boom
			if err := m.Schema(t.Context(), &changed); err != nil {
				t.Fatal(err)
			}
		},
		"no plan": func(t *testing.T, m *bench) {
			changed := *m.a
			m.cfg.Plan = func(context.Context, *source.Table) (*Plan, error) { return nil, boom }
			if err := m.Schema(t.Context(), &changed); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newBench(t, Config{Interval: time.Hour})
				m.row(m.a, 1)
				fail(t, m)
				m.row(m.a, 3)
				m.truncate(m.a)
				m.row(m.b, 4)
				again := *m.a // announced anew
				if err := m.Schema(t.Context(), &again); err != nil {
					t.Fatal(err)
				}
				m.row(&again, 5)
				m.Fail(m.a, boom)
				m.end(false)
				m.wants("a 1; b 1; to 1; failed public.a")
				m.row(m.a, 6)
				m.row(m.b, 7)
				m.end(false)
				m.Close()
				m.wants("b 1; to 2")
			})
		})
	}
}

// A table whose first row of a batch fails leaves no block behind.
func TestFirstRowFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Interval: time.Hour})
		row := &source.Row{Table: m.a, Version: 1, New: order(2)}
		row.New[0].Kind = source.Null
		if err := m.Row(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		m.wants("failed public.a")
	})
}

func TestTablesThatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{Failed: []string{"public.a"}})
		m.row(m.a, 1)
		m.row(m.b, 1)
		m.end(false)
		m.wants("b 1; to 1")
	})
}

func TestRowsThatCannotGoOn(t *testing.T) {
	m := newBench(t, Config{})
	ctx := t.Context()
	if err := m.Row(ctx, &source.Row{Table: orders(), New: order(1)}); err == nil || !strings.Contains(err.Error(), "not announced") {
		t.Errorf("a table that was not announced gives %v", err)
	}
	if err := m.Row(ctx, &source.Row{Table: m.a, Version: 1 << 56, New: order(1)}); !errors.Is(err, ErrLimit) {
		t.Errorf("a version that is too large gives %v", err)
	}
	if err := m.Row(ctx, &source.Row{Table: m.a, Version: 1<<56 - 1, New: order(1)}); err != nil {
		t.Errorf("the largest version gives %v", err)
	}
}

// A cancelled Plan is no failure of the table.
func TestCancelledSchema(t *testing.T) {
	m := newBench(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m.cfg.Plan = func(ctx context.Context, _ *source.Table) (*Plan, error) { return nil, ctx.Err() }
	if err := m.Schema(ctx, orders()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if len(m.failed) > 0 {
		t.Errorf("failed %v", m.failed)
	}
}

// Blocks of one table in the batches that go around hold what was put in.
func TestBlocksAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newBench(t, Config{})
		seen := make(map[*Block]int)
		for i := range 4 * batches {
			m.row(m.a, i)
			if i < batches {
				m.row(m.b, i)
			}
			m.end(false)
			b, err := m.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if i >= batches && b.Rows() != 1 {
				t.Errorf("batch %d has %d rows", i, b.Rows())
			}
			for _, block := range b.Blocks() {
				seen[block]++
			}
			m.Release(b)
		}
		var uses []int
		for _, n := range seen {
			uses = append(uses, n)
		}
		slices.Sort(uses)
		if want := []int{1, 1, 1, 4, 4, 4}; !slices.Equal(uses, want) {
			t.Errorf("blocks were used %v times, want %v", uses, want)
		}
		for _, b := range m.free {
			if len(b.blocks) > 1 {
				t.Errorf("a batch keeps %d blocks, of which one was used", len(b.blocks))
			}
		}
	})
}
