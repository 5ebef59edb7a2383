package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/localpg"
	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/sink/embedded"
	"github.com/millrace/millrace/test/rig"
)

const (
	database = "bench"     // of Postgres; a run's database in ClickHouse has the run's name
	patience = time.Minute // with a start
)

// A bench is the servers and what is measured between them.
type bench struct {
	options
	dir        string
	pg         *localpg.Server
	engine     *embedded.Server
	postgres   *pgx.Conn
	clickhouse driver.Conn
	cleanup    []func() error // last first
}

func (b *bench) run(ctx context.Context) error {
	if err := b.open(ctx); err != nil {
		return err
	}
	title, err := b.title(ctx)
	if err != nil {
		return err
	}
	latency, err := b.latency(ctx)
	if err != nil {
		return fmt.Errorf("measure latency: %w", err)
	}
	snapshot, err := b.snapshots(ctx)
	if err != nil {
		return fmt.Errorf("measure the snapshot: %w", err)
	}
	stream, err := b.streams(ctx)
	if err != nil {
		return fmt.Errorf("measure the stream: %w", err)
	}
	fmt.Printf("%s\n\n%s\n%s", title, latency.table(), throughput(snapshot, stream))
	return nil
}

func (b *bench) close() error {
	var errs []error
	for i := len(b.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, b.cleanup[i]())
	}
	return errors.Join(errs...)
}

// note tells how far it is; standard output is for the result.
func note(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// open starts both servers and connects to them.
func (b *bench) open(ctx context.Context) (err error) {
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if b.dir, err = rig.Folder("millrace-bench"); err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, func() error { return os.RemoveAll(b.dir) })
	// Neither a checkpoint nor autovacuum shall hit one run and miss another.
	b.pg, err = localpg.New(starting, localpg.Config{Dir: filepath.Join(b.dir, "postgres"), Settings: []string{
		"timezone=UTC", "shared_buffers=256MB", "max_wal_size=8GB", "checkpoint_timeout=1h", "autovacuum=off",
	}})
	if err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, b.pg.Quit)
	if b.engine, err = embedded.Start(starting, embedded.Config{Dir: filepath.Join(b.dir, "clickhouse")}); err != nil {
		return err
	}
	b.cleanup = append(b.cleanup, b.engine.Stop)
	return b.connect(starting)
}

func (b *bench) connect(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, b.pg.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	_, err = admin.Exec(ctx, "CREATE DATABASE "+database)
	if err = errors.Join(err, admin.Close(ctx)); err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	if b.postgres, err = pgx.Connect(ctx, b.pg.DSN(database)); err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	b.cleanup = append(b.cleanup, func() error { return b.postgres.Close(context.Background()) })
	options, err := chgo.ParseDSN(b.engine.DSN())
	if err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	options.ReadTimeout = 10 * time.Minute // a whole copy, without a word meanwhile
	if b.clickhouse, err = chgo.Open(options); err != nil {
		return fmt.Errorf("connect to ClickHouse: %w", err)
	}
	b.cleanup = append(b.cleanup, b.clickhouse.Close)
	return nil
}

// title says what was measured, and on what.
func (b *bench) title(ctx context.Context) (string, error) {
	var version string
	if err := b.clickhouse.QueryRow(ctx, "SELECT version()").Scan(&version); err != nil {
		return "", fmt.Errorf("ask ClickHouse: %w", err)
	}
	return fmt.Sprintf("Postgres %s, ClickHouse %s, %s/%s, all on %d processors (%s).",
		b.postgres.PgConn().ParameterStatus("server_version"), version, runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), processor()), nil
}

// config is that of a run of one table into a database of its own.
func (b *bench) config(name, table string, args ...string) rig.Config {
	return rig.Config{
		Binary: b.binary, Dir: b.dir, Name: name,
		Source: b.pg.DSN(database), Target: fmt.Sprintf("clickhouse://default:@127.0.0.1:%d/%s", b.engine.Config().TCPPort, name),
		Args: append([]string{"--tables", "public." + table}, args...),
	}
}

// once runs millrace until it has caught up, and checks how many rows there
// are then.
func (b *bench) once(ctx context.Context, name, table string, want int) (rig.Usage, error) {
	m, err := rig.Run(b.config(name, table, "--once"))
	if err != nil {
		return rig.Usage{}, err
	}
	usage, err := m.Measure(ctx)
	if err != nil {
		return usage, errors.Join(err, m.Stop())
	}
	return usage, b.count(ctx, name, table, want)
}

func (b *bench) count(ctx context.Context, database, table string, want int) error {
	var got uint64
	if err := b.clickhouse.QueryRow(ctx, "SELECT count() FROM "+database+"."+table+" FINAL").Scan(&got); err != nil {
		return fmt.Errorf("count %s.%s: %w", database, table, err)
	}
	if got != uint64(want) {
		return fmt.Errorf("%s.%s has %d rows, not %d", database, table, got, want)
	}
	return nil
}

// drop takes a run's slot and publication away, so that the log can go. The
// server notices the end of a run a moment later.
func (b *bench) drop(ctx context.Context, name string) error {
	return b.exec(ctx, `DO $$ BEGIN
		FOR i IN 1..100 LOOP
			EXIT WHEN NOT (SELECT active FROM pg_replication_slots WHERE slot_name = '`+name+`');
			PERFORM pg_sleep(0.1);
		END LOOP;
	END $$`, "SELECT pg_drop_replication_slot('"+name+"')", "DROP PUBLICATION "+name)
}

func (b *bench) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := b.postgres.Exec(ctx, statement); err != nil {
			return fmt.Errorf("in Postgres: %w; in: %s", err, statement)
		}
	}
	return nil
}

// start runs millrace for good; it returns when it follows the log.
func (b *bench) start(ctx context.Context, name, table string) (*rig.Millrace, error) {
	listen, err := rig.Address("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := b.config(name, table)
	config.Listen = listen
	m, err := rig.Run(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := m.Await(ctx, func(s *web.Status) bool { return s.State == web.Streaming }); err != nil {
		return nil, errors.Join(err, m.Stop())
	}
	return m, nil
}
