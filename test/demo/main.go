// Command demo shows millrace at work: a Postgres with a busy shop, the real
// binary beside it, and what arrives in ClickHouse, second by second. At the
// end it compares every table on both sides; a difference is exit code 1.
//
//	make demo
//
// It needs the path of the binary. DEMO_SECONDS is how long to look (30),
// DEMO_RATE the shop's transactions a second at most (300).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Exit codes, those of millrace itself and the shell's for an interrupt.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(execute()) }

func execute() int {
	o, err := readOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return exitUsage
	}
	// Later signals find us cleaning up, which takes a moment and is bounded.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	s := &stage{options: o, screen: newScreen(os.Stdout)}
	err = s.show(ctx)
	interrupted := err != nil && ctx.Err() != nil
	if interrupted {
		err = nil // only says so
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted, cleaning up")
	}
	if err = errors.Join(err, s.close()); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		return exitFailed
	}
	if interrupted {
		return exitInterrupted
	}
	return 0
}

// options say what to show.
type options struct {
	binary string        // an absolute path
	watch  time.Duration // how long to look
	rate   int           // transactions a second at most
}

func readOptions(args []string) (o options, err error) {
	if len(args) != 1 {
		return o, errors.New("name the millrace binary, or use `make demo`")
	}
	if o.binary, err = filepath.Abs(args[0]); err != nil {
		return o, fmt.Errorf("resolve %q: %w", args[0], err)
	}
	seconds, err := fromEnv("DEMO_SECONDS", 30)
	if err != nil {
		return o, err
	}
	o.watch = time.Duration(seconds) * time.Second
	o.rate, err = fromEnv("DEMO_RATE", 300)
	return o, err
}

// fromEnv reads a number from 1 to an hour's seconds.
func fromEnv(name string, standard int) (int, error) {
	const most = 3600
	text := os.Getenv(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("%s=%s: it is a number from 1 to %d", name, text, most)
	}
	return n, nil
}
