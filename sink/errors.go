package sink

// A RetryError means that the same batch may succeed later: the server is
// busy, restarting or out of reach. It is also returned when the reply to an
// insert is lost and nobody knows whether the rows arrived: their versions
// make a second insert harmless.
type RetryError struct{ Err error }

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// A TableError means that a target table cannot take its rows, and that trying
// again does not change that. The other tables go on.
type TableError struct {
	Table string // the target table, unquoted; empty when a query names none
	Err   error  // names the table in its text
	Hint  string // what the reader can do, or ""
}

func (e *TableError) Error() string {
	if e.Hint == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + "; " + e.Hint
}

func (e *TableError) Unwrap() error { return e.Err }
