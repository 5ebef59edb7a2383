package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/child"
	"github.com/millrace/millrace/source"
)

// Config says how to run an engine.
type Config struct {
	// Dir holds everything: data, configuration, clickhouse.log. It is created
	// if need be. One engine runs on a folder at a time.
	Dir string
	// TCPPort and HTTPPort are the native and the HTTP port on 127.0.0.1; 0
	// picks a free one.
	TCPPort, HTTPPort int
	// Users are those beside default, which has no password and may do
	// everything, by name. A name is an XML element's: letters, digits and
	// underscores.
	Users map[string]User
	// Logger gets start, end and slow starts; nil for none.
	Logger *slog.Logger
}

// A User may log in to an engine.
type User struct {
	Password string
	Grants   []string // "GRANT SELECT ON db.*"; nil: everything
}

// The engine's output in its folder, and that of the one before.
const (
	logName    = "clickhouse.log"
	oldLogName = "clickhouse.log.old"
)

// Deadlines of an orderly stop: to end by itself, then to obey SIGTERM.
const (
	graceEOF  = 2 * time.Second
	graceTerm = 5 * time.Second
)

// A Server is a running engine.
type Server struct {
	cfg   Config    // with everything filled in
	stdin io.Closer // the engine serves until it is closed
	child *child.Process
}

// Start runs the engine and waits until it answers on both ports, or until ctx
// is done. The engine does not end with ctx: call [Server.Stop].
func Start(ctx context.Context, cfg Config) (*Server, error) {
	engine, err := Locate()
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("resolve %q: %w", cfg.Dir, err)
	}
	s := &Server{cfg: cfg}
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("create the engine's folder: %w", err)
	}
	if err := waitUnused(ctx, cfg.Dir); err != nil {
		return nil, err
	}
	if err := s.pickPorts(); err != nil {
		return nil, err
	}
	config, err := writeConfig(cfg.Dir, cfg.Users)
	if err != nil {
		return nil, err
	}
	if err := s.launch(engine, config); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	if err := writeEndpoint(s.cfg.Dir, s.HTTPURL()); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	s.cfg.Logger.Info("ClickHouse runs", "dir", s.cfg.Dir, "dsn", s.DSN(), "http", s.HTTPURL())
	return s, nil
}

// pickPorts fills in free ports, and refuses taken ones by name: the engine
// would only say that it cannot listen.
func (s *Server) pickPorts() error {
	for _, p := range []struct {
		port *int
		name string
	}{{&s.cfg.TCPPort, "native"}, {&s.cfg.HTTPPort, "HTTP"}} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(*p.port)))
		if err != nil {
			return fmt.Errorf("take the engine's %s port: %w", p.name, err)
		}
		// Both are held until the end, so that they differ.
		defer l.Close()
		*p.port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

const host = "127.0.0.1"

// serve opens the ports, then reads standard input: its end is the engine's.
const serve = "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; " +
	"SELECT * FROM file('-', 'LineAsString', 'line String') FORMAT Null"

func (s *Server) launch(engine Engine, config string) error {
	path, old := filepath.Join(s.cfg.Dir, logName), filepath.Join(s.cfg.Dir, oldLogName)
	// How the last engine ended stays readable, and the log stays small.
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the engine's old log aside: %w", err)
	}
	output, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("open the engine's log: %w", err)
	}
	defer output.Close()
	read, write, args, err := openInput()
	if err != nil {
		return fmt.Errorf("open the engine's input: %w", err)
	}
	defer read.Close()

	cmd := exec.Command(engine.Path, append(append(engine.Args, args...),
		"--config-file", config, "--path", s.cfg.Dir,
		"--listen_host", host, "--tcp_port", strconv.Itoa(s.cfg.TCPPort), "--http_port", strconv.Itoa(s.cfg.HTTPPort),
		"--log-level", "warning", "--logger.console", "1",
		"--query", serve)...)
	cmd.Dir = s.cfg.Dir // database default offers the files in it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = read, output, output
	if s.child, err = child.Start(cmd, syscall.SIGTERM); err != nil {
		write.Close()
		err = fmt.Errorf("start ClickHouse: %w", err)
		if errors.Is(err, fs.ErrNotExist) {
			// The executable is there: it is its loader that is missing.
			return source.WithHint(err, "this system has no glibc; install ClickHouse so that `clickhouse` is on PATH")
		}
		return err
	}
	s.stdin = write
	return nil
}

// ready waits for the first answer. The native port opens before the HTTP one.
func (s *Server) ready(ctx context.Context) error {
	slow := time.After(5 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.ping(ctx) == nil {
			return nil
		}
		select {
		case <-s.child.Done():
			return fmt.Errorf("start ClickHouse in %q: %w", s.cfg.Dir, s.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for ClickHouse in %q: %w", s.cfg.Dir, context.Cause(ctx))
		case <-slow:
			s.cfg.Logger.Info("ClickHouse still starts", "dir", s.cfg.Dir)
		case <-tick.C:
		}
	}
}

func (s *Server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return Query(ctx, s.HTTPURL(), "SELECT 1", "TabSeparated", io.Discard)
}

// DSN names the native port.
func (s *Server) DSN() string {
	return fmt.Sprintf("clickhouse://default:@%s:%d/default", host, s.cfg.TCPPort)
}

// HTTPURL names the HTTP port; the page /play there is a query console.
func (s *Server) HTTPURL() string { return fmt.Sprintf("http://%s:%d", host, s.cfg.HTTPPort) }

// Config returns what the engine runs with, its ports included: started with
// it again, it is found in the same place.
func (s *Server) Config() Config { return s.cfg }

// PID returns the engine's process id.
func (s *Server) PID() int { return s.child.PID() }

// Done is closed when the engine has ended, whatever the reason.
func (s *Server) Done() <-chan struct{} { return s.child.Done() }

// Err says how the engine ended, with the last of its output. It is nil while
// it runs and after an orderly end.
func (s *Server) Err() error {
	err := s.child.Err()
	if err == nil {
		return nil
	}
	if text := tail(filepath.Join(s.cfg.Dir, logName)); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

// Stop ends the engine: it is asked to, then told by SIGTERM, then killed. It
// returns when the engine is gone, within seconds.
func (s *Server) Stop() error {
	s.stdin.Close()
	if !s.child.Wait(graceEOF) {
		if err := s.child.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop ClickHouse: %w", err)
		}
		if !s.child.Wait(graceTerm) {
			return s.Kill()
		}
	}
	s.cfg.Logger.Info("ClickHouse stopped", "dir", s.cfg.Dir)
	return nil
}

// Kill ends the engine with SIGKILL and waits until it is gone.
func (s *Server) Kill() error {
	defer s.stdin.Close()
	if err := s.child.Kill(); err != nil {
		return fmt.Errorf("kill ClickHouse: %w", err)
	}
	return nil
}
