package mapper

import (
	"strings"

	"github.com/millrace/millrace/source"
)

// A Letter tells of a value that its column could not hold exactly: a dead
// letter, since something else was delivered in its place.
type Letter struct {
	Table   string // source name
	Column  string // source name
	Key     string // of the row, as the source writes it
	Value   string // as the source writes it
	Reason  string
	Version uint64
	Time    int64 // of the transaction, µs since 1970; 0 in a snapshot
	row     int
}

// keepLetter notes that a cell of the row being added did not fit.
func (b *Block) keepLetter(i int, cell source.Cell, r *source.Row, m *source.Misfit) {
	row := r.New
	if len(row) == 0 {
		row = r.Old
	}
	key := make([]source.Cell, len(b.Plan.Source.Key))
	for n, k := range b.Plan.Source.Key {
		key[n] = row[k]
	}
	b.addLetter(i, cell, key, m, Letter{Version: b.epoch | r.Version, Time: r.Time, row: b.rows})
}

// addLetter completes a letter about a cell of field i and keeps it; key has a
// cell for each of the source's key columns.
func (b *Block) addLetter(i int, cell source.Cell, key []source.Cell, m *source.Misfit, l Letter) {
	t := b.Plan.Source
	texts := make([]string, len(key))
	for n, k := range key {
		texts[n] = t.Columns[t.Key[n]].Tell(k)
	}
	c := &t.Columns[b.fields[i].from]
	l.Table, l.Column, l.Reason = t.String(), c.Name, m.Reason
	l.Key, l.Value = strings.Join(texts, ", "), c.Tell(cell)
	b.letters = append(b.letters, l)
	b.bytes += len(l.Key) + len(l.Value)
}

// Letters returns the values of the block that did not fit. They are valid
// until the block is reset.
func (b *Block) Letters() []Letter { return b.letters }
