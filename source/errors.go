package source

import "errors"

// ErrDisconnected is matched by errors after which the source may be asked
// again, from the saved position: a server that restarts, a cut connection.
var ErrDisconnected = errors.New("source disconnected")

// A HintError is an error that knows what its reader can do.
type HintError struct {
	Err  error
	Hint string // a sentence, or a statement to run
}

func (e *HintError) Error() string { return e.Err.Error() + "; " + e.Hint }
func (e *HintError) Unwrap() error { return e.Err }

// WithHint adds what to do about it to an error. One that says so already is
// returned as it is.
func WithHint(err error, hint string) error {
	var hinted *HintError
	if errors.As(err, &hinted) && hinted.Hint == hint {
		return err
	}
	return &HintError{Err: err, Hint: hint}
}

// Level grades a Finding.
type Level uint8

// The levels of a Finding.
const (
	OK Level = iota
	Warn
	Fail
)

// String returns the level as `millrace check` prints it.
func (l Level) String() string { return [...]string{"ok", "warn", "FAIL"}[l] }

// A Finding is one line of a check.
type Finding struct {
	Level   Level
	Subject string // what was looked at
	Text    string // what was found
	Fix     string // the statement or step that mends it
}

// Memory is what a source wants to remember across restarts. Values are synced
// when Put returns.
type Memory interface {
	Get(key string) ([]byte, error) // nil when there is none
	Put(key string, value []byte) error
}
