package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/internal/localpg"
	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/sink/embedded"
	"github.com/millrace/millrace/test/rig"
)

const (
	shopName  = "shop" // the database, the pipeline and the slot
	dashboard = "127.0.0.1:8090"
	patience  = time.Minute // with a start, and with catching up
)

// A stage is all that runs, and what takes it down again.
type stage struct {
	options
	screen   *screen
	dir      string
	shop     string // DSN
	workload *workload
	millrace *rig.Millrace
	sides    *sides
	cleanup  []func() error // last first
}

// show runs the whole demo. What it starts runs until close, whatever it
// returns.
func (s *stage) show(ctx context.Context) error {
	fmt.Fprintln(s.screen.out)
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

// close leaves no process and no file behind.
func (s *stage) close() error {
	var errs []error
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		errs = append(errs, s.cleanup[i]())
	}
	return errors.Join(errs...)
}

// open starts Postgres and fills the shop.
func (s *stage) open(ctx context.Context) (err error) {
	start := time.Now()
	if s.dir, err = rig.Folder("millrace-demo"); err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, func() error { return os.RemoveAll(s.dir) })
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pg, err := localpg.New(starting, localpg.Config{Dir: filepath.Join(s.dir, "postgres"), Settings: []string{"timezone=UTC"}})
	if err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, pg.Quit)
	conn, err := pgx.Connect(ctx, pg.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+shopName); err != nil {
		return fmt.Errorf("create database %s: %w", shopName, err)
	}
	s.screen.step("Postgres", "%s on port %d, in %.1f s", conn.PgConn().ParameterStatus("server_version"), pg.Port(), time.Since(start).Seconds())

	start = time.Now()
	s.shop = pg.DSN(shopName)
	if err := openShop(ctx, s.shop); err != nil {
		return err
	}
	if conn, err = pgx.Connect(ctx, s.shop); err != nil {
		return fmt.Errorf("connect to the shop: %w", err)
	}
	s.cleanup = append(s.cleanup, func() error { return conn.Close(context.Background()) })
	s.sides = &sides{postgres: conn}
	s.workload = &workload{dsn: s.shop, rate: s.rate}
	s.screen.step("shop", "%s customers, %s orders, in %.1f s; it opens: %d transactions/s at most",
		thousands(customers), thousands(orders), time.Since(start).Seconds(), s.rate)
	return nil
}

// run shows what arrives while the shop is busy, from before the copy on.
func (s *stage) run(ctx context.Context) error {
	busy, closingTime := context.WithCancel(ctx)
	defer closingTime()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.workload.run(busy) })
	g.Go(func() error {
		defer closingTime()
		if err := s.startMillrace(ctx); err != nil {
			return err
		}
		return s.watch(ctx)
	})
	return g.Wait()
}

func (s *stage) startMillrace(ctx context.Context) error {
	start := time.Now()
	listen, err := rig.Address(dashboard)
	if err != nil {
		return err
	}
	engine := filepath.Join(s.dir, "clickhouse")
	s.millrace, err = rig.Run(rig.Config{
		Binary: s.binary, Dir: s.dir, Name: shopName,
		Source: s.shop, Target: "embedded:" + engine, Listen: listen,
	})
	if err != nil {
		return err
	}
	s.cleanup = append(s.cleanup, s.millrace.Stop)
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// It answers when its ClickHouse does.
	if err := s.millrace.Await(starting, func(*web.Status) bool { return true }); err != nil {
		return err
	}
	if s.sides.clickhouse, err = embedded.Find(engine); err != nil {
		return err
	}
	version, err := s.sides.askClickHouse(ctx, "SELECT version()")
	if err != nil {
		return err
	}
	s.screen.step("millrace", "with ClickHouse %s inside, in %.1f s", version.rows[0][0], time.Since(start).Seconds())
	s.screen.step("dashboard", "http://%s", listen)
	s.screen.step("SQL console", "%s/play (user default, no password)", s.sides.clickhouse)
	if !s.screen.terminal {
		fmt.Fprintln(s.screen.out)
	}
	return nil
}

// watch shows a sample a second.
func (s *stage) watch(ctx context.Context) error {
	end := time.Now().Add(s.options.watch)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		m, err := s.sample(ctx)
		if err != nil {
			return err
		}
		left := time.Until(end)
		s.screen.show(m, max(left, 0))
		if left <= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *stage) sample(ctx context.Context) (*sample, error) {
	status, err := s.millrace.Status(ctx)
	if err != nil {
		return nil, s.blame(err)
	}
	m, err := s.sides.take(ctx, status, s.workload)
	if err != nil {
		return nil, s.blame(err)
	}
	return m, nil
}

// blame returns why millrace ended, if that is why nobody answered.
func (s *stage) blame(err error) error {
	select {
	case <-s.millrace.Done():
		return cmp.Or(s.millrace.Err(), err)
	case <-time.After(time.Second):
		return err
	}
}

// settle waits until everything has arrived, then compares.
func (s *stage) settle(ctx context.Context) error {
	start := time.Now()
	answer, err := s.sides.askPostgres(ctx, "SELECT pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	end, err := pglogrepl.ParseLSN(answer.rows[0][0])
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	settling, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = s.millrace.Await(settling, func(status *web.Status) bool {
		reached, err := pglogrepl.ParseLSN(status.Source.Position)
		return err == nil && reached >= end && status.State == web.Streaming
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(s.screen.out)
	s.screen.step("closed", "after %s transactions and %s that were rolled back",
		thousands(s.workload.committed.Load()), thousands(s.workload.rolledBack.Load()))
	s.screen.step("caught up", "%d ms later, at %s", time.Since(start).Milliseconds(), end)
	all, err := s.sides.compare(ctx)
	if err != nil {
		return s.blame(err)
	}
	m, err := s.sample(ctx)
	if err != nil {
		return err
	}
	return s.screen.verdict(all, m)
}
