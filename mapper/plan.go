package mapper

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// The names of millrace's own columns in a target table.
const (
	VersionColumn   = "_version"    // UInt64
	IsDeletedColumn = "_is_deleted" // UInt8
)

// A version is an epoch above orderBits bits of a place in the log.
const (
	orderBits = 56
	maxOrder  = 1<<orderBits - 1
)

// Metadata names an optional column of millrace's own.
type Metadata string

// The optional columns.
const (
	CommitTime  Metadata = "commit_time" // _commit_time: of the transaction, 1970 for snapshot rows
	LogPosition Metadata = "position"    // _position: the order in _version, 0 for snapshot rows
)

// Column returns the column's name in target tables.
func (m Metadata) Column() string { return "_" + string(m) }

// Type returns the column's ClickHouse type.
func (m Metadata) Type() string {
	if m == CommitTime {
		return "DateTime64(6, 'UTC')"
	}
	return "UInt64"
}

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
	Metadata    []Metadata
	Comment     string
}

// A Field is one column of a target table that comes from the source.
type Field struct {
	Name    string
	Type    string // ClickHouse's type: "Nullable(Decimal(10, 2))"
	Comment string
	From    int // index into Plan.Source.Columns
}

// Options are a user's wishes for one table.
type Options struct {
	Target      string
	OrderBy     []string // target names; nil: the key
	PartitionBy string
	Settings    map[string]string
	Metadata    []Metadata
	Columns     map[string]ColumnOptions // by source name
}

// ColumnOptions are a user's wishes for one column.
type ColumnOptions struct {
	Type    string
	Rename  string
	Exclude bool
}

// NewPlan decides how a table is replicated. types answers whether the target
// knows a ClickHouse type by name, such as "Time64". The error tells each
// thing that is wrong and the setting that mends it.
func NewPlan(t *source.Table, o Options, types func(name string) bool) (*Plan, error) {
	p := &Plan{
		Source: t, Target: o.Target, PartitionBy: o.PartitionBy, Settings: o.Settings,
		Metadata: o.Metadata, Comment: t.Comment,
	}
	var errs []error
	for name := range o.Columns {
		if t.Column(name) < 0 {
			errs = append(errs, fmt.Errorf("columns: there is no column %q", name))
		}
	}
	for i := range t.Columns {
		c := &t.Columns[i]
		co := o.Columns[c.Name]
		if co.Exclude {
			if slices.Contains(t.Key, i) {
				errs = append(errs, fmt.Errorf("columns: key column %q cannot be excluded", c.Name))
			}
			continue
		}
		f := Field{Name: c.Name, Comment: c.Comment, From: i}
		if co.Rename != "" {
			f.Name = co.Rename
		}
		var err error
		if f.Type, err = fieldType(c, co.Type, types); err != nil {
			errs = append(errs, err)
			continue
		}
		p.Columns = append(p.Columns, f)
	}
	if len(errs) == 0 {
		errs = append(errs, p.sortingKey(o.OrderBy))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &TableError{Table: t.String(), Err: err}
	}
	return p, nil
}

// fieldType returns a column's ClickHouse type, by wish or by the logical type.
func fieldType(c *source.Column, wish string, types func(string) bool) (string, error) {
	typ := targetType(&c.Type, c.Nullable, types)
	if wish == "" {
		return typ, nil
	}
	col, err := column.New(wish)
	if err != nil {
		return "", fmt.Errorf("columns: type of %q: %w", c.Name, err)
	}
	if c.Nullable && !col.Nullable() && !isList(c.Type.Kind) {
		if strings.HasPrefix(wish, "LowCardinality(") {
			wish = "LowCardinality(Nullable(" + strings.TrimPrefix(wish, "LowCardinality(") + ")"
		} else {
			wish = "Nullable(" + wish + ")"
		}
	}
	if err := canTake(wish, &c.Type); err != nil {
		return "", fmt.Errorf("columns: type of %q: %s cannot become %s: %w", c.Name, c.Native, wish, err)
	}
	return wish, nil
}

// sortingKey sets OrderBy, by wish or as the source's key.
func (p *Plan) sortingKey(wish []string) error {
	var errs []error
	for _, name := range wish {
		i := slices.IndexFunc(p.Columns, func(f Field) bool { return f.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("order_by: there is no column %q", name))
			continue
		}
		p.OrderBy = append(p.OrderBy, i)
	}
	for _, k := range p.Source.Key {
		i := slices.IndexFunc(p.Columns, func(f Field) bool { return f.From == k })
		if len(wish) == 0 {
			p.OrderBy = append(p.OrderBy, i)
		} else if !slices.Contains(p.OrderBy, i) {
			errs = append(errs, fmt.Errorf("order_by: it must contain the key column %q, or rows of different keys would become one", p.Columns[i].Name))
		}
	}
	for _, i := range p.OrderBy {
		f := &p.Columns[i]
		c := &p.Source.Columns[f.From]
		inKey := slices.Contains(p.Source.Key, f.From)
		if !inKey && !p.Source.OldRow {
			errs = append(errs, source.WithHint(
				fmt.Errorf("order_by: the log does not give the old value of %q, so a row that changes it would stay twice", f.Name),
				"take it out of order_by, or make the source log whole old rows (Postgres: ALTER TABLE … REPLICA IDENTITY FULL)"))
		}
		if !inKey && c.Nullable {
			errs = append(errs, fmt.Errorf("order_by: column %q may be NULL, a sorting key may not", f.Name))
		}
		if isList(c.Type.Kind) {
			errs = append(errs, fmt.Errorf("order_by: column %q is an array", f.Name))
		}
	}
	return errors.Join(errs...)
}

// Epoch returns the epoch of a _version.
func Epoch(version uint64) uint8 { return uint8(version >> orderBits) }
