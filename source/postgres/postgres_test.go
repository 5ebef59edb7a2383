package postgres

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// newTestSource returns a Source of a database that selects by patterns. Slot
// and publication are named after the database, as slots are the server's.
func newTestSource(t *testing.T, dsn string, patterns ...string) *Source {
	t.Helper()
	name := databaseOf(t, dsn)
	s := New(Config{
		DSN: dsn, Name: name, Slot: name, Publication: name,
		Select: source.Selection{Patterns: patterns, Default: "public"},
		Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() { s.Close() })
	return s
}

func databaseOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

// asRole returns the DSN of the same database for another role.
func asRole(t *testing.T, dsn, role string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

// newRole creates a role of the database's name that may log in and replicate.
func newRole(t *testing.T, pg *testenv.PG, dsn string) (role, roleDSN string) {
	t.Helper()
	role = databaseOf(t, dsn) + "_cdc"
	pg.Exec(t, dsn, "CREATE ROLE "+role+" LOGIN REPLICATION")
	return role, asRole(t, dsn, role)
}

func testConnect(t *testing.T, s *Source) *pgx.Conn {
	t.Helper()
	conn, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func testTables(t *testing.T, s *Source) map[string]*source.Table {
	t.Helper()
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*source.Table, len(tables))
	for _, table := range tables {
		byName[table.String()] = table
	}
	return byName
}

// hintOf returns what an error advises, "" when nothing.
func hintOf(err error) string {
	var hint *source.HintError
	if errors.As(err, &hint) {
		return hint.Hint
	}
	return ""
}

// mend runs the statements of a hint or a fix, as a reader would.
func mend(t *testing.T, pg *testenv.PG, dsn, fix string) {
	t.Helper()
	fix = strings.TrimPrefix(fix, "as a superuser, run ")
	fix, _, _ = strings.Cut(fix, ", or ") // the first way out
	fix = strings.ReplaceAll(fix, "…", "id")
	for statement := range strings.SplitSeq(fix, ";") {
		if !strings.HasPrefix(strings.TrimSpace(statement), "then restart") {
			pg.Exec(t, dsn, statement)
		}
	}
}

// poll waits for a condition.
func poll(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		case <-tick.C:
		}
	}
}

// A logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// captureLog lets a source log into a buffer.
func captureLog(s *Source) *logBuffer {
	b := &logBuffer{}
	s.log = slog.New(slog.NewTextHandler(b, nil))
	return b
}
