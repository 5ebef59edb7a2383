package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// lockTimeout bounds the tries to get ACCESS SHARE, which only an ALTER TABLE, a
// TRUNCATE and their like keep from us.
const lockTimeout = 60 * time.Second

// snapshotAttempts bounds the snapshots that are taken because tables are
// rewritten right after.
const snapshotAttempts = 10

var errRewritten = errors.New("a table was rewritten or truncated before it could be locked")

// A slot that is being made is noted under this key, so that one which a crash
// left before its position was saved is known for ours.
const memorySlot = "postgres.slot"

// Begin implements source.Source.
//
// The publication comes before the snapshot: a change that is in neither would
// be lost. The locks come after it, since the snapshot waits for all running
// transactions, and one of those may wait for our locks. A table that is
// rewritten between the two looks empty in the snapshot; then another one is
// taken. What has changed meanwhile in other ways is read again behind the
// locks: partitions may have come, and columns may have other types.
func (s *Source) Begin(ctx context.Context, streaming, tables []*source.Table, first bool) (source.Snapshot, error) {
	if err := s.prepare(ctx, streaming, tables, first); err != nil {
		return nil, err
	}
	if len(tables) == 0 && !first {
		return &snapshot{source: s}, nil
	}
	for attempt := 1; ; attempt++ {
		snap := &snapshot{source: s, tables: tables, free: make(chan *pgx.Conn, s.cfg.Workers)}
		err := snap.open(ctx, first)
		if err == nil {
			err = snap.read(ctx)
		}
		if err == nil {
			return snap, nil
		}
		_ = snap.Close()
		if first && !snap.position.IsZero() { // nobody keeps it
			if dropErr := s.dropSlot(context.WithoutCancel(ctx)); dropErr != nil {
				return nil, errors.Join(err, dropErr)
			}
		}
		if !errors.Is(err, errRewritten) || attempt == snapshotAttempts {
			return nil, err
		}
		s.log.Info("taking another snapshot", "cause", err)
	}
}

// prepare makes the slot and the publication ready. What comes after it may wait
// for hours, and others have questions meanwhile.
func (s *Source) prepare(ctx context.Context, streaming, tables []*source.Table, first bool) error {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return err
	}
	if err := s.prepareSlot(ctx, conn, first); err != nil {
		return err
	}
	if err := s.checkPublished(ctx, conn, streaming); err != nil {
		return err
	}
	return s.ensurePublication(ctx, conn, append(slices.Clone(streaming), tables...))
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
		if slot.active {
			// Its session waits for a transaction and does not look whether we
			// are still there. We are: the pipeline's lock is ours.
			if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend($1)", slot.activePID); err != nil {
				return fmt.Errorf("end the session that was making slot %q: %w", s.cfg.Slot, classify(err))
			}
		}
		return s.dropSlot(ctx)
	}
	return source.WithHint(
		fmt.Errorf("slot %q exists, but the state file knows of no position: it was lost, or the slot belongs to somebody else", s.cfg.Slot),
		"bring back the state file; or, to copy everything again, run `millrace teardown`, drop the target tables and run again; or set source.slot to another name")
}

// A snapshot is a set of sessions that see the same state of the database.
// Each holds ACCESS SHARE on all tables.
type snapshot struct {
	source   *Source
	tables   []*source.Table
	known    map[uint32]*table // by oid, as they are under the locks
	position position.Position
	exporter *pgconn.PgConn // holds the exported snapshot
	name     string         // of the exported snapshot
	free     chan *pgx.Conn // sessions that nobody uses

	mu     sync.Mutex
	opened []*pgx.Conn // all sessions, to close them
}

// open makes the slot or waits out what runs, then opens the sessions.
func (p *snapshot) open(ctx context.Context, first bool) error {
	s := p.source
	var err error
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
	deadline := time.Now().Add(lockTimeout)
	for {
		err := p.openSessions(ctx)
		if !hasCode(err, "55P03") { // lock not available
			return err
		}
		if time.Now().After(deadline) {
			return source.WithHint(err, "an ALTER TABLE, TRUNCATE or VACUUM FULL holds one of them: find it in pg_stat_activity, wait for it and run again")
		}
		p.closeSessions()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

func (p *snapshot) openSessions(ctx context.Context) error {
	for range p.source.cfg.Workers {
		conn, err := p.session(ctx)
		if err != nil {
			return err
		}
		p.free <- conn
	}
	return nil
}

// session opens a session that sees the snapshot and keeps the tables from
// being rewritten, truncated or dropped.
//
// It does not wait for a lock: who holds it may wait for one that another of
// our sessions has, or stand in the queue behind that.
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
	if hasCode(err, "22023", "42704") { // no such snapshot: the exporter was lost
		err = lost{err}
	}
	if err != nil {
		return nil, fmt.Errorf("use snapshot %s: %w", p.name, classify(err))
	}
	if len(p.tables) == 0 {
		return conn, nil
	}
	names := make([]string, len(p.tables))
	for i, t := range p.tables {
		names[i] = quote(t.Schema, t.Name)
	}
	if _, err := conn.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN ACCESS SHARE MODE NOWAIT"); err != nil {
		return nil, fmt.Errorf("lock the tables to copy: %w", classify(err))
	}
	return conn, p.whole(ctx, conn)
}

// whole returns an error when a locked table has another file than in the
// snapshot: the rows in it are not in the snapshot.
func (p *snapshot) whole(ctx context.Context, conn *pgx.Conn) error {
	// The column is the snapshot's, the function's result the present one.
	var name string
	err := conn.QueryRow(ctx, tree+`SELECT c.oid::regclass::text FROM tree JOIN pg_class c USING (oid)
		WHERE c.relkind <> 'p' AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid) LIMIT 1`, p.oids()).Scan(&name)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for rewritten tables: %w", classify(err))
	}
	return source.WithHint(fmt.Errorf("%w: %s", errRewritten, name), "run again when nothing rewrites or truncates it over and over")
}

func (p *snapshot) oids() []uint32 {
	oids := make([]uint32, len(p.tables))
	for i, t := range p.tables {
		oids[i] = uint32(t.Handle)
	}
	return oids
}

// read reads the tables as they are under the locks, and refuses those that
// have another shape than was announced. conn is any session.
func (p *snapshot) read(ctx context.Context) error {
	p.source.control.Lock()
	defer p.source.control.Unlock()
	conn, err := p.source.session(ctx)
	if err != nil {
		return err
	}
	c, err := p.source.readThese(ctx, conn, p.oids())
	if err != nil {
		return err
	}
	p.known = make(map[uint32]*table, len(c.tables))
	for _, t := range c.tables {
		p.known[t.oid] = t
	}
	for _, t := range p.tables {
		if now := p.known[uint32(t.Handle)]; now == nil || now.String() != t.String() || !now.SameShape(t) {
			return source.WithHint(fmt.Errorf("table %s was altered before it could be locked", t), "start again")
		}
	}
	return nil
}

// closeSessions also gives up their locks. Nobody uses the sessions.
func (p *snapshot) closeSessions() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.opened {
		closeConn(conn.PgConn())
	}
	p.opened = nil
	for len(p.free) > 0 {
		<-p.free
	}
}

// Position implements source.Snapshot.
func (p *snapshot) Position() position.Position { return p.position }

// Close implements source.Snapshot.
func (p *snapshot) Close() error {
	p.closeSessions()
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
	defer p.release(conn)
	rows := newCopyReader(ctx, t, h)
	_, err = conn.PgConn().CopyTo(ctx, rows, p.source.copySQL(t, c))
	switch {
	case rows.refused != nil:
		return rows.refused
	case err == nil:
		err = rows.end()
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", t, classify(err))
	}
	return nil
}

// acquire returns a session that nobody uses, a new one when there is none.
func (p *snapshot) acquire(ctx context.Context) (*pgx.Conn, error) {
	select {
	case conn := <-p.free:
		return conn, nil
	default:
	}
	return p.session(ctx)
}

// release gives a session back. One whose transaction has failed is of no use,
// and no more are kept than there are workers.
func (p *snapshot) release(conn *pgx.Conn) {
	if !conn.IsClosed() && conn.PgConn().TxStatus() == 'T' {
		select {
		case p.free <- conn:
			return
		default:
		}
	}
	closeConn(conn.PgConn())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = slices.DeleteFunc(p.opened, func(c *pgx.Conn) bool { return c == conn })
}
