// Package postgres reads Postgres 14 to 18: a snapshot by COPY, then the
// write-ahead log through a logical replication slot and pgoutput.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/source"
)

// Config is what a Source needs to know.
type Config struct {
	DSN         string // postgres://… or keyword/value form
	Name        string // the pipeline; part of the publication's owner mark
	Slot        string
	Publication string
	Select      source.Selection
	Workers     int // sessions that copy at the same time
	ChunkRows   int // rows of a chunk, about
	// AsText says which columns are wanted as the text that Postgres prints,
	// whatever their type; nil: none.
	AsText func(schema, table, column string) bool
	Memory source.Memory
	Logger *slog.Logger
}

// A Source is one Postgres database. It implements source.Source.
type Source struct {
	cfg   Config
	log   *slog.Logger
	acked atomic.Uint64 // LSN up to which everything is saved
	wake  chan struct{} // wakes the standby

	control sync.Mutex // held while conn is used
	conn    *pgx.Conn  // for questions; nil until the first

	mu     sync.Mutex
	tables map[uint32]*table // by pg_class.oid; written by Tables, see catalog.go
}

var _ source.Source = (*Source)(nil)

// New returns a Source. It does not connect.
func New(cfg Config) *Source {
	cfg.Workers, cfg.ChunkRows = max(cfg.Workers, 1), max(cfg.ChunkRows, 1)
	if cfg.AsText == nil {
		cfg.AsText = func(_, _, _ string) bool { return false }
	}
	return &Source{cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), tables: make(map[uint32]*table)}
}

// Kind implements source.Source.
func (s *Source) Kind() string { return "postgres" }

// Close implements source.Source.
func (s *Source) Close() error {
	s.control.Lock()
	defer s.control.Unlock()
	if s.conn != nil {
		closeConn(s.conn.PgConn())
		s.conn = nil
	}
	return nil
}

// table returns what is known of a table, nil if nothing.
func (s *Source) table(oid uint32) *table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables[oid]
}

// attributes returns a table's columns as the catalog had them.
func (s *Source) attributes(oid uint32) []attribute {
	if t := s.table(oid); t != nil {
		return t.attributes
	}
	return nil
}

// rowFilter returns the condition that the publication puts on a table's rows.
func (s *Source) rowFilter(t *source.Table) string {
	info := s.table(uint32(t.Handle))
	switch {
	case info == nil:
		return ""
	case info.noInserts:
		return "false"
	}
	return info.filter
}

// same reports whether a table is still called as it was announced and has the
// same columns. The log tells their names and types; a column that was dropped
// and added again has another number. One that is gone is as it was: what the
// log still has of it is from before.
func (s *Source) same(ctx context.Context, t *table) (bool, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return false, err
	}
	var numbers []int16
	for _, a := range t.attributes {
		numbers = append(numbers, a.num)
	}
	var schema, name string
	var found int
	err = conn.QueryRow(ctx, `
		SELECT n.nspname, c.relname, (SELECT count(*) FROM pg_attribute
			WHERE attrelid = c.oid AND attnum = ANY($2) AND NOT attisdropped)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = $1`, uint32(t.Handle), numbers).Scan(&schema, &name, &found)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read columns of %s: %w", t, classify(err))
	}
	return schema == t.Schema && name == t.Name && found == len(numbers), nil
}

// redescribe reads a table anew and keeps that; nil when it is gone.
func (s *Source) redescribe(ctx context.Context, oid uint32) (*table, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	_, info, err := s.describe(ctx, conn, oid)
	if errors.Is(err, errNoTable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tables[oid] = info
	return info, nil
}
