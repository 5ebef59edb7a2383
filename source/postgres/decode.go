package postgres

import (
	"sync"

	"github.com/millrace/millrace/source"
)

// malformed is the error of a cell whose bytes are not a value of the type
// that it names. It does not show them, since they may be secret.
type malformed string

func (m malformed) Error() string { return "malformed " + string(m) }

// scratch is memory for one value on its way into an Appender. Whatever goes
// through the interface would otherwise be allocated for each value. It is
// pooled because any number of goroutines may use a decoder.
type scratch struct {
	num source.Number
	buf []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is the largest buffer that waits for another value.
const maxScratch = 1 << 20

func newScratch() *scratch { return scratches.Get().(*scratch) }

// free gives s back, once the Appender has returned.
func (s *scratch) free() {
	if cap(s.buf) > maxScratch {
		s.buf = nil
	}
	scratches.Put(s)
}
