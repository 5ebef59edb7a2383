package embedded

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openInput returns the two ends of the engine's standard input: theirs is a
// terminal, and stays one until ours is closed.
//
// The engine believes that somebody sits there. Without, a client's connection
// that breaks at the wrong moment ends the whole engine: clickhouse-local takes
// any error of a listener's thread for fatal, unless it runs interactively.
func openInput() (theirs, ours *os.File, args []string, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			ours.Close()
		}
	}()
	// The manual page pty(7): unlock the other end, and ask for its number.
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, nil, fmt.Errorf("unlock a terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("number of a terminal: %w", err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	// Progress would go to the terminal that we were started from.
	return theirs, ours, []string{"--interactive", "--progress", "off", "--progress-table", "off"}, nil
}
