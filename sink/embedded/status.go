package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is matched by the error of [Start] when another engine runs on the
// same folder.
var ErrInUse = errors.New("another ClickHouse runs on this folder")

// An engine locks the file status in its folder, which says who it is.
const statusName = "status"

var pidLine = regexp.MustCompile(`(?m)^PID: (\d+)$`)

// waitUnused refuses a folder that an engine runs on. It has a little patience,
// as the engine of a process that was killed may be about to end.
func waitUnused(ctx context.Context, dir string) error {
	deadline := time.Now().Add(3 * time.Second)
	for {
		err := checkUnused(dir)
		if !errors.Is(err, ErrInUse) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func checkUnused(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, statusName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the engine's status: %w", err)
	}
	defer f.Close()
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return nil // the lock ends with f
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("read the engine's status: %w", err)
	}
	text := make([]byte, 256)
	n, _ := f.Read(text)
	if pid := pidLine.FindSubmatch(text[:n]); pid != nil {
		return fmt.Errorf("%w: %q, process %s", ErrInUse, dir, pid[1])
	}
	return fmt.Errorf("%w: %q", ErrInUse, dir)
}

// tail returns the last lines of the engine's output, for an error.
func tail(path string) string {
	const most = 1000
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if len(text) > most {
		text = text[len(text)-most:]
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	return strings.TrimSpace(string(text))
}
