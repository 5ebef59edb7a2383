package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/millrace/millrace/sink/embedded"
	"github.com/millrace/millrace/source"
)

// clickhouseFlags are what `millrace clickhouse` was asked to do.
type clickhouseFlags struct {
	path              string
	tcpPort, httpPort int
	fetch             bool
	query             string
}

func newClickHouseCommand() *cobra.Command {
	var f clickhouseFlags
	cmd := &cobra.Command{
		Use:   "clickhouse --path DIR",
		Short: "Run the embedded ClickHouse",
		Long: `Run a real ClickHouse on a folder, in the foreground, until Ctrl-C or SIGTERM.

It is the same engine that ` + "`--target embedded:DIR`" + ` runs, with its native and
its HTTP port on 127.0.0.1, user default and no password. The data stays in the
folder, and so does the log, clickhouse.log.

A clickhouse binary on PATH is used when there is one. Otherwise --fetch gets
the engine as a library, once, with the npm client: 178 MB to fetch, 566 MB on
disk under $XDG_CACHE_HOME/millrace or ~/.cache/millrace, its checksum checked.

One engine runs on a folder at a time. --query asks the one that runs there, or
starts one for as long as the statement takes.`,
		Example: `  millrace clickhouse --fetch
  millrace clickhouse --path ./clickhouse
  millrace clickhouse --path ./clickhouse --query 'SHOW TABLES FROM shop'
  millrace run --source "$PG" --target clickhouse://default:@127.0.0.1:9000/shop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return usage(err)
			}
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.path, "path", "", "`DIR` for data, configuration and log; created if absent")
	flags.IntVar(&f.tcpPort, "tcp-port", 9000, "native `PORT`; 0 picks a free one")
	flags.IntVar(&f.httpPort, "http-port", 8123, "HTTP `PORT`, with a query console at /play; 0 picks a free one")
	flags.StringVar(&f.query, "query", "", "run one `STATEMENT`, print the result and end")
	flags.BoolVar(&f.fetch, "fetch", false, "get the engine if it is not there; without --path that is all")
	return cmd
}

func (f *clickhouseFlags) check() error {
	if f.path == "" && !f.fetch {
		return source.WithHint(errors.New("--path is missing"),
			"name a folder for the data, like --path ./clickhouse, or get the engine with --fetch")
	}
	for _, p := range []struct {
		flag string
		port int
	}{{"--tcp-port", f.tcpPort}, {"--http-port", f.httpPort}} {
		if p.port < 0 || p.port > 65535 {
			return fmt.Errorf("%s %d is no port: it is from 1 to 65535, or 0 for a free one", p.flag, p.port)
		}
	}
	return nil
}

func (f *clickhouseFlags) run(ctx context.Context, out, notes io.Writer) error {
	if f.fetch {
		if err := embedded.Fetch(ctx, notes); err != nil || f.path == "" {
			return err
		}
	}
	if f.query != "" {
		return f.ask(ctx, out)
	}
	s, err := embedded.Start(ctx, embedded.Config{Dir: f.path, TCPPort: f.tcpPort, HTTPPort: f.httpPort})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `ClickHouse runs on %s
  native   %s
  HTTP     %s
  console  %[3]s/play
Ctrl-C ends it.
`, f.path, s.DSN(), s.HTTPURL())
	select {
	case <-ctx.Done():
		return s.Stop()
	case <-s.Done():
		if err := s.Err(); err != nil {
			return fmt.Errorf("ClickHouse ended: %w", err)
		}
		return errors.New("ClickHouse ended")
	}
}

// ask runs the statement on the engine that runs on the folder, else on one of
// its own.
func (f *clickhouseFlags) ask(ctx context.Context, out io.Writer) error {
	format := "TabSeparatedWithNames"
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		format = "PrettyCompact"
	}
	url, err := embedded.Find(f.path)
	if err == nil {
		return embedded.Query(ctx, url, f.query, format, out)
	}
	if !errors.Is(err, embedded.ErrNotRunning) {
		return err
	}
	s, err := embedded.Start(ctx, embedded.Config{Dir: f.path})
	if err != nil {
		return err
	}
	return errors.Join(embedded.Query(ctx, s.HTTPURL(), f.query, format, out), s.Stop())
}
