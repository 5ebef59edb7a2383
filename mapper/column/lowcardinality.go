package column

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/ClickHouse/ch-go/proto"
)

// The words of LowCardinality's serialization, from ClickHouse's
// SerializationLowCardinality.cpp.
const (
	sharedDictionaries = 1 // the prefix: the only version there is

	widthFlag  = 0xFF    // log2 of a number's width in bytes
	globalFlag = 1 << 8  // the dictionary is elsewhere; never over a connection
	ownFlag    = 1 << 9  // the block brings its dictionary
	updateFlag = 1 << 10 // which is another one than the block before had
)

// numbered stores strings as numbers of a dictionary, which lasts until the
// next reset. A block is sent as
//
//	UInt64 flags | UInt64 n | n strings | UInt64 rows | rows × UInt8, 16 or 32
//
// In a nullable column string 0 stands for NULL.
type numbered struct {
	nullable bool
	dict     dictionary
	numbers  []uint32
}

// lowCardinality takes strings of any bytes.
type lowCardinality struct {
	refusal
	numbered
}

func newLowCardinality(typ string, nullable bool) *Column {
	l := &lowCardinality{
		refusal:  refusal(typ),
		numbered: numbered{nullable: nullable, dict: newDictionary()},
	}
	l.reset()
	c := newColumn(typ, l, &l.numbered)
	c.nullable = nullable
	return c
}

func (l *lowCardinality) Bytes(v []byte) error {
	l.numbers = append(l.numbers, l.dict.number(v))
	return nil
}

func (l *lowCardinality) Null() error {
	if !l.nullable {
		return ErrNull
	}
	l.numbers = append(l.numbers, 0)
	return nil
}

func (n *numbered) settle(rows int) error {
	if len(n.numbers) != rows+1 {
		return errCount
	}
	return nil
}

func (n *numbered) zero() { n.numbers = append(n.numbers, n.dict.number(nil)) }

// truncate leaves strings in the dictionary that no row refers to any more,
// which the server puts up with.
func (n *numbered) truncate(rows int) { n.numbers = n.numbers[:rows] }

func (n *numbered) reset() {
	n.numbers = n.numbers[:0]
	n.dict.reset()
	if n.nullable {
		n.dict.add(nil)
	}
}

func (n *numbered) size() int { return 4*len(n.numbers) + n.dict.size() }

func (n *numbered) key(dst []byte, row int) []byte {
	number := n.numbers[row]
	if n.nullable {
		if number == 0 {
			return append(dst, 1)
		}
		dst = append(dst, 0)
	}
	return n.dict.key(dst, int(number))
}

func (n *numbered) copyFrom(src values, row int) {
	from := src.(*numbered)
	number := from.numbers[row]
	if from != n && !(n.nullable && number == 0) {
		number = n.dict.number(from.dict.at(int(number)))
	}
	n.numbers = append(n.numbers, number)
}

func (n *numbered) encodeState(b *proto.Buffer) { b.PutUInt64(sharedDictionaries) }

func (n *numbered) decodeState(r *proto.Reader) error {
	version, err := r.UInt64()
	if err != nil {
		return fmt.Errorf("version of LowCardinality's serialization: %w", err)
	}
	if version != sharedDictionaries {
		return fmt.Errorf("version %d of LowCardinality's serialization is unknown", version)
	}
	return nil
}

// width is log2 of the bytes of a number.
func (n *numbered) width() uint64 {
	switch last := len(n.dict.ends) - 1; {
	case last <= math.MaxUint8:
		return 0
	case last <= math.MaxUint16:
		return 1
	}
	return 2
}

func (n *numbered) encode(b *proto.Buffer) {
	if len(n.numbers) == 0 {
		return
	}
	n.encodeHead(b)
	n.dict.encode(b)
	n.encodeNumbers(b)
}

func (n *numbered) write(w *proto.Writer) {
	if len(n.numbers) == 0 {
		return
	}
	w.ChainBuffer(n.encodeHead)
	n.dict.write(w)
	w.ChainBuffer(n.encodeNumbers)
}

func (n *numbered) encodeHead(b *proto.Buffer) {
	b.PutUInt64(n.width() | ownFlag | updateFlag)
	b.PutUInt64(uint64(len(n.dict.ends)))
}

func (n *numbered) encodeNumbers(b *proto.Buffer) {
	b.PutUInt64(uint64(len(n.numbers)))
	switch n.width() {
	case 0:
		for _, v := range n.numbers {
			b.Buf = append(b.Buf, uint8(v))
		}
	case 1:
		for _, v := range n.numbers {
			b.Buf = binary.LittleEndian.AppendUint16(b.Buf, uint16(v))
		}
	default:
		for _, v := range n.numbers {
			b.Buf = binary.LittleEndian.AppendUint32(b.Buf, v)
		}
	}
}

func (n *numbered) decode(r *proto.Reader, rows int) error {
	if rows == 0 {
		return nil
	}
	flags, err := r.UInt64()
	if err != nil {
		return fmt.Errorf("flags: %w", err)
	}
	if flags&globalFlag != 0 || flags&ownFlag == 0 {
		return fmt.Errorf("flags %#x mean a dictionary outside the block", flags)
	}
	if err := n.decodeDictionary(r); err != nil {
		return err
	}
	return n.decodeNumbers(r, flags&widthFlag, rows)
}

func (n *numbered) decodeDictionary(r *proto.Reader) error {
	count, err := r.UInt64()
	if err != nil {
		return fmt.Errorf("length of the dictionary: %w", err)
	}
	if count > math.MaxInt32 {
		return fmt.Errorf("dictionary of %d strings is too long", count)
	}
	n.dict.texts.reset()
	if err := n.dict.decode(r, int(count)); err != nil {
		return fmt.Errorf("dictionary: %w", err)
	}
	first := 0
	if n.nullable {
		first = 1
	}
	n.dict.index(first)
	return nil
}

func (n *numbered) decodeNumbers(r *proto.Reader, width uint64, rows int) error {
	count, err := r.UInt64()
	if err != nil {
		return fmt.Errorf("count of numbers: %w", err)
	}
	if count != uint64(rows) {
		return fmt.Errorf("%d numbers for %d rows", count, rows)
	}
	if width > 3 {
		return fmt.Errorf("numbers of unknown width %d", width)
	}
	return inChunks(rows, func(part int) error { return n.decodePart(r, 1<<width, part) })
}

func (n *numbered) decodePart(r *proto.Reader, size, rows int) error {
	raw, err := r.ReadRaw(rows * size)
	if err != nil {
		return fmt.Errorf("numbers: %w", err)
	}
	var word [8]byte
	for ; len(raw) > 0; raw = raw[size:] {
		copy(word[:], raw[:size])
		v := binary.LittleEndian.Uint64(word[:])
		if v >= uint64(len(n.dict.ends)) {
			return fmt.Errorf("number %d in a dictionary of %d strings", v, len(n.dict.ends))
		}
		n.numbers = append(n.numbers, uint32(v))
	}
	return nil
}
