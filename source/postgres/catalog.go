package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/source"
)

// errNoTable is the error for a table that is gone.
var errNoTable = errors.New("the table no longer exists")

// A table is what this package knows of a source.Table. It does not change.
type table struct {
	*source.Table
	oid  uint32
	kind string // relkind: r, or p for a partitioned one
	// leaves hold the rows: the table itself, or all its partitions.
	leaves []leaf
	// attributes holds a row of pg_attribute for each column. One that was
	// dropped and added again under its name has another attnum.
	attributes []attribute
	// filter is the publication's row filter, an SQL expression, or "".
	filter string
	// noInserts is set when the publication leaves inserts out; then a
	// snapshot has no rows either.
	noInserts bool
	// binary is set when every column has a decoder of its binary form.
	binary bool
}

// attribute returns the row of pg_attribute that a column was made of, nil when
// the table has another one or none in its place.
func (t *table) attribute(c *source.Column) *attribute {
	for i := range t.attributes {
		if a := &t.attributes[i]; a.name == c.Name && int(a.num) == c.ID && a.native == c.Native {
			return a
		}
	}
	return nil
}

// A leaf is a relation with storage.
type leaf struct {
	oid    uint32
	name   string // qualified and quoted
	node   uint32 // file node
	pages  int32  // as of the last VACUUM or ANALYZE
	tuples float32
}

// Tables implements source.Source.
func (s *Source) Tables(ctx context.Context) ([]*source.Table, error) {
	if err := s.cfg.Select.Validate(); err != nil {
		return nil, err
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	c, err := s.readSelected(ctx, conn)
	if err != nil {
		return nil, err
	}
	tables, known := make([]*source.Table, 0, len(c.tables)), make(map[uint32]*table, len(c.tables))
	for _, t := range c.tables {
		tables = append(tables, t.Table)
		known[t.oid] = t
	}
	for _, u := range s.cfg.Select.Unmatched(c.names) {
		if u.Literal != nil && !u.Exclude {
			tables = append(tables, &source.Table{
				Schema: u.Literal.Schema, Name: u.Literal.Table, Rows: -1, Problem: unmatchedProblem(u),
			})
		}
	}
	s.mu.Lock()
	s.tables = known
	s.mu.Unlock()
	return tables, nil
}

func unmatchedProblem(u source.Unmatched) error {
	err := errors.New("there is no such table")
	if u.Nearest != "" {
		return source.WithHint(err, fmt.Sprintf("did you mean %q?", u.Nearest))
	}
	return source.WithHint(err, fmt.Sprintf("take %q out of tables, or create the table", u.Pattern))
}

// describe reads one table as it is now, selected or not. The error is
// errNoTable (wrapped) when there is none.
func (s *Source) describe(ctx context.Context, conn *pgx.Conn, oid uint32) (*source.Table, *table, error) {
	c, err := s.readThese(ctx, conn, []uint32{oid})
	if err != nil {
		return nil, nil, err
	}
	if len(c.tables) == 0 {
		return nil, nil, fmt.Errorf("describe table %d: %w", oid, errNoTable)
	}
	return c.tables[0].Table, c.tables[0], nil
}

// mark names the storage of the table: oid and file node of each leaf. VACUUM
// FULL, TRUNCATE, rewriting ALTERs and other partitions change it.
func (t *table) mark() string {
	names := make([]string, len(t.leaves))
	for i, l := range t.leaves {
		names[i] = fmt.Sprintf("%d:%d", l.oid, l.node)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// A catalog is what the server's catalog says of some tables.
type catalog struct {
	asText     func(schema, table, column string) bool
	role       string
	version    int // of the server, major
	pub        *publication
	names      []source.Name // of all tables there are
	tables     []*table
	relations  map[uint32]*relation
	partitions map[uint32][]*relation // by parent, in the order of their names
	attributes map[uint32][]attribute
	indexes    map[uint32][]index
	types      map[uint32]*pgType
}

// readSelected describes the selected tables, in the order of their names. A
// partitioned table stands for its partitions.
func (s *Source) readSelected(ctx context.Context, q querier) (*catalog, error) {
	relations, err := readRelations(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	c := s.newCatalog(relations)
	var chosen []*relation
	for _, r := range relations {
		c.names = append(c.names, source.Name{Schema: r.schema, Table: r.name})
		if s.selects(c, r) {
			chosen = append(chosen, r)
		}
	}
	return c, s.fill(ctx, q, c, chosen)
}

// readThese describes the tables with some oids that exist.
func (s *Source) readThese(ctx context.Context, q querier, oids []uint32) (*catalog, error) {
	all, err := readTree(ctx, q, oids)
	if err != nil {
		return nil, err
	}
	relations, err := readRelations(ctx, q, all)
	if err != nil {
		return nil, err
	}
	c := s.newCatalog(relations)
	var chosen []*relation
	for _, oid := range oids {
		if r := c.relations[oid]; r != nil {
			chosen = append(chosen, r)
		}
	}
	return c, s.fill(ctx, q, c, chosen)
}

func (s *Source) newCatalog(relations []*relation) *catalog {
	c := &catalog{asText: s.cfg.AsText, relations: map[uint32]*relation{}, partitions: map[uint32][]*relation{}}
	for _, r := range relations {
		c.relations[r.oid] = r
		if r.parent != 0 {
			c.partitions[r.parent] = append(c.partitions[r.parent], r)
		}
	}
	return c
}

func (s *Source) selects(c *catalog, r *relation) bool {
	if !s.cfg.Select.Match(r.schema, r.name) {
		return false
	}
	for parent := c.relations[r.parent]; parent != nil; parent = c.relations[parent.parent] {
		if s.cfg.Select.Match(parent.schema, parent.name) {
			return false
		}
	}
	return r.kind == "r" || r.kind == "p" || s.cfg.Select.Named(r.schema, r.name)
}

// fill describes the chosen relations. It asks once for each kind of
// information, however many tables there are.
func (s *Source) fill(ctx context.Context, q querier, c *catalog, chosen []*relation) (err error) {
	var oids []uint32
	for _, r := range chosen {
		oids = append(oids, r.oid)
		for _, l := range c.leaves(r) {
			if l != r {
				oids = append(oids, l.oid)
			}
		}
	}
	err = q.QueryRow(ctx, "SELECT current_user, current_setting('server_version_num')::int / 10000").Scan(&c.role, &c.version)
	if err != nil {
		return fmt.Errorf("read our role: %w", classify(err))
	}
	if c.pub, err = s.readPublication(ctx, q); err != nil {
		return err
	}
	if c.attributes, err = readAttributes(ctx, q, oids); err != nil {
		return err
	}
	if c.indexes, err = readIndexes(ctx, q, oids); err != nil {
		return err
	}
	if c.types, err = readTypes(ctx, q, c.attributes); err != nil {
		return err
	}
	for _, r := range chosen {
		c.tables = append(c.tables, c.table(r))
	}
	s.judge(c)
	return nil
}

// leaves returns the relations that hold the rows of r.
func (c *catalog) leaves(r *relation) []*relation {
	if r.kind != "p" {
		return []*relation{r}
	}
	var list []*relation
	for _, part := range c.partitions[r.oid] {
		list = append(list, c.leaves(part)...)
	}
	return list
}

// table builds a table without its problem.
func (c *catalog) table(r *relation) *table {
	key, _ := keyOf(r, c.indexes[r.oid])
	t := &table{
		Table: &source.Table{
			Schema: r.schema, Name: r.name, Comment: r.comment,
			OldRow: r.identity == "f", Handle: uint64(r.oid),
		},
		oid: r.oid, kind: r.kind, binary: true,
		filter:    c.pub.covered[r.oid].filter,
		noInserts: c.pub.exists && !c.pub.insert,
	}
	for _, l := range c.leaves(r) {
		t.leaves = append(t.leaves, leaf{oid: l.oid, name: l.quoted(), node: l.node, pages: l.pages, tuples: l.tuples})
	}
	t.Rows = estimate(t.leaves)
	if r.kind == "p" {
		t.Notes = append(t.Notes, "A partition that is attached, detached, dropped or truncated by itself leaves no trace in the log: run millrace resync after that.")
	}
	c.addColumns(t, key)
	for _, name := range key {
		if i := t.Column(name); i >= 0 {
			t.Key = append(t.Key, i)
		}
	}
	t.Notes = append(t.Notes, c.pub.notes(t)...)
	return t
}

// addColumns adds the columns that the log delivers.
func (c *catalog) addColumns(t *table, key []string) {
	list := c.pub.covered[t.oid].columns
	for _, a := range c.attributes[t.oid] {
		switch listed := slices.Contains(list, a.name); {
		case a.generated && !listed:
			t.Notes = append(t.Notes, fmt.Sprintf("Column %q is generated; the log does not have it, so it is left out.", a.name))
			continue
		case list != nil && !listed:
			t.Notes = append(t.Notes, fmt.Sprintf("Column %q is left out by publication %q.", a.name, c.pub.name))
			continue
		}
		isKey := slices.Contains(key, a.name)
		column := source.Column{Name: a.name, ID: int(a.num), Native: a.native, Nullable: !a.notNull && !isKey, Comment: a.comment}
		if typ := c.types[a.typ]; typ != nil {
			column.Type, column.Text, column.Binary = columnType(typ, a.mod, a.dims, isKey)
			column.Describe = describer(a.typ)
		}
		if column.Type.Kind.IsValue() && c.asText(t.Schema, t.Name, a.name) {
			column.Type, column.Text, column.Binary = asText.typ, asText.text, asText.binary
		}
		t.binary = t.binary && column.Binary != nil
		t.Columns = append(t.Columns, column)
		t.attributes = append(t.attributes, a)
	}
}

// estimate adds up reltuples; -1 when a leaf was never counted.
func estimate(leaves []leaf) int64 {
	var rows float64
	for _, l := range leaves {
		if l.tuples < 0 {
			return -1
		}
		rows += float64(l.tuples)
	}
	return int64(rows)
}
