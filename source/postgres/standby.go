package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/source"
)

// standby tells the server how far it may discard its log, while the reader
// reads or waits. It writes to the connection that the reader reads from.
type standby struct {
	conn     *pgconn.PgConn
	acked    *atomic.Uint64 // LSN up to which everything is saved
	wake     <-chan struct{}
	interval time.Duration
	patience time.Duration // silence after which the server is given up

	reading atomic.Bool   // the reader waits for the server, not for the handler
	heard   atomic.Uint64 // messages so far
}

// run sends a status update every interval and whenever woken, and asks for an
// answer, which tells an idle reader how far the log is. It returns when ctx
// ends or the connection is dead.
func (s *standby) run(ctx context.Context) error {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	heard, since := s.heard.Load(), time.Now()
	for {
		if err := s.send(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-ticker.C:
		}
		if now := s.heard.Load(); now != heard || !s.reading.Load() {
			heard, since = now, time.Now()
		} else if time.Since(since) > s.patience {
			return fmt.Errorf("%w: the server has been silent for %s", source.ErrDisconnected, s.patience)
		}
	}
}

// send waits no longer than for patience: a server that is gone takes nothing,
// and what waits to be sent to it is soon full.
func (s *standby) send(ctx context.Context) error {
	_ = s.conn.Conn().SetWriteDeadline(time.Now().Add(s.patience))
	if err := ctx.Err(); err != nil { // its deadline is set already, and stays
		return err
	}
	lsn := pglogrepl.LSN(s.acked.Load())
	err := pglogrepl.SendStandbyStatusUpdate(ctx, s.conn, pglogrepl.StandbyStatusUpdate{
		WALWritePosition: lsn, WALFlushPosition: lsn, WALApplyPosition: lsn,
		ClientTime: time.Now(), ReplyRequested: true,
	})
	if err != nil {
		return fmt.Errorf("send standby status: %w", lost{err})
	}
	return nil
}
