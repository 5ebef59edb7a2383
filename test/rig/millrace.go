// Package rig is what the demo and the benchmark stand on: a temporary folder
// and the millrace binary as a child process, seen through its HTTP side.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/child"
	"github.com/millrace/millrace/internal/web"
)

// stopGrace is for writing what was read; after it the process is killed.
const stopGrace = 30 * time.Second

// Folder creates a temporary folder that others may enter, as Postgres does
// not run as root.
func Folder(name string) (string, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return "", fmt.Errorf("create a folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open the folder to Postgres: %w", errors.Join(err, os.RemoveAll(dir)))
	}
	return dir, nil
}

// Config says what to run.
type Config struct {
	Binary         string
	Dir            string // gets the state file and the log
	Name           string // of the pipeline, slot and publication
	Source, Target string // DSNs
	Listen         string // "" serves nothing
	Args           []string
}

// A Millrace is a running `millrace run`.
type Millrace struct {
	cfg     Config
	cmd     *exec.Cmd
	started time.Time
	child   *child.Process
}

// Run starts millrace. It ends with this process, whatever ends that.
func Run(cfg Config) (*Millrace, error) {
	m := &Millrace{cfg: cfg}
	log, err := os.OpenFile(m.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the log of millrace: %w", err)
	}
	defer log.Close()
	m.cmd = exec.Command(cfg.Binary, append([]string{
		"run", "--name", cfg.Name, "--source", cfg.Source, "--target", cfg.Target,
		"--state", filepath.Join(cfg.Dir, cfg.Name+".db"), "--http", cfg.Listen,
	}, cfg.Args...)...)
	m.cmd.Dir, m.cmd.Stdout, m.cmd.Stderr = cfg.Dir, log, log
	m.started = time.Now()
	if m.child, err = child.Start(m.cmd, syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("start millrace: %w", err)
	}
	return m, nil
}

func (m *Millrace) log() string { return filepath.Join(m.cfg.Dir, m.cfg.Name+".log") }

// PID returns the process id.
func (m *Millrace) PID() int { return m.child.PID() }

// Done is closed when the process has ended.
func (m *Millrace) Done() <-chan struct{} { return m.child.Done() }

// Err says how the process ended, with the last of its log. It is nil while it
// runs and after exit code 0.
func (m *Millrace) Err() error {
	err := m.child.Err()
	if err == nil {
		return nil
	}
	return fmt.Errorf("millrace ended: %w\n%s", err, m.tail(10))
}

// tail returns the last lines of the log.
func (m *Millrace) tail(lines int) []byte {
	text, _ := os.ReadFile(m.log())
	text = bytes.TrimSpace(text)
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] != '\n' {
			continue
		}
		if lines--; lines == 0 {
			return text[i+1:]
		}
	}
	return text
}

// Status asks for the status.
func (m *Millrace) Status(ctx context.Context) (*web.Status, error) {
	return web.Fetch(ctx, m.cfg.Listen)
}

// Await polls the status until the condition holds, the process has ended or
// ctx is done, which are errors. A process that does not listen yet is none.
func (m *Millrace) Await(ctx context.Context, holds func(*web.Status) bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := m.Status(ctx)
		if err == nil && holds(s) {
			return nil
		}
		select {
		case <-m.Done():
			if err := m.Err(); err != nil {
				return err
			}
			return errors.New("millrace ended")
		case <-ctx.Done():
			return fmt.Errorf("wait for millrace: %w", errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}

// Stop ends the process as Ctrl-C would: what was read is written. One that has
// ended by itself is no error here.
func (m *Millrace) Stop() error {
	select {
	case <-m.Done():
		return nil
	default:
	}
	if err := m.child.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop millrace: %w", err)
	}
	if !m.child.Wait(stopGrace) {
		return errors.Join(fmt.Errorf("millrace did not end within %s", stopGrace), m.child.Kill())
	}
	return m.Err()
}

// Address returns the wanted address if it is free, else one on another port.
func Address(want string) (string, error) {
	l, err := net.Listen("tcp", want)
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
