package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

func asInt(cell []byte, to source.Appender) error {
	n, err := strconv.ParseInt(string(cell), 10, 64)
	if err != nil {
		return err
	}
	return to.Int(n)
}

func asBytes(cell []byte, to source.Appender) error { return to.Bytes(cell) }

// newTable is a table with a key and a text.
func newTable(name string) *source.Table {
	return &source.Table{
		Schema: "public", Name: name, Key: []int{0}, Rows: -1,
		Columns: []source.Column{
			{Name: "id", Native: "bigint", Type: source.Type{Kind: source.Int64}, Text: asInt},
			{Name: "v", Native: "text", Type: source.Type{Kind: source.String}, Text: asBytes},
		},
	}
}

func text(s string) source.Cell { return source.Cell{Kind: source.Text, Bytes: []byte(s)} }

// A change is a row of the log: "a 1 x" inserts or updates, "a 1" deletes, and
// "a 1 ~" has a NULL that its column does not take.
type change struct {
	table, id, v string
}

// An entry is a transaction.
type entry struct {
	order   uint64
	changes []change
}

// A database is a scripted source. Tests set its fields before it is used, or
// through its methods.
type database struct {
	tables []*source.Table // protected by mu once it is used
	// chunks holds the rows of a table's copy, by chunk: "1 x".
	chunks map[string][][]string
	marks  map[string]string
	id     position.Identity
	// identify, read and stream fail when they return an error.
	identify func() error
	read     func(ctx context.Context, table string, chunk int) error
	stream   func(order uint64) error // before the transaction after it is sent
	// reshape has other shapes of tables that the log announces.
	reshape map[string]*source.Table

	mu        sync.Mutex // protects all below
	log       []entry
	grown     chan struct{} // closed when the log grows
	begins    []string
	reads     []string
	streams   []string
	acked     []uint64
	saved     []*position.Saved // that Identify was asked about
	snapshots int               // open
	awaited   uint64            // where the stream waits for more
}

func newDatabase(names ...string) *database {
	d := &database{
		chunks: make(map[string][][]string), marks: make(map[string]string),
		id:    position.Identity{Server: "one", Log: "1"},
		grown: make(chan struct{}),
		log:   []entry{{order: 100}},
	}
	for _, name := range names {
		d.tables = append(d.tables, newTable(name))
	}
	return d
}

var _ source.Source = (*database)(nil)

// commit adds a transaction to the log.
func (d *database) commit(changes ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := entry{order: d.log[len(d.log)-1].order + 10}
	for _, c := range changes {
		var ch change
		fmt.Sscan(c, &ch.table, &ch.id, &ch.v)
		e.changes = append(e.changes, ch)
	}
	d.log = append(d.log, e)
	close(d.grown)
	d.grown = make(chan struct{})
}

func at(order uint64) position.Position {
	return position.Position{Order: order, Text: fmt.Sprint(order)}
}

// next returns the transaction behind a position, or waits for it.
func (d *database) next(ctx context.Context, after uint64) (entry, error) {
	for {
		d.mu.Lock()
		i := slices.IndexFunc(d.log, func(e entry) bool { return e.order > after })
		grown := d.grown
		d.awaited = after
		if i >= 0 {
			defer d.mu.Unlock()
			return d.log[i], nil
		}
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return entry{}, ctx.Err()
		case <-grown:
		}
	}
}

func (d *database) Kind() string { return "fake" }

func (d *database) Tables(context.Context) ([]*source.Table, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.tables), nil
}

// come adds a table.
func (d *database) come(t *source.Table) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tables = append(d.tables, t)
}

// replace puts another table in the place of one.
func (d *database) replace(i int, handle uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	other := *d.tables[i]
	other.Handle = handle
	d.tables[i] = &other
}

func (d *database) Identify(_ context.Context, saved *position.Saved) (position.Identity, bool, error) {
	d.mu.Lock()
	d.saved = append(d.saved, saved)
	d.mu.Unlock()
	if d.identify != nil {
		if err := d.identify(); err != nil {
			return position.Identity{}, false, err
		}
	}
	return d.id, saved != nil && saved.Identity == d.id, nil
}

func (d *database) Begin(_ context.Context, streaming, tables []*source.Table, first bool) (source.Snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begins = append(d.begins, fmt.Sprintf("%s + %s first %t", names(streaming), names(tables), first))
	d.snapshots++
	s := &snapshot{database: d}
	if first {
		s.at = at(d.log[len(d.log)-1].order)
	}
	return s, nil
}

func names(tables []*source.Table) []string {
	list := []string{}
	for _, t := range tables {
		list = append(list, t.Name)
	}
	return list
}

func (d *database) Stream(ctx context.Context, from position.Position, tables []*source.Table, h source.Handler) error {
	d.mu.Lock()
	d.streams = append(d.streams, fmt.Sprintf("%s from %d", names(tables), from.Order))
	d.mu.Unlock()
	known := make(map[string]*source.Table)
	for _, t := range tables {
		if changed := d.reshape[t.Name]; changed != nil {
			t = changed
		}
		known[t.Name] = t
		if err := h.Schema(ctx, t); err != nil {
			return err
		}
	}
	for after := from.Order; ; {
		if d.stream != nil {
			if err := d.stream(after); err != nil {
				return err
			}
		}
		e, err := d.next(ctx, after)
		if err != nil {
			return err
		}
		idle := true
		for _, c := range e.changes {
			if t := known[c.table]; t != nil {
				idle = false
				if err := h.Row(ctx, c.row(t, e.order)); err != nil {
					return err
				}
			}
		}
		if err := h.Commit(ctx, source.Commit{Position: at(e.order), Idle: idle}); err != nil {
			return err
		}
		after = e.order
	}
}

func (c change) row(t *source.Table, version uint64) *source.Row {
	key, row := text(c.id), &source.Row{Table: t, Version: version}
	switch c.v {
	case "":
		row.Op, row.Old = source.Delete, []source.Cell{key, {Kind: source.Absent}}
	case "~":
		row.New = []source.Cell{key, {Kind: source.Null}}
	default:
		row.New = []source.Cell{key, text(c.v)}
	}
	return row
}

func (d *database) Ack(p position.Position) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acked = append(d.acked, p.Order)
}

func (d *database) Latest(context.Context) (position.Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return at(d.log[len(d.log)-1].order), nil
}

func (d *database) Fetch(context.Context, *source.Table, []source.Cell, []int) ([]source.Cell, bool, error) {
	return nil, false, errors.New("nothing is left out of this log")
}

func (d *database) Check(context.Context) []source.Finding { return nil }
func (d *database) Teardown(context.Context) error         { return nil }
func (d *database) Close() error                           { return nil }

// What a test asks about.
func (d *database) note(what *[]string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(*what)
}

type snapshot struct {
	*database
	at position.Position
}

func (s *snapshot) Position() position.Position { return s.at }

func (s *snapshot) Plan(_ context.Context, t *source.Table) (*source.Plan, error) {
	p := &source.Plan{Mark: s.marks[t.Name]}
	for i := range s.chunks[t.Name] {
		p.Chunks = append(p.Chunks, source.Chunk{Part: t.Name, From: strconv.Itoa(i)})
	}
	return p, nil
}

func (s *snapshot) Read(ctx context.Context, t *source.Table, c source.Chunk, h source.Handler) error {
	s.mu.Lock()
	s.reads = append(s.reads, c.Part+c.From)
	s.mu.Unlock()
	i, err := strconv.Atoi(c.From)
	if err != nil {
		return err
	}
	for _, line := range s.chunks[t.Name][i] {
		var ch change
		fmt.Sscan(line, &ch.id, &ch.v)
		if err := h.Row(ctx, ch.row(t, 0)); err != nil {
			return err
		}
	}
	if s.read != nil {
		return s.read(ctx, t.Name, i) // at the end of the chunk
	}
	return nil
}

func (s *snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots--
	return nil
}
