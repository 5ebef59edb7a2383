package postgres

import (
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
	"github.com/millrace/millrace/source/sourcetest"
)

func TestConformance(t *testing.T) { sourcetest.Run(t, conformance{}) }

// conformance gives the suite Postgres servers.
type conformance struct{}

func (conformance) Dialect() sourcetest.Dialect {
	return sourcetest.Dialect{
		Quote: func(name string) string { return quote(name) },
		Int:   "integer", Text: "text", Key: "varchar(100)",
		Upsert: func(table, values string) string {
			return fmt.Sprintf("INSERT INTO %s (id, n, v) VALUES %s ON CONFLICT (id) DO UPDATE SET n = excluded.n, v = excluded.v", table, values)
		},
		Rewrite: func(table string) string { return "VACUUM FULL " + table },
		Hostile: []string{`quo"te`, `"`, "ctid ", "\t", "a\nb", "xmin%"},
	}
}

func (conformance) Database(t *testing.T) sourcetest.Database {
	pg := testenv.Postgres(t)
	return &conformanceDatabase{pg: pg, dsn: pg.Database(t)}
}

func (conformance) Server(t *testing.T) sourcetest.Server {
	return conformanceServer{testenv.StartPostgres(t, fmt.Sprintf("wal_sender_timeout=%d", senderPatience.Milliseconds()))}
}

const senderPatience = time.Second

type conformanceServer struct{ pg *testenv.PG }

func (s conformanceServer) Database(t *testing.T) sourcetest.Database {
	return &conformanceDatabase{pg: s.pg, dsn: s.pg.Database(t)}
}
func (s conformanceServer) Stop(t *testing.T)       { s.pg.Stop(t) }
func (s conformanceServer) Kill(t *testing.T)       { s.pg.Kill(t) }
func (s conformanceServer) Start(t *testing.T)      { s.pg.Start(t) }
func (s conformanceServer) Patience() time.Duration { return senderPatience }

type conformanceDatabase struct {
	pg  *testenv.PG
	dsn string
	db  *sql.DB
}

func (d *conformanceDatabase) Open(t *testing.T, o sourcetest.Options) source.Source {
	t.Helper()
	name := databaseOf(t, d.dsn)
	return New(Config{
		DSN: d.dsn, Name: name, Slot: name, Publication: name,
		Select:  source.Selection{Patterns: o.Tables, Default: "public"},
		Workers: o.Workers, ChunkRows: o.ChunkRows, Memory: o.Memory,
		Logger: slog.New(slog.DiscardHandler),
	})
}

func (d *conformanceDatabase) DB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d.db = db
	return db
}

func (d *conformanceDatabase) Retained(t *testing.T) (uint64, bool) {
	t.Helper()
	var text string
	err := d.db.QueryRowContext(t.Context(), "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = current_database()").Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(lsn), true
}

func (d *conformanceDatabase) Leftovers(t *testing.T) []string {
	t.Helper()
	var text string
	err := d.db.QueryRowContext(t.Context(), `
		SELECT concat_ws(' ', (SELECT string_agg('slot ' || slot_name, ' ') FROM pg_replication_slots WHERE database = current_database()),
		                      (SELECT string_agg('publication ' || pubname, ' ') FROM pg_publication))`).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(text)
}
