package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// A transcript is a handler that writes down what it is told, a line a call.
type transcript struct {
	mu    sync.Mutex
	lines []string
	tidy  bool // without positions, versions and times, which differ from run to run
}

func (h *transcript) add(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
	return nil
}

func (h *transcript) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n") + "\n"
}

func (h *transcript) Schema(_ context.Context, t *source.Table) error {
	if t.Problem != nil {
		return h.add("schema %s: %s", t, t.Problem)
	}
	return h.add("schema %s", t)
}

func (h *transcript) Row(_ context.Context, r *source.Row) error {
	line := fmt.Sprintf("%s %s", r.Op, r.Table)
	if !h.tidy {
		line += fmt.Sprintf(" version %d time %d", r.Version, r.Time)
	}
	if len(r.Old) > 0 {
		line += " old" + cellText(r.Old)
	}
	if len(r.New) > 0 {
		line += " new" + cellText(r.New)
	}
	return h.add("%s", line)
}

func (h *transcript) Commit(_ context.Context, c source.Commit) error {
	switch {
	case h.tidy && c.Idle:
		return nil
	case h.tidy:
		return h.add("commit")
	case c.Idle && c.Time.IsZero():
		return h.add("idle %s", c.Position)
	}
	return h.add("commit %s time %d idle %v", c.Position, c.Time.UnixMicro(), c.Idle)
}

func cellText(cells []source.Cell) string {
	var b strings.Builder
	for _, c := range cells {
		switch c.Kind {
		case source.Null:
			b.WriteString(" NULL")
		case source.Absent:
			b.WriteString(" absent")
		case source.Unchanged:
			b.WriteString(" unchanged")
		case source.Text:
			fmt.Fprintf(&b, " %.60q(%d)", c.Bytes, len(c.Bytes))
		case source.Binary:
			fmt.Fprintf(&b, " %.30x(%d)", c.Bytes, len(c.Bytes))
		}
	}
	return b.String()
}

// testMemory remembers as long as the test runs.
type testMemory struct{ sync.Map }

func (m *testMemory) Get(key string) ([]byte, error) {
	v, _ := m.Load(key)
	b, _ := v.([]byte)
	return b, nil
}

func (m *testMemory) Put(key string, value []byte) error {
	m.Store(key, value)
	return nil
}

// testStart returns a source that has begun to follow its tables, and from where.
func testStart(t *testing.T, dsn string, patterns ...string) (*Source, []*source.Table, position.Position) {
	t.Helper()
	s := newTestSource(t, dsn, patterns...)
	s.cfg.Memory = new(testMemory)
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Problem != nil {
			t.Fatalf("%s: %v", table, table.Problem)
		}
	}
	snap, err := s.Begin(t.Context(), nil, tables, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := snap.Close(); err != nil {
		t.Fatal(err)
	}
	return s, tables, snap.Position()
}

// testStream streams until the transcript has a line that contains last.
func testStream(t *testing.T, s *Source, from position.Position, tables []*source.Table, last string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := &transcript{tidy: true}
	done := make(chan error, 1)
	go func() {
		for {
			err := s.Stream(ctx, from, tables, h)
			if !hasCode(err, "55006") { // the slot is still in use
				done <- err
				return
			}
		}
	}()
	poll(t, last, func() bool {
		select {
		case err := <-done:
			t.Fatalf("the stream ended before %q: %v\n%s", last, err, h.text())
		default:
		}
		return strings.Contains(h.text(), last)
	})
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled stream returned %v", err)
	}
	return h.text()
}

// A table whose columns or key no longer fit fails; its rows are not handed
// on, and other tables go on.
func TestStreamOfAChangedTable(t *testing.T) {
	pg := testenv.Postgres(t)
	for name, ddl := range map[string][]string{
		"column dropped":      {"ALTER TABLE t DROP COLUMN v"},
		"column retyped":      {"ALTER TABLE t ALTER COLUMN v TYPE varchar(9)", "ALTER TABLE t ALTER COLUMN v TYPE text"},
		"another primary key": {"ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n)"},
		"no identity":         {"ALTER TABLE t REPLICA IDENTITY NOTHING"},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := pg.Database(t)
			pg.Exec(t, dsn, "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL, v text)", "CREATE TABLE other (id int PRIMARY KEY)")
			s, tables, from := testStart(t, dsn)
			pg.Exec(t, dsn, "INSERT INTO t VALUES (1, 10, 'v'), (2, 20, 'w')")
			for _, statement := range ddl[:1] {
				pg.Exec(t, dsn, statement)
			}
			if name == "no identity" {
				pg.Exec(t, dsn, "INSERT INTO t VALUES (3, 30, 'x')")
			} else {
				pg.Exec(t, dsn, "UPDATE t SET n = 11 WHERE id = 1", "DELETE FROM t WHERE id = 2")
			}
			for _, statement := range ddl[1:] {
				pg.Exec(t, dsn, statement, "DELETE FROM t WHERE id = 1")
			}
			pg.Exec(t, dsn, "INSERT INTO other VALUES (7)")
			text := testStream(t, s, from, tables, "INSERT public.other")
			if strings.Count(text, "schema public.t") < 2 {
				t.Errorf("the table was not announced again:\n%s", text)
			}
			if name == "column retyped" && !strings.Contains(text, "changed") {
				t.Errorf("rows of a shape that is in neither place were taken:\n%s", text)
			}
		})
	}
}

// A table under another name is another table: it fails. One that is dropped
// is followed to its end.
func TestStreamOfATableThatIsNoMore(t *testing.T) {
	pg := testenv.Postgres(t)
	for statement, want := range map[string]string{
		"ALTER TABLE t RENAME TO u":        "schema public.t: it is called public.u now",
		"ALTER TABLE t SET SCHEMA history": "schema public.t: it is called history.t now",
		"DROP TABLE t":                     "INSERT public.t new 00000001",
	} {
		t.Run(statement, func(t *testing.T) {
			dsn := pg.Database(t)
			pg.Exec(t, dsn, "CREATE SCHEMA history", "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE other (id int PRIMARY KEY)")
			s, tables, from := testStart(t, dsn)
			pg.Exec(t, dsn, "INSERT INTO t VALUES (1)", statement, "INSERT INTO other VALUES (7)")
			if text := testStream(t, s, from, tables, "INSERT public.other"); !strings.Contains(text, want) {
				t.Errorf("want %q in it:\n%s", want, text)
			}
		})
	}
}
