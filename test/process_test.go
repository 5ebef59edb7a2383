package test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/child"
	"github.com/millrace/millrace/internal/testenv"
)

// A process is one run of the binary. It does not outlive its test, which
// fails when the process raced or panicked.
type process struct {
	t     testing.TB
	child *child.Process
	log   *output // standard error
	out   *output // standard output
}

func startProcess(t testing.TB, binary, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, log: new(output), out: new(output)}
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p.out, p.log
	for _, assignment := range os.Environ() {
		if !strings.HasPrefix(assignment, "MILLRACE_") {
			cmd.Env = append(cmd.Env, assignment)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var err error
	if p.child, err = child.Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if text := p.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ") {
			t.Errorf("millrace broke:\n%s", text)
		} else if t.Failed() {
			t.Logf("log of %s:\n%s", args[0], p.log.tail())
		}
	})
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	if err := p.child.Kill(); err != nil {
		p.t.Error(err)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.child.Done():
		return true
	default:
		return false
	}
}

// await waits for a piece of the log.
func (p *process) await(text string) {
	p.t.Helper()
	until(p.t, "the log says "+text, func() bool {
		// In this order: what an ended process wrote is all there.
		ended := p.ended()
		if p.log.has(text) {
			return true
		}
		if ended {
			p.t.Fatalf("millrace ended (%v) before it said %q\n%s", p.child.Err(), text, p.log.tail())
		}
		return false
	})
}

// exit waits for the end and returns the exit code; -1 for a signal.
func (p *process) exit() int {
	p.t.Helper()
	if !p.child.Wait(patience) {
		p.t.Fatalf("millrace does not end\n%s", p.log.tail())
	}
	var exit *exec.ExitError
	switch err := p.child.Err(); {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	default:
		p.t.Fatal(err)
		return -1
	}
}

// wantExit checks the exit code, and that the log holds some texts.
func (p *process) wantExit(code int, texts ...string) {
	p.t.Helper()
	if got := p.exit(); got != code {
		p.t.Errorf("exit code %d, want %d\n%s", got, code, p.log.tail())
	}
	for _, text := range texts {
		if !p.log.has(text) {
			p.t.Errorf("standard error lacks %q:\n%s", text, p.log.tail())
		}
	}
}

// died waits for the end by SIGKILL.
func (p *process) died() {
	p.t.Helper()
	code := p.exit()
	var exit *exec.ExitError
	if code != -1 || !errors.As(p.child.Err(), &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		p.t.Fatalf("millrace was to kill itself, and ended with %d\n%s", code, p.log.tail())
	}
}

// interrupt sends Ctrl-C.
func (p *process) interrupt() {
	p.t.Helper()
	if err := p.child.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// stop ends the process in an orderly way.
func (p *process) stop() {
	p.t.Helper()
	p.interrupt()
	p.wantExit(0)
}

// An output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) has(text string) bool { return strings.Contains(o.String(), text) }

// count tells how often a text occurs.
func (o *output) count(text string) int { return strings.Count(o.String(), text) }

// tail returns the last lines.
func (o *output) tail() string {
	lines := strings.Split(o.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// seamBinary kills itself at the place that MILLRACE_SEAM names.
func seamBinary(t testing.TB) string { return testenv.Binary(t, "seam") }
