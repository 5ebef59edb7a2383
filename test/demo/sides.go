package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/sink/embedded"
)

// sides asks both databases the same question. One goroutine uses it.
type sides struct {
	postgres   *pgx.Conn
	clickhouse string // base URL
}

// An answer is a result as text, cell by cell, and how long it took.
type answer struct {
	rows [][]string
	took time.Duration
}

// ask asks both at the same moment.
func (s *sides) ask(ctx context.Context, postgres, clickhouse string) (p, c answer, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { p, err = s.askPostgres(ctx, postgres); return })
	g.Go(func() (err error) { c, err = s.askClickHouse(ctx, clickhouse); return })
	return p, c, g.Wait()
}

func (s *sides) askPostgres(ctx context.Context, statement string) (a answer, err error) {
	start := time.Now()
	rows, err := s.postgres.Query(ctx, statement, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return a, fmt.Errorf("ask Postgres: %w", err)
	}
	for rows.Next() {
		var row []string
		for _, cell := range rows.RawValues() {
			row = append(row, string(cell))
		}
		a.rows = append(a.rows, row)
	}
	if err := rows.Err(); err != nil {
		return a, fmt.Errorf("ask Postgres: %w", err)
	}
	a.took = time.Since(start)
	return a, nil
}

// askClickHouse is for results without tabs and line breaks.
func (s *sides) askClickHouse(ctx context.Context, statement string) (a answer, err error) {
	start := time.Now()
	var b bytes.Buffer
	if err := embedded.Query(ctx, s.clickhouse, statement, "TabSeparated", &b); err != nil {
		return a, err
	}
	a.took = time.Since(start)
	for line := range strings.Lines(b.String()) {
		a.rows = append(a.rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return a, nil
}
