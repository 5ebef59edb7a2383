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
	t := b.Plan.Source
	row := r.New
	if len(row) == 0 {
		row = r.Old
	}
	var key []string
	for _, k := range t.Key {
		key = append(key, t.Columns[k].Tell(row[k]))
	}
	c := &t.Columns[b.fields[i].from]
	l := Letter{
		Table: t.String(), Column: c.Name, Key: strings.Join(key, ", "), Value: c.Tell(cell),
		Reason: m.Reason, Version: b.epoch | r.Version, Time: r.Time, row: b.rows,
	}
	b.letters = append(b.letters, l)
	b.bytes += len(l.Key) + len(l.Value)
}

// Letters returns the values of the block that did not fit. They are valid
// until the block is reset.
func (b *Block) Letters() []Letter { return b.letters }
