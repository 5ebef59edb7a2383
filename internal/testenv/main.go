package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Main runs a package's tests, then ends the shared servers and removes their
// files. Use it as
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	for _, stop := range atExit {
		stop()
	}
	if dir, err := runDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// What ends the shared servers; read when no test runs any more.
var (
	atExitMu sync.Mutex
	atExit   []func()
)

func onExit(stop func()) {
	atExitMu.Lock()
	defer atExitMu.Unlock()
	atExit = append(atExit, stop)
}

const runPrefix = "millrace-test-"

// runDir is this process's folder, named by its id. Others may enter it, as
// Postgres does not run as root.
var runDir = sync.OnceValues(func() (string, error) {
	sweep()
	dir := filepath.Join(os.TempDir(), runPrefix+strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create the test folder: %w", err)
	}
	return dir, nil
})

// sweep removes the folders of processes that are gone.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), runPrefix+"*"))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), runPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(dir)
		}
	}
}
