package mapper

import "fmt"

// A TableError stops one table; the others go on.
type TableError struct {
	Table string // source name
	Err   error
}

func (e *TableError) Error() string { return fmt.Sprintf("table %s: %v", e.Table, e.Err) }
func (e *TableError) Unwrap() error { return e.Err }

// A ValueError is a value that its target column cannot take. It names the
// place, never the value.
type ValueError struct {
	Column string // source name
	Native string // the source's type
	Target string // ClickHouse's type
	Err    error
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("column %s (%s to %s): %v", e.Column, e.Native, e.Target, e.Err)
}
func (e *ValueError) Unwrap() error { return e.Err }
