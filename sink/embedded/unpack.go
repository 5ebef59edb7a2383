package embedded

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// ErrIntegrity is matched by the error of [Fetch] when what came is not what
// was asked for.
var ErrIntegrity = errors.New("checksum does not match")

// unpack checks the archive, then takes the library alone out of it. Nothing
// is written before the whole archive has passed.
func unpack(ctx context.Context, w io.Writer, archive, integrity, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, contextReader{ctx, f}); err != nil {
		return err
	}
	have := "sha512-" + base64.StdEncoding.EncodeToString(sum.Sum(nil))
	if subtle.ConstantTimeCompare([]byte(have), []byte(integrity)) == 0 {
		return fmt.Errorf("%w: got %s, want %s", ErrIntegrity, have, integrity)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	z, err := gzip.NewReader(contextReader{ctx, f})
	if err != nil {
		return err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("no %s in the archive", libraryName)
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == libraryName {
			return extract(w, t, h.Size, filepath.Join(dir, libraryName))
		}
	}
}

func extract(w io.Writer, r io.Reader, size int64, to string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	bar := newProgress(w, "unpack "+libraryName, size)
	_, err = io.Copy(io.MultiWriter(f, bar), r)
	bar.Close()
	return errors.Join(err, f.Sync(), f.Close())
}

// A contextReader stops reading when its context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
