// Command millrace replicates tables from Postgres into ClickHouse: a snapshot
// first, then every change, for as long as it runs.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(execute())
}

// execute runs the command line and returns the exit code. The first SIGINT or
// SIGTERM ends the command's context; after that a second one ends the process
// at once, as it would have done by default.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	err := newRootCommand().ExecuteContext(ctx)
	if err != nil {
		report(os.Stderr, err)
	}
	return exitCode(err)
}
