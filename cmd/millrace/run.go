package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/millrace/millrace/internal/pipeline"
	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/source"
)

func newRunCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Copy what is not copied yet, then follow every change",
		Long: `Copy the selected tables that are not in ClickHouse yet, then follow the source's
log until Ctrl-C or SIGTERM: then what was read is written, the position saved,
and the exit code is 0. A run that was cut off, by whatever, goes on where it
was: the state file has the position and the finished parts of the copy.

While it runs, http.listen serves / (a dashboard), /status, /metrics, /healthz
and /readyz.`,
		Example: `  millrace run --source postgres://cdc@127.0.0.1/shop --target clickhouse://default:@127.0.0.1:9000/shop
  millrace run --source "$PG" --target embedded:./clickhouse --tables 'public.*,!public.audit_*'
  millrace run --once     copy, catch up with where the log is now, and end`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd, "source.dsn", "target.dsn")
			if err != nil {
				return err
			}
			return interrupted(cmd.Context(), once, run(cmd.Context(), c, once))
		},
	}
	addConfigFlags(cmd)
	cmd.Flags().BoolVar(&once, "once", false, "end when the changes up to now are in ClickHouse; exit code 1 if a table failed")
	return cmd
}

// interrupted returns what a run's error means once it was told to end: that is
// no failure, unless it was to catch up first.
func interrupted(ctx context.Context, once bool, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case err != nil && !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)):
		return err
	case once:
		return errors.New("told to end before it had caught up; the next run goes on from here")
	}
	return nil
}

// errEnded ends the HTTP side when the pipeline has ended by itself.
var errEnded = errors.New("ended")

func run(ctx context.Context, c *Config, once bool) error {
	log := newLogger(c)
	store, err := openState(c)
	if err != nil {
		return err
	}
	defer store.Close()
	src := newSource(c, store, log)
	defer src.Close()
	// Whatever is wrong with the source is worth knowing before anything starts.
	if _, err := reach(ctx, log, startPatience, func() ([]*source.Table, error) { return src.Tables(ctx) }); err != nil {
		return err
	}
	target, closing, err := openTarget(ctx, c, log, startPatience)
	if err != nil {
		return err
	}
	defer closing()

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	selection := c.Selection()
	p := pipeline.New(pipeline.Config{
		Name: c.Name, Source: src, Target: target, Store: store,
		Options: options(c),
		Named:   func(t *source.Table) bool { return selection.Named(t.Schema, t.Name) },
		Once:    once, Workers: c.Snapshot.Workers,
		Rows: c.Flush.Rows, Bytes: int(c.Flush.Bytes), Interval: c.Flush.Interval, Memory: int(c.Memory),
		FailValue: c.ValuePolicy == "fail",
		Progress:  terminal(os.Stderr), Logger: log, Registry: registry,
	})
	return serve(ctx, c, log, p, registry)
}

// serve runs the pipeline and shows it over HTTP.
func serve(ctx context.Context, c *Config, log *slog.Logger, p *pipeline.Pipeline, registry *prometheus.Registry) error {
	server := web.New(web.Config{Listen: c.HTTP.Listen, Status: p.Status, Ready: p.Ready, Registry: registry, Logger: log})
	if err := server.Listen(); err != nil {
		return usage(err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error {
		if err := p.Run(ctx); err != nil {
			return err
		}
		return errEnded
	})
	if err := g.Wait(); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

// terminal returns f if a person looks at it, else nil.
func terminal(f *os.File) io.Writer {
	if term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}
