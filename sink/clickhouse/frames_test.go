package clickhouse

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
)

func TestFrames(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for name, method := range methods {
		for _, sizes := range [][]int{
			{},
			{0},
			{1},
			{frameSize - 1},
			{frameSize},
			{frameSize + 1},
			{10, frameSize, 10},
			{frameSize / 2, 3 * frameSize, 7, frameSize - 1, 1},
		} {
			var out, want bytes.Buffer
			f := newFrames(&out, method)
			for i, size := range sizes {
				p := make([]byte, size)
				if i%2 == 0 { // what does not compress, too
					random.Read(p)
				}
				want.Write(p)
				if n, err := f.Write(p); n != size || err != nil {
					t.Fatalf("%s %v: wrote %d, %v", name, sizes, n, err)
				}
			}
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, want.Len())
			r := compress.NewReader(&out)
			if _, err := io.ReadFull(r, got); err != nil && want.Len() > 0 {
				t.Fatalf("%s %v: %v", name, sizes, err)
			}
			if !bytes.Equal(got, want.Bytes()) || out.Len() > 0 {
				t.Errorf("%s %v: other bytes came out, %d are left", name, sizes, out.Len())
			}
		}
	}
}

func TestFramesReportWriteErrors(t *testing.T) {
	broken := errors.New("broken")
	f := newFrames(writerFunc(func([]byte) (int, error) { return 0, broken }), compress.LZ4)
	if _, err := f.Write(make([]byte, 2*frameSize)); !errors.Is(err, broken) {
		t.Errorf("write: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
