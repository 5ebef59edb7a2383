package source

import "fmt"

// A Table is the shape of a source table. It does not change once announced:
// another shape is another Table.
type Table struct {
	Schema  string // Postgres' schema, MySQL's database
	Name    string
	Comment string
	Columns []Column // those that the log delivers, in source order
	// Key lists the columns (indices into Columns) that identify a row in the
	// log's old values: replica identity or primary key. Never nullable.
	Key []int
	// OldRow is set when updates and deletes carry every old value.
	OldRow bool
	// Rows is the server's estimate, -1 when it has none.
	Rows int64
	// Problem says why the table cannot be replicated; nil when it can.
	Problem error
	// Notes are things that a user should know, a sentence each: columns that
	// the log leaves out and the like.
	Notes []string
	// Handle is the source's own reference, such as pg_class.oid.
	Handle uint64
}

// String returns schema.name, for messages. It is not quoted.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Column returns the index of a column, or -1.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// SameShape reports whether rows of u can be taken for rows of t: the same
// columns of the same types, and the same key.
func (t *Table) SameShape(u *Table) bool {
	if len(t.Columns) != len(u.Columns) || len(t.Key) != len(u.Key) || t.OldRow != u.OldRow {
		return false
	}
	for i := range t.Columns {
		a, b := &t.Columns[i], &u.Columns[i]
		if a.Name != b.Name || a.ID != b.ID || a.Native != b.Native || a.Nullable != b.Nullable {
			return false
		}
	}
	for i := range t.Key {
		if t.Key[i] != u.Key[i] {
			return false
		}
	}
	return true
}

// A Column is a column's logical type and the decoders of its wire forms.
type Column struct {
	Name string
	// ID tells a column from one that was dropped and added again under its
	// name (pg_attribute.attnum); 0 where the source has none.
	ID       int
	Native   string // the source's own type, as its DDL writes it
	Type     Type
	Nullable bool
	Comment  string
	// Text and Binary decode the two wire forms; nil where a form never comes.
	Text, Binary Decode
	// Describe returns a cell's value as the source writes it, for people. It
	// may be slow. nil: only text cells can be told.
	Describe func(Cell) string
}

// Tell returns a cell's value for people.
func (c *Column) Tell(cell Cell) string {
	switch {
	case cell.Kind == Text:
		return string(cell.Bytes)
	case cell.Kind == Binary && c.Describe != nil:
		return c.Describe(cell)
	case cell.Kind == Binary:
		return fmt.Sprintf("\\x%x", cell.Bytes)
	}
	return "NULL"
}

// Decode reads one cell that is not NULL and calls exactly one method of to,
// once. It keeps nothing of cell. An error that is not a *Misfit means that
// the bytes are malformed.
type Decode func(cell []byte, to Appender) error

// Kind is a family of values.
type Kind uint8

// The logical types. Precision, Scale and Elem of [Type] qualify them.
const (
	String Kind = iota // UTF-8 text
	Bytes              // raw bytes
	JSON               // JSON text
	Enum               // one of few labels
	Bool
	Int8
	Int16
	Int32
	Int64
	UInt8
	UInt16
	UInt32
	UInt64
	Float32
	Float64
	Decimal   // Precision digits, Scale of them behind the point
	UUID      //
	Date      // days
	Time      // a time of day or a signed span; Precision digits of a second
	Timestamp // Precision digits of a second; instants are in UTC
	IPv4      //
	IPv6      //
	Array     // of Elem, which may be NULL
	Set       // of labels
	Vector    // of Float32, never NULL
)

// IsValue reports whether values of the kind are something else than text or
// bytes already.
func (k Kind) IsValue() bool {
	switch k {
	case String, Bytes, JSON, Enum:
		return false
	}
	return true
}

// A Type is a logical type.
type Type struct {
	Kind      Kind
	Precision int
	Scale     int
	Elem      *Type // of an Array
}
