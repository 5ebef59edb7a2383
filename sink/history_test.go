package sink_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/millrace/millrace/source"
)

// A value is what a row holds beside its key.
type value struct {
	n   int64
	big string
	// toasted values are not in the log where they did not change.
	toasted bool
}

// A state is a table's rows by key.
type state map[int64]value

// A history is what happens to one table: a copy, and the log from a place
// that is not behind the copy.
type history struct {
	table    *source.Table
	states   []state // states[i] is the table after i transactions
	log      [][]source.Row
	snapshot []storedRow
	copied   int // the copy saw this many transactions, no more
}

// The keys of a history's rows.
var keys = []int64{1, 2, 3}

// A teller makes up histories.
type teller struct {
	*rand.Rand
	table  *source.Table
	values int // made so far
}

func (r *teller) oneIn(n int) bool { return r.IntN(n) == 0 }

func (r *teller) value() value {
	r.values++
	v := value{n: int64(r.values), big: fmt.Sprintf("big%d", r.values), toasted: !r.oneIn(5)}
	if r.oneIn(8) {
		v.big, v.toasted = isNull, false
	}
	return v
}

// tell makes up a history of some transactions.
func (r *teller) tell(transactions int) *history {
	now := make(state)
	for _, key := range keys {
		if r.oneIn(2) {
			now[key] = r.value()
		}
	}
	h := &history{table: r.table, states: []state{maps.Clone(now)}}
	touched := make([]map[int64]bool, 0, transactions) // keys, by transaction
	emptied := -1
	for i := range transactions {
		var rows []source.Row
		for range 1 + r.IntN(4) {
			rows = append(rows, r.change(now)...)
		}
		keys := make(map[int64]bool)
		for j := range rows {
			rows[j].Table, rows[j].Version = r.table, uint64(i+1)*10
			if rows[j].Op == source.Truncate {
				emptied = i
			}
			for _, cells := range [][]source.Cell{rows[j].Old, rows[j].New} {
				if len(cells) > 0 {
					keys[key(cells[0])] = true
				}
			}
		}
		touched = append(touched, keys)
		h.log, h.states = append(h.log, rows), append(h.states, maps.Clone(now))
	}
	r.copy(h, touched, emptied)
	return h
}

func key(c source.Cell) (n int64) {
	fmt.Sscan(string(c.Bytes), &n)
	return n
}

// change makes up a statement and applies it to now.
func (r *teller) change(now state) []source.Row {
	at := keys[r.IntN(len(keys))]
	was, ok := now[at]
	if !ok {
		v := r.value()
		now[at] = v
		return []source.Row{{Op: source.Insert, New: []source.Cell{number(at), number(v.n), cell(v)}}}
	}
	switch dice := r.IntN(20); {
	case dice == 0:
		clear(now)
		return []source.Row{{Op: source.Truncate}}
	case dice < 4:
		delete(now, at)
		return []source.Row{{Op: source.Delete, Old: []source.Cell{number(at), absent(), absent()}}}
	case dice < 11:
		return []source.Row{r.update(now, at, at)}
	}
	var free, taken []int64
	for _, k := range keys {
		if _, ok := now[k]; !ok {
			free = append(free, k)
		} else if k != at {
			taken = append(taken, k)
		}
	}
	switch {
	case len(free) == 0:
		return []source.Row{r.update(now, at, at)}
	case len(taken) > 0 && was.toasted && r.oneIn(2):
		other := taken[r.IntN(len(taken))]
		return []source.Row{r.update(now, at, free[0]), r.update(now, other, at), r.update(now, free[0], other)}
	}
	return []source.Row{r.update(now, at, free[r.IntN(len(free))])}
}

// update changes a row, and perhaps its key and its big value.
func (r *teller) update(now state, from, to int64) source.Row {
	v := now[from]
	big := unchanged()
	if !v.toasted {
		big = cell(v)
	}
	r.values++
	v.n = int64(r.values)
	if r.oneIn(4) {
		v = r.value()
		big = cell(v)
	}
	delete(now, from)
	now[to] = v
	row := source.Row{Op: source.Update, New: []source.Cell{number(to), number(v.n), big}}
	if from != to {
		row.Old = []source.Cell{number(from), absent(), absent()}
	}
	return row
}

func cell(v value) source.Cell {
	if v.big == isNull {
		return null()
	}
	return text(v.big)
}

// copy makes up the rows of the copy: of the state where the log begins; of a
// later one, as when a table joins a stream; or of two, as when a copy was cut
// off and rows moved between the chunks meanwhile.
func (r *teller) copy(h *history, touched []map[int64]bool, emptied int) {
	switch r.IntN(4) {
	case 0:
		h.copied = r.IntN(len(h.states))
	case 1:
		h.copied = r.IntN(len(h.states))
		first := r.IntN(h.copied + 1)
		if emptied < h.copied {
			first = max(first, emptied+1) // a table that was emptied is copied anew
		}
		h.copyTwice(r, first, touched)
		return
	}
	for _, key := range keys {
		h.copyRow(key, h.copied)
	}
}

func (h *history) copyRow(key int64, at int) {
	if v, ok := h.states[at][key]; ok {
		h.snapshot = append(h.snapshot, storedRow{id: key, n: v.n, big: v.big})
	}
}

func (h *history) copyTwice(r *teller, first int, touched []map[int64]bool) {
	for _, key := range keys {
		moved := slices.ContainsFunc(touched[:h.copied], func(keys map[int64]bool) bool { return keys[key] })
		if !moved || r.oneIn(2) {
			h.copyRow(key, first)
		}
		if moved && r.oneIn(2) {
			h.copyRow(key, h.copied)
		}
	}
}

// String shows a history to a reader.
func (h *history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "at first %v; copied after %d transactions: %v\n", h.states[0], h.copied, h.snapshot)
	for i, rows := range h.log {
		fmt.Fprintf(&b, "transaction %d:\n", i+1)
		for _, row := range rows {
			fmt.Fprintf(&b, "  %s %s -> %s\n", row.Op, cellsText(row.Old), cellsText(row.New))
		}
		fmt.Fprintf(&b, "  then %v\n", h.states[i+1])
	}
	return b.String()
}

func cellsText(cells []source.Cell) string {
	var words []string
	for _, c := range cells {
		switch c.Kind {
		case source.Text:
			words = append(words, string(c.Bytes))
		case source.Unchanged:
			words = append(words, "unchanged")
		case source.Null:
			words = append(words, "NULL")
		case source.Absent:
			words = append(words, "-")
		}
	}
	return "(" + strings.Join(words, " ") + ")"
}
