//go:build !linux

package embedded

import "os"

// openInput returns the two ends of the engine's standard input, a pipe.
func openInput() (theirs, ours *os.File, args []string, err error) {
	theirs, ours, err = os.Pipe()
	return theirs, ours, nil, err
}
