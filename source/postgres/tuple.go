package postgres

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/source"
)

var errShort = errors.New("message ends too early")

// A reader takes the fields of a message one after the other. Once a field is
// missing, short is set and all others are zero. Integers are big endian.
type reader struct {
	data  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.short, r.data = true, nil
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) int16() int {
	if b := r.take(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// string takes a zero-terminated string.
func (r *reader) string() string {
	for i, c := range r.data {
		if c == 0 {
			s := string(r.data[:i])
			r.data = r.data[i+1:]
			return s
		}
	}
	r.short, r.data = true, nil
	return ""
}

func (r *reader) err() error {
	if r.short {
		return errShort
	}
	return nil
}

// tuple takes a TupleData (manual: "Logical Replication Message Formats") into
// cells, which are views of the message:
//
//	int16  number of columns
//	each:  byte 'n' NULL | 'u' unchanged TOAST | 't' text | 'b' binary
//	       of 't' and 'b': int32 length, bytes
//
// order maps the relation's columns to cells; nil is the identity.
func (r *reader) tuple(cells []source.Cell, order []int) error {
	n := r.int16()
	if !r.short && n != len(cells) {
		return fmt.Errorf("tuple of %d columns for a relation of %d", n, len(cells))
	}
	for i := range n {
		at := i
		if order != nil {
			at = order[i]
		}
		cell := &cells[at]
		switch kind := r.byte(); kind {
		case 't':
			cell.Kind, cell.Bytes = source.Text, r.take(int(int32(r.uint32())))
		case 'b':
			cell.Kind, cell.Bytes = source.Binary, r.take(int(int32(r.uint32())))
		case 'n':
			cell.Kind, cell.Bytes = source.Null, nil
		case 'u':
			cell.Kind, cell.Bytes = source.Unchanged, nil
		default:
			if r.short {
				return errShort
			}
			return fmt.Errorf("column %d of a tuple has the unknown form %q", i, kind)
		}
	}
	return r.err()
}
