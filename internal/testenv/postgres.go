package testenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/localpg"
)

// A PG is a Postgres server with logical decoding, on 127.0.0.1, that trusts
// everybody.
type PG struct {
	Port int

	server *localpg.Server
}

var sharedPostgres = sync.OnceValues(func() (*PG, error) {
	p, _, err := newPostgres("postgres", nil)
	if err != nil {
		return nil, err
	}
	onExit(func() { _ = p.server.Quit() })
	return p, nil
})

// Postgres returns the shared server; [PG.Database] makes a database on it.
// With settings ("wal_sender_timeout=2s") it starts one for this test alone.
func Postgres(t testing.TB, settings ...string) *PG {
	t.Helper()
	if len(settings) > 0 {
		return StartPostgres(t, settings...)
	}
	p, err := sharedPostgres()
	if err != nil {
		fatalPostgres(t, err)
	}
	return p
}

var servers atomic.Int64 // names the data folders

// StartPostgres starts a server for this test alone, which may stop or kill
// it. It ends with the test.
func StartPostgres(t testing.TB, settings ...string) *PG {
	t.Helper()
	p, dir, err := newPostgres(fmt.Sprintf("postgres-%d", servers.Add(1)), settings)
	if err != nil {
		fatalPostgres(t, err)
	}
	t.Cleanup(func() {
		_ = p.server.Quit() // what is left of it ends with the process
		os.RemoveAll(dir)
	})
	return p
}

func fatalPostgres(t testing.TB, err error) {
	t.Helper()
	t.Fatalf("Postgres: %v", err)
}

func newPostgres(name string, settings []string) (p *PG, dir string, err error) {
	base, err := runDir()
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Join(base, name)
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	s, err := localpg.New(ctx, localpg.Config{Dir: dir, Settings: settings})
	if err != nil {
		return nil, "", err
	}
	return &PG{Port: s.Port(), server: s}, dir, nil
}

// DSN names a database of the server.
func (p *PG) DSN(database string) string { return p.server.DSN(database) }

// Database creates a database for this test and returns its DSN. When the test
// ends its replication slots are dropped, and so is it.
func (p *PG) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	p.Exec(t, p.DSN("postgres"), "CREATE DATABASE "+name)
	t.Cleanup(func() { p.drop(name) })
	return p.DSN(name)
}

// drop leaves alone what a test's own server can no longer drop.
func (p *PG) drop(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.DSN("postgres"))
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	for _, statement := range []string{
		"SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE database = '" + name + "' AND active",
		"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '" + name + "'",
		"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return
		}
	}
}

// Exec runs statements, each in a transaction of its own, on a fresh
// connection. An error ends the test.
func (p *PG) Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		fatalPostgres(t, err)
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("Postgres: %v\nin: %s", err, statement)
		}
	}
}

// Start starts a server again that was stopped or killed, on its port and data;
// it returns when recovery is done.
func (p *PG) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	if err := p.server.Start(ctx); err != nil {
		fatalPostgres(t, err)
	}
}

// Stop ends the server in an orderly way, connections included. It does not
// wait for a replication client that takes nothing any more.
func (p *PG) Stop(t testing.TB) {
	t.Helper()
	if err := p.server.Stop(); err != nil {
		fatalPostgres(t, err)
	}
}

// Kill ends the server and all its processes with SIGKILL.
func (p *PG) Kill(t testing.TB) {
	t.Helper()
	if err := p.server.Kill(); err != nil {
		fatalPostgres(t, err)
	}
}
