package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/millrace/millrace/source"
)

// packageVersion is the release of the library that this build runs with.
const packageVersion = "26.7.3-stable.1"

// A pkg is an npm package that holds the library for one platform.
type pkg struct {
	name      string
	integrity string // as npm writes it; "" asks npm for it
	size      int64  // of the archive, for the progress bar; 0 when unknown
}

var packages = map[string]pkg{
	"linux/amd64": {
		name:      "@chdb/lib-linux-x64-gnu",
		integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		size:      177817999,
	},
	"linux/arm64": {name: "@chdb/lib-linux-arm64-gnu"},
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Fetch gets the library with the npm client, checks it and unpacks it into
// the cache, where [Locate] finds it. It reports progress to w: a bar on a
// terminal, lines elsewhere. A library that is there already is left alone.
func Fetch(ctx context.Context, w io.Writer) error {
	p, ok := packages[platform()]
	if !ok {
		return source.WithHint(fmt.Errorf("fetch ClickHouse: no library for %s", platform()), hint())
	}
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, libraryName)); err == nil {
		fmt.Fprintf(w, "ClickHouse %s is in %s already\n", packageVersion, dir)
		return nil
	}
	if err := fetch(ctx, w, p, dir, npm{}); err != nil {
		return fmt.Errorf("fetch ClickHouse: %w", err)
	}
	return nil
}

// A registry gets packages.
type registry interface {
	// Integrity returns the checksum that the registry states.
	Integrity(ctx context.Context, spec string) (string, error)
	// Pack writes the archive into dir and returns its path. What it has got
	// so far stands somewhere in dir.
	Pack(ctx context.Context, spec, dir string) (string, error)
}

// fetch fills dir, which appears complete or not at all.
func fetch(ctx context.Context, w io.Writer, p pkg, dir string, r registry) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()

	spec := p.name + "@" + packageVersion
	if p.integrity == "" {
		if p.integrity, err = r.Integrity(ctx, spec); err != nil {
			return err
		}
	}
	download := filepath.Join(temp, "download")
	if err := os.Mkdir(download, 0o750); err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	stop := watch(w, "fetch "+spec, p.size, download)
	archive, err := r.Pack(ctx, spec, download)
	stop()
	if err != nil {
		return err
	}
	fresh := filepath.Join(temp, "library")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	if err := unpack(ctx, w, archive, p.integrity, fresh); err != nil {
		return fmt.Errorf("unpack %s: %w", spec, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return fmt.Errorf("put the library in place: %w", err)
	}
	fmt.Fprintf(w, "ClickHouse %s is in %s\n", packageVersion, dir)
	return nil
}

// npm is the user's npm client with the user's settings: registry, proxy and
// certificates are theirs.
type npm struct{}

func (n npm) Integrity(ctx context.Context, spec string) (string, error) {
	return n.run(ctx, "", "view", spec, "dist.integrity")
}

func (n npm) Pack(ctx context.Context, spec, dir string) (string, error) {
	// A cache of its own: the archive is fetched once, and kept unpacked.
	name, err := n.run(ctx, dir, "pack", spec, "--silent", "--cache", filepath.Join(dir, "npm"))
	if err != nil {
		return "", err
	}
	lines := strings.Fields(name)
	if len(lines) == 0 {
		return "", fmt.Errorf("npm pack %s: no archive named", spec)
	}
	return filepath.Join(dir, filepath.Base(lines[len(lines)-1])), nil
}

func (npm) run(ctx context.Context, dir string, args ...string) (string, error) {
	var output, errs strings.Builder
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &output, &errs
	err := cmd.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", source.WithHint(err, "install npm (it comes with Node.js), or ClickHouse so that `clickhouse` is on PATH")
	case err != nil:
		return "", fmt.Errorf("npm %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(output.String()), nil
}
