// Command bench measures the millrace binary between real servers, and prints
// tables in Markdown: how long one transaction takes to be visible, how fast a
// table is copied and a log is followed, and what that costs.
//
//	make bench
//
// It needs the path of the binary. BENCH_ROWS (1000000) are in the table that
// is copied, half as many in the log, BENCH_SAMPLES (50) transactions are
// timed, BENCH_ROUNDS (3) is how often throughput is measured.
//
// All runs on one machine and shares its processors: Postgres, ClickHouse,
// millrace and this program, which asks without a pause while it waits for a
// row.
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
)

func main() { os.Exit(execute()) }

func execute() int {
	o, err := readOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	b := &bench{options: o}
	if err := errors.Join(b.run(ctx), b.close()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// options say how much to measure.
type options struct {
	binary  string // an absolute path
	rows    int    // of the table that is copied
	samples int
	rounds  int
}

func readOptions(args []string) (o options, err error) {
	if len(args) != 1 {
		return o, errors.New("name the millrace binary, or use `make bench`")
	}
	if o.binary, err = filepath.Abs(args[0]); err != nil {
		return o, fmt.Errorf("resolve %q: %w", args[0], err)
	}
	for _, v := range []struct {
		name     string
		value    *int
		standard int
	}{{"BENCH_ROWS", &o.rows, 1_000_000}, {"BENCH_SAMPLES", &o.samples, 50}, {"BENCH_ROUNDS", &o.rounds, 3}} {
		*v.value = v.standard
		text := os.Getenv(v.name)
		if text == "" {
			continue
		}
		if *v.value, err = strconv.Atoi(text); err != nil || *v.value < 1 {
			return o, fmt.Errorf("%s=%s: it is a number from 1", v.name, text)
		}
	}
	return o, nil
}
