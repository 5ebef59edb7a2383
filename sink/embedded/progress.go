package embedded

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress counts the bytes written to it.
type progress interface {
	io.WriteCloser
	Set64(int64) error
}

// newProgress shows a bar on a terminal, and what begins as a line elsewhere.
func newProgress(w io.Writer, what string, size int64) progress {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(w, "%s (%s)\n", what, megabytes(size))
		return silent{}
	}
	if size <= 0 {
		size = -1 // a spinner
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(w) }),
	)
}

func megabytes(size int64) string {
	if size <= 0 {
		return "size unknown"
	}
	return fmt.Sprintf("%d MB", size/1e6)
}

type silent struct{}

func (silent) Write(p []byte) (int, error) { return len(p), nil }
func (silent) Set64(int64) error           { return nil }
func (silent) Close() error                { return nil }

// watch shows how a folder grows to size, until stop is called.
func watch(w io.Writer, what string, size int64, dir string) (stop func()) {
	bar := newProgress(w, what, size)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				bar.Close()
				return
			case <-tick.C:
				have := folderSize(dir)
				if size > 0 {
					// The client may keep a copy for a moment.
					have = min(have, size)
				}
				_ = bar.Set64(have) // a bar that cannot be drawn is no reason to stop
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func folderSize(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // gone again since it was listed
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
