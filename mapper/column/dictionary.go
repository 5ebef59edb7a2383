package column

import (
	"bytes"
	"hash/maphash"
)

// minSlots is a dictionary's first number of slots, a power of two.
const minSlots = 64

// dictionary numbers distinct strings in the order in which they come. It is a
// hash table with open addressing over one buffer, so that neither a known
// string nor, once it has grown, a new one allocates.
type dictionary struct {
	texts
	seed  maphash.Seed
	slots []slot // a power of two, at most three quarters of them taken
}

type slot struct {
	hash  uint32
	entry uint32 // 1 + the string's number; 0 in a free slot
}

func newDictionary() dictionary {
	return dictionary{seed: maphash.MakeSeed(), slots: make([]slot, minSlots)}
}

// number returns the number of v, which it adds when it is new.
func (d *dictionary) number(v []byte) uint32 {
	hash := uint32(maphash.Bytes(d.seed, v))
	mask := uint32(len(d.slots) - 1)
	i := hash & mask
	for ; d.slots[i].entry != 0; i = (i + 1) & mask {
		if s := d.slots[i]; s.hash == hash && bytes.Equal(d.at(int(s.entry-1)), v) {
			return s.entry - 1
		}
	}
	d.add(v)
	d.slots[i] = slot{hash: hash, entry: uint32(len(d.ends))}
	if 4*len(d.ends) > 3*len(d.slots) {
		d.grow()
	}
	return uint32(len(d.ends) - 1)
}

func (d *dictionary) grow() {
	old := d.slots
	d.slots = make([]slot, 2*len(old))
	for _, s := range old {
		if s.entry != 0 {
			d.place(s)
		}
	}
}

func (d *dictionary) place(s slot) {
	mask := uint32(len(d.slots) - 1)
	i := s.hash & mask
	for d.slots[i].entry != 0 {
		i = (i + 1) & mask
	}
	d.slots[i] = s
}

// index makes the strings from number first on known, after they were decoded.
func (d *dictionary) index(first int) {
	for n := first; n < len(d.ends); n++ {
		if 4*(n+1) > 3*len(d.slots) {
			d.grow()
		}
		d.place(slot{hash: uint32(maphash.Bytes(d.seed, d.at(n))), entry: uint32(n + 1)})
	}
}

func (d *dictionary) reset() {
	d.texts.reset()
	clear(d.slots)
}
