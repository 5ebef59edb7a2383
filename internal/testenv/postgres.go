package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/child"
)

// A PG is a Postgres server with logical decoding, on 127.0.0.1, that trusts
// everybody.
type PG struct {
	Port int

	bin, data string
	log       string
	settings  []string
	child     *child.Process
}

var sharedPostgres = sync.OnceValues(func() (*PG, error) {
	p, err := newPostgres("postgres", nil)
	if err != nil {
		return nil, err
	}
	onExit(p.quit)
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
	p, err := newPostgres(fmt.Sprintf("postgres-%d", servers.Add(1)), settings)
	if err != nil {
		fatalPostgres(t, err)
	}
	t.Cleanup(func() {
		p.quit()
		os.RemoveAll(p.data)
	})
	return p
}

func fatalPostgres(t testing.TB, err error) {
	t.Helper()
	t.Fatalf("Postgres: %v", err)
}

func newPostgres(name string, settings []string) (*PG, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := runDir()
	if err != nil {
		return nil, err
	}
	p := &PG{bin: bin, data: filepath.Join(dir, name), log: filepath.Join(dir, name+".log"), settings: settings}
	if p.Port, err = freePort(); err != nil {
		return nil, err
	}
	if err := p.init(); err != nil {
		return nil, err
	}
	return p, p.start()
}

func (p *PG) start() error {
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer output.Close()
	cmd := exec.Command(filepath.Join(p.bin, "postgres"), "-D", p.data)
	for _, s := range append([]string{
		"port=" + strconv.Itoa(p.Port), "listen_addresses=127.0.0.1", "unix_socket_directories=" + p.data,
		"wal_level=logical", "max_replication_slots=50", "max_wal_senders=50", "max_connections=200",
		"max_prepared_transactions=10", "fsync=off",
	}, p.settings...) {
		cmd.Args = append(cmd.Args, "-c", s)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.data, output, output
	owner, err := unprivileged()
	if err != nil {
		return err
	}
	if owner != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	}
	// SIGQUIT takes the server's processes along at once.
	if p.child, err = child.Start(cmd, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	return p.ready()
}

func (p *PG) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), startDeadline)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.child.Done():
			text, _ := os.ReadFile(p.log)
			return fmt.Errorf("Postgres ended: %w: %s", p.child.Err(), text)
		case <-ctx.Done():
			return fmt.Errorf("wait for Postgres: %w", err)
		case <-tick.C:
		}
	}
}

// DSN names a database of the server.
func (p *PG) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s", p.Port, database)
}

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
	if err := p.start(); err != nil {
		fatalPostgres(t, err)
	}
}

// Stop ends the server in an orderly way, connections included. It does not
// wait for a replication client that takes nothing any more.
func (p *PG) Stop(t testing.TB) {
	t.Helper()
	if err := p.child.Signal(syscall.SIGINT); err != nil {
		fatalPostgres(t, err)
	}
	if !p.child.Wait(10 * time.Second) {
		p.quit()
	}
}

// quit ends the server without a checkpoint.
func (p *PG) quit() {
	if p.child.Signal(syscall.SIGQUIT) != nil || !p.child.Wait(10*time.Second) {
		p.kill()
	}
}

// Kill ends the server and all its processes with SIGKILL.
func (p *PG) Kill(t testing.TB) {
	t.Helper()
	if err := p.kill(); err != nil {
		fatalPostgres(t, err)
	}
}

func (p *PG) kill() error {
	// Halted first, so that it starts no process that would be missed.
	if err := p.child.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	children := childrenOf(p.child.PID())
	for _, pid := range children {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	if err := p.child.Kill(); err != nil {
		return err
	}
	return waitGone(children)
}
