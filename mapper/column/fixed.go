package column

import (
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"
)

// storage is a pointer to one of ch-go's columns that are slices.
type storage[C any] interface {
	*C
	proto.Column
}

// fixed stores values of one size in the ch-go column C, a []T.
type fixed[C ~[]T, T comparable, P storage[C]] struct {
	items C
	canon func(T) T // of values that sort as equal, the one for the key; or nil
}

func (f *fixed[C, T, P]) add(v T) { f.items = append(f.items, v) }

func (f *fixed[C, T, P]) settle(rows int) error {
	if len(f.items) != rows+1 {
		return errCount
	}
	return nil
}

func (f *fixed[C, T, P]) zero() {
	var zero T
	f.items = append(f.items, zero)
}

func (f *fixed[C, T, P]) truncate(rows int) { f.items = f.items[:rows] }
func (f *fixed[C, T, P]) reset()            { f.items = f.items[:0] }

func (f *fixed[C, T, P]) size() int {
	var item T
	return len(f.items) * int(unsafe.Sizeof(item))
}

func (f *fixed[C, T, P]) key(dst []byte, row int) []byte {
	v := f.items[row]
	if f.canon != nil {
		v = f.canon(v)
	}
	// No T has padding, so that equal values are equal bytes.
	return append(dst, unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v))...) // #nosec G103
}

func (f *fixed[C, T, P]) copyFrom(src values, row int) {
	f.items = append(f.items, src.(*fixed[C, T, P]).items[row])
}

func (f *fixed[C, T, P]) encode(b *proto.Buffer) { P(&f.items).EncodeColumn(b) }
func (f *fixed[C, T, P]) write(w *proto.Writer)  { P(&f.items).WriteColumn(w) }

func (f *fixed[C, T, P]) decode(r *proto.Reader, rows int) error {
	return inChunks(rows, func(n int) error { return P(&f.items).DecodeColumn(r, n) })
}

// inChunks reads rows in parts, so that a false count costs no more memory than
// what arrives.
func inChunks(rows int, read func(n int) error) error {
	const chunk = 1 << 16
	for ; rows > 0; rows -= chunk {
		if err := read(min(rows, chunk)); err != nil {
			return err
		}
	}
	return nil
}
