package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/millrace/millrace/source"
)

// ErrNoEngine is matched by the error of [Locate] when there is no ClickHouse
// to run.
var ErrNoEngine = errors.New("no ClickHouse engine found")

const (
	binaryName   = "clickhouse"
	libraryName  = "libchdb.so"
	launcherName = "clickhouse-launcher"
)

// An Engine is a program that takes the command line of `clickhouse local`.
type Engine struct {
	Path string   // the executable
	Args []string // what stands before the flags
}

// Locate finds the engine: a `clickhouse` binary on PATH, else the library in
// the cache. The error has a hint that names both ways to get one.
func Locate() (Engine, error) {
	if path, err := exec.LookPath(binaryName); err == nil {
		return Engine{Path: path, Args: []string{"local"}}, nil
	}
	dir, err := cacheDir()
	if err != nil {
		return Engine{}, err
	}
	_, err = os.Stat(filepath.Join(dir, libraryName))
	if errors.Is(err, fs.ErrNotExist) {
		return Engine{}, source.WithHint(ErrNoEngine, hint())
	}
	if err != nil {
		return Engine{}, fmt.Errorf("look for the ClickHouse library: %w", err)
	}
	path := filepath.Join(dir, launcherName)
	if err := writeLauncher(path); err != nil {
		return Engine{}, err
	}
	return Engine{Path: path}, nil
}

func hint() string {
	if _, ok := packages[platform()]; !ok {
		return "install ClickHouse so that `clickhouse` is on PATH"
	}
	return "run `millrace clickhouse --fetch`, or install ClickHouse so that `clickhouse` is on PATH"
}

// cacheDir is where the library of the version that this build knows lives.
func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "millrace", "chdb-"+packageVersion), nil
}

// writeLauncher puts the launcher beside the library, if it is not there yet.
func writeLauncher(path string) error {
	want, err := launcher(runtime.GOARCH)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, want) {
		return nil
	}
	// Renamed into place, as another process may be running the old one.
	f, err := os.CreateTemp(filepath.Dir(path), launcherName+".*")
	if err != nil {
		return fmt.Errorf("write the engine's launcher: %w", err)
	}
	_, err = f.Write(want)
	err = errors.Join(err, f.Chmod(0o755), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the engine's launcher: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
