package mapper

import (
	"github.com/millrace/millrace/source"
)

// The names of millrace's own columns in a target table.
const (
	VersionColumn   = "_version"    // UInt64
	IsDeletedColumn = "_is_deleted" // UInt8
)

// A Plan is how the rows of one source table become rows of one target table.
// It is built once for each shape of a source table and does not change.
type Plan struct {
	Source  *source.Table
	Target  string // table name, unquoted
	Columns []Field
	// OrderBy lists the target's sorting key: indices into Columns. It
	// contains every key column of the source, and none is nullable.
	OrderBy     []int
	PartitionBy string // an expression over OrderBy columns, or ""
	Settings    map[string]string
	Comment     string
}

// A Field is one column of a target table that comes from the source.
type Field struct {
	Name    string
	Type    string // ClickHouse's type: "Nullable(Decimal(10, 2))"
	Comment string
	From    int // index into Plan.Source.Columns
}
