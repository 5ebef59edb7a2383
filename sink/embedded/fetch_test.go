package embedded

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

// archive is an npm package with these files.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func integrity(b []byte) string {
	sum := sha512.Sum512(b)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// local is a registry with one package.
type local struct {
	archive []byte
	states  string // what it says the checksum is
	err     error
}

func (l local) Integrity(context.Context, string) (string, error) { return l.states, l.err }

func (l local) Pack(_ context.Context, _, dir string) (string, error) {
	path := filepath.Join(dir, "package.tgz")
	return path, errors.Join(l.err, os.WriteFile(path, l.archive, 0o600))
}

func TestFetch(t *testing.T) {
	good := archive(t, map[string]string{"package/libchdb.so": "the library", "package/index.js": "x"})
	empty := archive(t, map[string]string{"package/index.js": "x"})
	offline := errors.New("no network")
	cases := []struct {
		name     string
		pinned   string
		registry local
		want     error
		text     string // of an error that is nobody's
	}{
		{name: "pinned", pinned: integrity(good), registry: local{archive: good}},
		{name: "stated", registry: local{archive: good, states: integrity(good)}},
		{name: "another package", pinned: integrity(good), registry: local{archive: empty, states: integrity(empty)}, want: ErrIntegrity},
		{name: "not as stated", registry: local{archive: good, states: integrity(empty)}, want: ErrIntegrity},
		{name: "nothing stated", registry: local{archive: good}, want: ErrIntegrity},
		{name: "cut short", pinned: integrity(good), registry: local{archive: good[:len(good)-1]}, want: ErrIntegrity},
		{name: "no library", pinned: integrity(empty), registry: local{archive: empty}, text: "no libchdb.so"},
		{name: "no network", pinned: integrity(good), registry: local{err: offline}, want: offline},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, "millrace", "chdb")
			var out strings.Builder
			err := fetch(t.Context(), &out, pkg{name: "p", integrity: c.pinned}, dir, c.registry)
			left, _ := os.ReadDir(filepath.Dir(dir))
			if c.want != nil || c.text != "" {
				if c.want != nil && !errors.Is(err, c.want) || err == nil || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want %v %s", err, c.want, c.text)
				}
				if len(left) > 0 {
					t.Errorf("%v is left behind", left)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, libraryName)); string(got) != "the library" {
				t.Errorf("the library is %q, %v", got, err)
			}
			if files, _ := os.ReadDir(dir); len(files) != 1 || len(left) != 1 {
				t.Errorf("more than the library is there: %v, %v", files, left)
			}
			if !strings.Contains(out.String(), dir) {
				t.Errorf("%q does not say where it is", out.String())
			}
		})
	}
}

func TestFetchStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	good := archive(t, map[string]string{"package/libchdb.so": "the library"})
	dir := filepath.Join(t.TempDir(), "chdb")
	err := fetch(ctx, &strings.Builder{}, pkg{integrity: integrity(good)}, dir, local{archive: good})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLocateSaysHowToGetAnEngine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := Locate()
	var hinted *source.HintError
	if !errors.Is(err, ErrNoEngine) || !errors.As(err, &hinted) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(hinted.Hint, "millrace clickhouse --fetch") || !strings.Contains(hinted.Hint, "PATH") {
		t.Errorf("the hint is %q", hinted.Hint)
	}
	if _, err := Start(t.Context(), Config{Dir: t.TempDir()}); !errors.Is(err, ErrNoEngine) {
		t.Errorf("Start: got %v", err)
	}
}
