package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

const (
	lockPatience = 5 * time.Second
	lockPause    = 100 * time.Millisecond
)

// session returns the session for questions, whose lock the caller holds. It
// also holds the pipeline's lock on the server.
func (s *Source) session(ctx context.Context) (*pgx.Conn, error) {
	if s.conn != nil && !s.conn.IsClosed() {
		return s.conn, nil
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.lockSoon(ctx, conn); err != nil {
		closeConn(conn.PgConn())
		if s.conn != nil {
			// Most likely it is our own session from before, which the server
			// has not given up yet.
			err = lost{err}
		}
		return nil, err
	}
	s.conn = conn
	return conn, nil
}

// lockSoon takes the pipeline's lock. It gives the session of a process that
// was killed a moment to end.
func (s *Source) lockSoon(ctx context.Context, conn *pgx.Conn) error {
	deadline := time.Now().Add(lockPatience)
	for {
		err := s.lockPipeline(ctx, conn)
		if err == nil || errors.Is(err, source.ErrDisconnected) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

// Latest implements source.Source.
func (s *Source) Latest(ctx context.Context) (position.Position, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return position.Position{}, err
	}
	var text string
	err = conn.QueryRow(ctx, `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
		ELSE pg_current_wal_flush_lsn() END::text`).Scan(&text)
	if err != nil {
		return position.Position{}, fmt.Errorf("read the log's end: %w", classify(err))
	}
	lsn, err := pglogrepl.ParseLSN(text)
	if err != nil {
		return position.Position{}, fmt.Errorf("read the log's end: %w", err)
	}
	return lsnPosition(lsn), nil
}

// Fetch implements source.Source.
func (s *Source) Fetch(ctx context.Context, t *source.Table, key []source.Cell, columns []int) ([]source.Cell, bool, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return nil, false, err
	}
	types, err := s.keyTypes(t, columns)
	if err != nil {
		return nil, false, fmt.Errorf("fetch a row of %s: %w", t, err)
	}
	var values [][]byte
	var forms []int16
	for _, cell := range key {
		values = append(values, cell.Bytes)
		forms = append(forms, formatCode(cell.Kind))
	}
	results := make([]int16, len(columns))
	for i, c := range columns {
		if t.Columns[c].Binary != nil {
			results[i] = formatCode(source.Binary)
		}
	}
	r := conn.PgConn().ExecParams(ctx, s.fetchSQL(t, columns), values, types, forms, results).Read()
	if r.Err != nil {
		return nil, false, fmt.Errorf("fetch a row of %s: %w", t, classify(r.Err))
	}
	if len(r.Rows) == 0 {
		return nil, false, nil
	}
	cells := make([]source.Cell, len(columns))
	for i, value := range r.Rows[0] {
		switch {
		case value == nil:
		case results[i] == formatCode(source.Binary):
			cells[i] = source.Cell{Kind: source.Binary, Bytes: value}
		default:
			cells[i] = source.Cell{Kind: source.Text, Bytes: value}
		}
	}
	return cells, true, nil
}

// keyTypes returns the types of a table's key columns, and an error when the
// key or one of some columns is no longer what it was. Others do not matter.
func (s *Source) keyTypes(t *source.Table, columns []int) ([]uint32, error) {
	info := s.table(uint32(t.Handle))
	if info == nil || len(info.Key) != len(t.Key) {
		return nil, errors.New("it is gone, or its key has changed")
	}
	types := make([]uint32, len(t.Key))
	for i, k := range t.Key {
		a := info.attribute(&t.Columns[k])
		if a == nil || a.name != info.Columns[info.Key[i]].Name {
			return nil, fmt.Errorf("its key has changed: %q", t.Columns[k].Name)
		}
		types[i] = a.typ
	}
	for _, c := range columns {
		if info.attribute(&t.Columns[c]) == nil {
			return nil, fmt.Errorf("column %q has changed", t.Columns[c].Name)
		}
	}
	return types, nil
}

// formatCode is the protocol's code of a cell's form.
func formatCode(k source.CellKind) int16 {
	if k == source.Binary {
		return 1
	}
	return 0
}

// fetchSQL reads a row by its key: from the table itself, not from those that
// inherit it, unless it is partitioned.
func (s *Source) fetchSQL(t *source.Table, columns []int) string {
	only := "ONLY "
	if info := s.table(uint32(t.Handle)); info != nil && info.kind == "p" {
		only = ""
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quote(t.Columns[c].Name)
	}
	where := make([]string, len(t.Key))
	for i, k := range t.Key {
		where[i] = fmt.Sprintf("%s = $%d", quote(t.Columns[k].Name), i+1)
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + only + quote(t.Schema, t.Name) + " WHERE " + strings.Join(where, " AND ")
}
