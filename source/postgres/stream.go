package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// The walsender sends each message by itself: a large buffer gathers what has
// arrived in one read.
const streamBuffer = 1 << 20

const (
	maxStandbyInterval = 10 * time.Second
	minStandbyInterval = 100 * time.Millisecond
	patience           = 2 * time.Minute
	longPatience       = 10 * time.Minute
	closeTimeout       = time.Second
)

// Stream implements source.Source.
func (s *Source) Stream(ctx context.Context, from position.Position, tables []*source.Table, h source.Handler) error {
	start := pglogrepl.LSN(from.Order)
	timeout, err := s.checkSlot(ctx, start)
	if err != nil {
		return err
	}
	conn, err := s.connectReplication(ctx, streamBuffer)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	options := pglogrepl.StartReplicationOptions{Mode: pglogrepl.LogicalReplication, PluginArgs: s.pluginArgs(tables)}
	if err := pglogrepl.StartReplication(ctx, conn, quote(s.cfg.Slot), start, options); err != nil {
		return fmt.Errorf("start replication from slot %q at %s: %w", s.cfg.Slot, start, classify(err))
	}
	s.log.Info("streaming", "slot", s.cfg.Slot, "from", start.String(), "format", s.format(tables))
	s.acked.Store(from.Order)
	keep := &standby{conn: conn, acked: &s.acked, wake: s.wake, interval: standbyInterval(timeout), patience: silence(serverVersion(conn), timeout)}
	st := newStream(s, keep, tables, h, start)

	return converse(ctx, keep, st)
}

// converse runs the reader and the standby until ctx ends or one of them fails.
func converse(ctx context.Context, keep *standby, st *stream) error {
	g, ctx := errgroup.WithContext(ctx)
	// Whoever wants the end: what waits for the network is ended by a deadline.
	defer context.AfterFunc(ctx, func() { _ = keep.conn.Conn().SetDeadline(time.Unix(1, 0)) })()
	g.Go(func() error { return keep.run(ctx) })
	g.Go(func() error { return st.run(ctx, keep.conn.Frontend()) })
	return g.Wait()
}

// checkSlot makes sure that the slot is there and gives the log from start on.
// It returns the server's wal_sender_timeout, 0 for none.
func (s *Source) checkSlot(ctx context.Context, start pglogrepl.LSN) (time.Duration, error) {
	s.control.Lock()
	defer s.control.Unlock()
	conn, err := s.session(ctx)
	if err != nil {
		return 0, err
	}
	slot, err := s.readSlot(ctx, conn)
	if err != nil {
		return 0, err
	}
	if err := slot.usable(s.cfg.Slot); err != nil {
		return 0, err
	}
	if slot.confirmed > start {
		return 0, source.WithHint(
			fmt.Errorf("slot %q is at %s, ahead of the saved position %s: the server no longer has what lies between", s.cfg.Slot, slot.confirmed, start),
			"if an older state file was restored, bring back the newest one; otherwise "+startOver)
	}
	var millis int64
	err = conn.QueryRow(ctx, "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'").Scan(&millis)
	if err != nil {
		return 0, fmt.Errorf("read wal_sender_timeout: %w", classify(err))
	}
	// The flushed log may end inside a record, of hint bits for instance, that
	// nobody has a reason to flush: then nobody gets to its end. A commit has.
	_, err = conn.Exec(ctx, "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_xact_id() END")
	if err != nil {
		return 0, fmt.Errorf("complete the log's last record: %w", classify(err))
	}
	return time.Duration(millis) * time.Millisecond, nil
}

// silence is how long a server may say nothing before it is given up. One before
// 15, or without wal_sender_timeout, answers nobody while it decodes a large
// transaction of which nothing is published.
func silence(version int, timeout time.Duration) time.Duration {
	if version < 15 || timeout <= 0 {
		return longPatience
	}
	return max(patience, 2*timeout)
}

func standbyInterval(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return maxStandbyInterval
	}
	return min(max(timeout/3, minStandbyInterval), maxStandbyInterval)
}

// pluginArgs returns pgoutput's options. The tuple format is one for the whole
// connection: binary where every column of every table has a decoder for it.
func (s *Source) pluginArgs(tables []*source.Table) []string {
	args := []string{"proto_version '1'", "publication_names " + literal(quote(s.cfg.Publication))}
	if s.format(tables) == "binary" {
		args = append(args, "binary 'true'")
	}
	return args
}

// format is the tuples' form on the connection, and that of fetched cells.
func (s *Source) format(tables []*source.Table) string {
	for _, t := range tables {
		for i := range t.Columns {
			if t.Columns[i].Binary == nil {
				return "text"
			}
		}
	}
	return "binary"
}

func closeConn(conn *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// Ack implements source.Source.
func (s *Source) Ack(p position.Position) {
	s.acked.Store(p.Order)
	s.wakeStandby()
}

func (s *Source) wakeStandby() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stream decodes the messages of one replication connection.
type stream struct {
	source  *Source
	keep    *standby
	handler source.Handler
	known   map[uint32]*table // by oid, as last announced
	// same asks the catalog whether a table has the name and the columns that it
	// was announced with.
	same func(ctx context.Context, t *table) (bool, error)

	relations map[uint32]*described
	end       pglogrepl.LSN // position behind the last transaction or keepalive
	version   uint64        // of the open transaction
	time      int64         // its commit time, µs since 1970
	inside    bool          // between Begin and Commit
	rows      bool          // the open transaction has rows of ours
	row       source.Row
	refused   error // the handler's
}

func newStream(s *Source, keep *standby, tables []*source.Table, h source.Handler, start pglogrepl.LSN) *stream {
	st := &stream{
		source: s, keep: keep, handler: h, end: start, same: s.same,
		known: make(map[uint32]*table), relations: make(map[uint32]*described),
	}
	for _, t := range tables {
		oid := uint32(t.Handle)
		st.known[oid] = &table{Table: t, attributes: s.attributes(oid)}
	}
	return st
}

// run reads until ctx ends or the connection does.
func (s *stream) run(ctx context.Context, from *pgproto3.Frontend) error {
	for {
		s.keep.reading.Store(true)
		msg, err := from.Receive()
		s.keep.reading.Store(false)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", classify(err))
		}
		s.keep.heard.Add(1)
		switch msg := msg.(type) {
		case *pgproto3.CopyData:
			if err := s.copyData(ctx, msg.Data); err != nil {
				return err
			}
		case *pgproto3.ErrorResponse:
			return fmt.Errorf("read the log: %w", classify(pgconn.ErrorResponseToPgError(msg)))
		case *pgproto3.CopyDone, *pgproto3.CommandComplete:
			return fmt.Errorf("%w: the server ended the stream", source.ErrDisconnected)
		}
	}
}

// copyData takes one message of the streaming replication protocol (manual:
// "Streaming Replication Protocol").
func (s *stream) copyData(ctx context.Context, data []byte) error {
	r := reader{data: data}
	switch kind := r.byte(); kind {
	case pglogrepl.XLogDataByteID:
		r.take(8 + 8 + 8) // WAL start, WAL end, send time
		err := s.message(ctx, &r)
		if err != nil && s.refused == nil {
			return fmt.Errorf("pgoutput message after %s: %w", s.end, err)
		}
		return err
	case pglogrepl.PrimaryKeepaliveMessageByteID:
		end := pglogrepl.LSN(r.uint64())
		r.take(8)
		reply := r.byte() != 0
		if err := r.err(); err != nil {
			return fmt.Errorf("keepalive message: %w", err)
		}
		return s.keepalive(ctx, end, reply)
	default:
		return fmt.Errorf("the server sent an unknown message %q", kind)
	}
}

// keepalive moves the position of an idle log on: outside a transaction,
// everything before end that concerns us has been received.
func (s *stream) keepalive(ctx context.Context, end pglogrepl.LSN, reply bool) error {
	if reply {
		s.source.wakeStandby()
	}
	if s.inside || end <= s.end {
		return nil
	}
	s.end = end
	return s.took(s.handler.Commit(ctx, source.Commit{Position: lsnPosition(end), Idle: true}))
}

// took notes the handler's answer. Its error goes back to the caller as it is.
func (s *stream) took(err error) error {
	s.refused = err
	return err
}

func lsnPosition(lsn pglogrepl.LSN) position.Position {
	return position.Position{Order: uint64(lsn), Text: lsn.String()}
}

var errOutside = errors.New("change outside a transaction")

// message takes one pgoutput message (manual: "Logical Replication Message
// Formats").
func (s *stream) message(ctx context.Context, r *reader) error {
	switch kind := r.byte(); kind {
	case 'I', 'U', 'D', 'T':
		if !s.inside {
			return errOutside
		}
		if kind == 'T' {
			return s.truncate(ctx, r)
		}
		return s.change(ctx, kind, r)
	case 'B':
		return s.begin(r)
	case 'C':
		return s.commit(ctx, r)
	case 'R':
		return s.relation(ctx, r)
	case 'O', 'Y', 'M': // origin, type, logical message: nothing for us
		return nil
	default:
		return fmt.Errorf("unknown kind %q", kind)
	}
}

// begin: int64 commit LSN, int64 commit time, int32 xid.
func (s *stream) begin(r *reader) error {
	if s.inside {
		return errors.New("a transaction begins inside another")
	}
	s.version = r.uint64()
	s.time = int64(r.uint64()) + epochMicros
	r.uint32()
	s.inside, s.rows = true, false
	return r.err()
}

// commit: byte flags, int64 commit LSN, int64 end LSN, int64 commit time.
func (s *stream) commit(ctx context.Context, r *reader) error {
	r.byte()
	r.uint64()
	end := pglogrepl.LSN(r.uint64())
	r.uint64()
	if err := r.err(); err != nil {
		return err
	}
	if !s.inside {
		return errOutside
	}
	s.inside, s.end = false, end
	return s.took(s.handler.Commit(ctx, source.Commit{
		Position: lsnPosition(end), Time: time.UnixMicro(s.time), Idle: !s.rows,
	}))
}

// change takes an Insert, Update or Delete: int32 relation, then tuples, each
// behind a byte: 'K' the old key, 'O' the old row, 'N' the new row.
func (s *stream) change(ctx context.Context, kind byte, r *reader) error {
	oid := r.uint32()
	rel := s.relations[oid]
	if rel == nil {
		if r.short {
			return errShort
		}
		return fmt.Errorf("change of relation %d, which was not described", oid)
	}
	if rel.table == nil {
		return nil
	}
	row := &s.row
	row.Table, row.Version, row.Time, row.Old, row.New = rel.table, s.version, s.time, nil, nil
	switch kind {
	case 'I':
		row.Op = source.Insert
	case 'U':
		row.Op = source.Update
	case 'D':
		row.Op = source.Delete
	}
	mark := r.byte()
	if mark == 'K' || mark == 'O' {
		if err := r.tuple(rel.old, rel.order); err != nil {
			return err
		}
		if mark == 'K' {
			rel.onlyKey()
		}
		row.Old = rel.old
		if kind != 'D' {
			mark = r.byte()
		}
	} else if kind == 'D' {
		return fmt.Errorf("delete in %s without an old row", rel.table)
	}
	if kind != 'D' {
		if mark != 'N' {
			return fmt.Errorf("new row of %s expected, found %q", rel.table, mark)
		}
		if err := r.tuple(rel.new, rel.order); err != nil {
			return err
		}
		row.New = rel.new
	}
	s.rows = true
	return s.took(s.handler.Row(ctx, row))
}

// truncate: int32 number of relations, byte options, int32 each.
func (s *stream) truncate(ctx context.Context, r *reader) error {
	n := int(r.uint32())
	r.byte()
	for range n {
		oid := r.uint32()
		if r.short {
			return errShort
		}
		rel := s.relations[oid]
		if rel == nil {
			return fmt.Errorf("truncate of relation %d, which was not described", oid)
		}
		if rel.table == nil {
			continue
		}
		s.rows = true
		s.row = source.Row{Table: rel.table, Op: source.Truncate, Version: s.version, Time: s.time}
		if err := s.took(s.handler.Row(ctx, &s.row)); err != nil {
			return err
		}
	}
	return r.err()
}
