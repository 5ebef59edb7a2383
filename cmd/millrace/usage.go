package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/millrace/millrace/source"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // while running
	exitUsage  = 2 // wrong usage or configuration
)

// A usageError is the user's to mend: nothing has been done.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage marks an error as one of usage; nil stays nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

func exitCode(err error) int {
	var u *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &u):
		return exitUsage
	default:
		return exitFailed
	}
}

// report writes an error for people: each fault of several on a line of its
// own, and what to do about it below.
func report(w io.Writer, err error) {
	for _, e := range parts(err) {
		text, hint := e.Error(), ""
		var h *source.HintError
		if errors.As(e, &h) {
			text, hint = trimHint(e, h), h.Hint
		}
		fmt.Fprintf(w, "millrace: %s\n", text)
		if hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", hint)
		}
	}
}

// trimHint returns an error's text without the hint, which is told apart.
func trimHint(err error, h *source.HintError) string {
	return strings.Replace(err.Error(), "; "+h.Hint, "", 1)
}

// parts takes joined errors apart.
func parts(err error) []error {
	var u *usageError
	if errors.As(err, &u) {
		err = u.err
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
