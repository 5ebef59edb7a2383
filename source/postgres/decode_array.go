package postgres

import (
	"encoding/binary"
	"errors"

	"github.com/millrace/millrace/source"
)

// ArrayShape is the misfit of an array that has not as many dimensions as its
// column declares, which Postgres allows. An empty array stands for it.
var ArrayShape = &source.Misfit{Reason: "has other dimensions than the column declares"}

// maxDims is Postgres' MAXDIM.
const maxDims = 6

// array decodes arrays of one element type. Manual: "Arrays". A decoder is
// either for text or for binary elements.
type array struct {
	elem  source.Decode
	dims  int  // declared
	delim byte // text only
}

// misfits remembers the first misfit of an array's elements.
type misfits struct{ first *source.Misfit }

// pass returns err unless it is a misfit: then a value has been appended, and
// the array goes on.
func (m *misfits) pass(err error) error {
	if err == nil {
		return nil
	}
	misfit, ok := errors.AsType[*source.Misfit](err)
	if !ok {
		return err
	}
	if m.first == nil {
		m.first = misfit
	}
	return nil
}

func (m *misfits) err() error {
	if m.first == nil {
		return nil
	}
	return m.first
}

// otherShape appends what stands for an array of other dimensions.
func otherShape(to source.Appender) error {
	if _, err := to.List(0); err != nil {
		return err
	}
	return ArrayShape
}

// decodeBinary reads what array_send (src/backend/utils/adt/arrayfuncs.c)
// writes, big-endian:
//
//	int32 ndim | int32 has NULLs | uint32 element type
//	ndim × (int32 size | int32 lower bound)
//	per element, the last dimension running fastest: int32 length, -1: NULL | bytes
//
// The element type is the column's; bounds are not kept.
func (a *array) decodeBinary(cell []byte, to source.Appender) error {
	const header, perDim = 12, 8
	if len(cell) < header {
		return malformed("array")
	}
	ndim := binary.BigEndian.Uint32(cell)
	if ndim > maxDims || len(cell) < header+perDim*int(ndim) {
		return malformed("array")
	}
	body := cell[header+perDim*int(ndim):]
	var sizes [maxDims]int
	count := 1
	for i := range int(ndim) {
		sizes[i] = int(binary.BigEndian.Uint32(cell[header+perDim*i:]))
		// Each element takes four bytes at least, so this holds count down.
		if count *= sizes[i]; count > len(body)/4 {
			return malformed("array")
		}
	}
	switch {
	case ndim == 0 || count == 0:
		if len(body) > 0 {
			return malformed("array")
		}
		_, err := to.List(0)
		return err
	case int(ndim) != a.dims:
		return otherShape(to)
	}
	var m misfits
	rest, err := a.binaryList(body, sizes[:ndim], to, &m)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return malformed("array")
	}
	return m.err()
}

// binaryList appends the array that b starts with.
func (a *array) binaryList(b []byte, sizes []int, to source.Appender, m *misfits) (rest []byte, err error) {
	list, err := to.List(sizes[0])
	if err != nil {
		return nil, err
	}
	for range sizes[0] {
		if len(sizes) > 1 {
			b, err = a.binaryList(b, sizes[1:], list, m)
		} else {
			b, err = a.binaryElem(b, list, m)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (a *array) binaryElem(b []byte, to source.Appender, m *misfits) (rest []byte, err error) {
	if len(b) < 4 {
		return nil, malformed("array")
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	b = b[4:]
	switch {
	case n == -1:
		return b, m.pass(to.Null())
	case n < 0 || n > len(b):
		return nil, malformed("array")
	}
	return b[n:], m.pass(a.elem(b[:n], to))
}
