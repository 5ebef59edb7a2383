// Package localpg runs Postgres servers of our own on 127.0.0.1: throw-away
// ones for the tests, the demo and the benchmarks.
//
// They trust everybody, decode logically, and do not sync to disk. Postgres
// refuses to run as root: started by root they run as user postgres, which
// must be able to enter the folders that lead to theirs.
//
// A server ends with the process that started it, however that ends; its
// files are the caller's to remove.
package localpg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/child"
)

// grace is for an orderly end.
const grace = 10 * time.Second

// Config says how to run a server.
type Config struct {
	// Dir is the data folder. It is created, in a folder that exists; beside
	// it the server's log is kept, as Dir with ".log" at its end.
	Dir string
	// Settings are further ones, like "wal_sender_timeout=2s".
	Settings []string
}

// A Server is one that has been started. Its methods are for one goroutine at
// a time.
type Server struct {
	cfg   Config
	bin   string
	port  int
	child *child.Process
}

// New creates a cluster and starts a server on it, on a free port. It returns
// when the server takes connections.
func New(ctx context.Context, cfg Config) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, bin: bin, port: port}
	if err := s.init(ctx); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

// Start starts a server that has ended again, on its port and data; it returns
// when recovery is done.
func (s *Server) Start(ctx context.Context) error {
	output, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open the log of Postgres: %w", err)
	}
	defer output.Close()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.cfg.Dir)
	for _, setting := range append([]string{
		"port=" + strconv.Itoa(s.port), "listen_addresses=127.0.0.1", "unix_socket_directories=" + s.cfg.Dir,
		"wal_level=logical", "max_replication_slots=50", "max_wal_senders=50", "max_connections=200",
		"max_prepared_transactions=10", "fsync=off",
	}, s.cfg.Settings...) {
		cmd.Args = append(cmd.Args, "-c", setting)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.cfg.Dir, output, output
	if err := disown(cmd); err != nil {
		return err
	}
	// SIGQUIT takes the server's processes along at once.
	if s.child, err = child.Start(cmd, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return errors.Join(err, s.Quit())
	}
	return nil
}

func (s *Server) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.child.Done():
			text, _ := os.ReadFile(s.log())
			return fmt.Errorf("Postgres ended: %w: %s", s.child.Err(), text)
		case <-ctx.Done():
			return fmt.Errorf("wait for Postgres: %w", err)
		case <-tick.C:
		}
	}
}

// DSN names a database of the server, for its superuser.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s", s.port, database)
}

// Port is where the server listens, started or not.
func (s *Server) Port() int { return s.port }

// PID returns the id of the server's first process.
func (s *Server) PID() int { return s.child.PID() }

func (s *Server) log() string { return s.cfg.Dir + ".log" }

// Stop ends the server in an orderly way, connections included. It does not
// wait long for a replication client that takes nothing any more.
func (s *Server) Stop() error {
	if err := s.child.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("stop Postgres: %w", err)
	}
	if s.child.Wait(grace) {
		return nil
	}
	return s.Quit()
}

// Quit ends the server without a checkpoint.
func (s *Server) Quit() error {
	if s.child.Signal(syscall.SIGQUIT) == nil && s.child.Wait(grace) {
		return nil
	}
	return s.Kill()
}

// Kill ends the server and all its processes with SIGKILL.
func (s *Server) Kill() error {
	// Halted first, so that it starts no process that would be missed.
	if err := s.child.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	children := child.Of(s.child.PID())
	for _, pid := range children {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d of Postgres: %w", pid, err)
		}
	}
	if err := s.child.Kill(); err != nil {
		return fmt.Errorf("kill Postgres: %w", err)
	}
	// While one of them lives, Postgres refuses to start on its folder.
	return child.WaitGone(children)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
