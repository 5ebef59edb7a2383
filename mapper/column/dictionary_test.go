package column

import (
	"fmt"
	"testing"
)

// The dictionary numbers strings as a map would, while it grows and after it
// was emptied.
func TestDictionary(t *testing.T) {
	d := newDictionary()
	for range 2 {
		numbers := map[string]uint32{}
		for i := range 20_000 {
			v := fmt.Sprint((i * i) % 5_003)
			want, known := numbers[v]
			if !known {
				want = uint32(len(numbers))
				numbers[v] = want
			}
			if got := d.number([]byte(v)); got != want {
				t.Fatalf("%q has number %d, want %d", v, got, want)
			}
			if got := string(d.at(int(want))); got != v {
				t.Fatalf("string %d is %q, want %q", want, got, v)
			}
		}
		d.reset()
	}
}

// A block's dictionary does not hold the strings of the block before.
func TestDictionaryEndsWithItsBlock(t *testing.T) {
	for _, typ := range []string{"LowCardinality(String)", "LowCardinality(Nullable(String))"} {
		c := newTest(t, typ)
		empty := c.Size()
		for i := range 1000 {
			if err := put(c, isBytes(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		c.Reset()
		if c.Size() != empty {
			t.Errorf("%s: an empty column holds %d bytes, a new one %d", typ, c.Size(), empty)
		}
		other := newTest(t, typ)
		if put(c, isBytes("7")) != nil || put(other, isBytes("7")) != nil {
			t.Fatal("a string does not fit")
		}
		if got, want := native(t, c.Input()), native(t, other.Input()); string(got) != string(want) {
			t.Errorf("%s: sends %x, want %x", typ, got, want)
		}
	}
}
