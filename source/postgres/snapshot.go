package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// lockTimeout bounds the wait for ACCESS SHARE, which only an ALTER TABLE, a
// TRUNCATE and their like hold up.
const lockTimeout = 60 * time.Second

// A slot that is being made is noted under this key, so that one which a crash
// left before its position was saved is known for ours.
const memorySlot = "postgres.slot"

// Begin implements source.Source.
//
// The locks come before the snapshot: a table that is rewritten between the
// two would look empty in the snapshot. The publication comes before both: a
// change that is in neither snapshot nor publication would be lost.
func (s *Source) Begin(ctx context.Context, streaming, tables []*source.Table, first bool) (source.Snapshot, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.prepareSlot(ctx, conn, first); err != nil {
		return nil, err
	}
	all := append(append([]*source.Table(nil), streaming...), tables...)
	if err := s.ensurePublication(ctx, conn, all); err != nil {
		return nil, err
	}
	if len(tables) == 0 && !first {
		return &snapshot{source: s}, nil
	}
	snap := &snapshot{source: s, free: make(chan *pgx.Conn, s.cfg.Workers)}
	if err := snap.open(ctx, tables, first); err != nil {
		_ = snap.Close()
		return nil, err
	}
	return snap, nil
}

// prepareSlot makes sure that the slot is there, or that it is not.
func (s *Source) prepareSlot(ctx context.Context, conn *pgx.Conn, first bool) error {
	slot, err := s.readSlot(ctx, conn)
	if err != nil {
		return err
	}
	if !first {
		return slot.usable(s.cfg.Slot)
	}
	if !slot.exists {
		return nil
	}
	mark, err := s.cfg.Memory.Get(memorySlot)
	if err != nil {
		return err
	}
	if string(mark) == s.cfg.Slot {
		s.log.Info("dropping the slot of a start that was cut off", "slot", s.cfg.Slot)
		return s.dropSlot(ctx)
	}
	return source.WithHint(
		fmt.Errorf("slot %q exists, but the state file knows of no position: it was lost, or the slot belongs to somebody else", s.cfg.Slot),
		"bring back the state file; or, to copy everything again, run `millrace teardown`, drop the target tables and run again; or set source.slot to another name")
}

// A snapshot is a set of sessions that see the same state of the database.
type snapshot struct {
	source   *Source
	position position.Position
	locker   *pgx.Conn      // holds ACCESS SHARE on all tables
	exporter *pgconn.PgConn // holds the exported snapshot
	name     string         // of the exported snapshot
	free     chan *pgx.Conn // sessions that nobody uses

	mu     sync.Mutex
	opened []*pgx.Conn // all sessions, to close them
}

// open locks the tables, makes the slot or waits out what runs, and opens the
// sessions.
func (p *snapshot) open(ctx context.Context, tables []*source.Table, first bool) error {
	s := p.source
	var err error
	if p.locker, err = s.connect(ctx); err != nil {
		return err
	}
	if err := lockTables(ctx, p.locker, tables); err != nil {
		return err
	}
	if p.exporter, err = s.connectReplication(ctx, 1<<13); err != nil {
		return err
	}
	if first {
		if err := s.cfg.Memory.Put(memorySlot, []byte(s.cfg.Slot)); err != nil {
			return err
		}
		var lsn pglogrepl.LSN
		if lsn, p.name, err = s.createSlot(ctx, p.exporter); err != nil {
			return err
		}
		p.position = lsnPosition(lsn)
	} else if p.name, err = s.waitOut(ctx, p.exporter); err != nil {
		return err
	}
	for range s.cfg.Workers {
		conn, err := p.session(ctx)
		if err != nil {
			return err
		}
		p.free <- conn
	}
	return nil
}

// lockTables keeps the tables from being rewritten, truncated or dropped. It
// takes no transaction id, so it does not hold up the making of a slot.
func lockTables(ctx context.Context, conn *pgx.Conn, tables []*source.Table) error {
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = quote(t.Schema, t.Name)
	}
	sql := fmt.Sprintf("BEGIN READ ONLY; SET LOCAL lock_timeout = %d", lockTimeout.Milliseconds())
	if len(names) > 0 {
		sql += "; LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE"
	}
	_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if hasCode(err, "55P03") {
		return source.WithHint(fmt.Errorf("lock the tables to copy: %w", err),
			"an ALTER TABLE, TRUNCATE or VACUUM FULL holds one of them: find it in pg_stat_activity, wait for it and run again")
	}
	if err != nil {
		return fmt.Errorf("lock the tables to copy: %w", classify(err))
	}
	return nil
}

// session opens a session that sees the snapshot.
func (p *snapshot) session(ctx context.Context) (*pgx.Conn, error) {
	conn, err := p.source.connect(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.opened = append(p.opened, conn)
	p.mu.Unlock()
	_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT "+literal(p.name),
		pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, fmt.Errorf("use snapshot %s: %w", p.name, classify(err))
	}
	return conn, nil
}

// Position implements source.Snapshot.
func (p *snapshot) Position() position.Position { return p.position }

// Close implements source.Snapshot.
func (p *snapshot) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range append(p.opened, p.locker) {
		if conn != nil {
			closeConn(conn.PgConn())
		}
	}
	if p.exporter != nil {
		closeConn(p.exporter)
	}
	return nil
}

// Read implements source.Snapshot.
func (p *snapshot) Read(ctx context.Context, t *source.Table, c source.Chunk, h source.Handler) error {
	conn, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	rows := newCopyReader(ctx, t, h)
	_, err = conn.PgConn().CopyTo(ctx, rows, p.source.copySQL(t, c))
	if errors.Is(err, rows.err) && rows.err != nil {
		err = rows.err
	} else if err != nil {
		err = classify(err)
	} else {
		err = rows.end()
	}
	if !conn.IsClosed() {
		p.free <- conn
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", t, err)
	}
	return nil
}

// acquire returns a session that nobody uses, a new one when one was lost.
func (p *snapshot) acquire(ctx context.Context) (*pgx.Conn, error) {
	select {
	case conn := <-p.free:
		return conn, nil
	default:
	}
	return p.session(ctx)
}
