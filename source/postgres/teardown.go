package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/source"
)

// Teardown implements source.Source: it drops the slot, and the publication if
// it carries this pipeline's mark. What is not there is no error.
func (s *Source) Teardown(ctx context.Context) error {
	// The slot first: while it exists, its position is worth something.
	if err := s.dropSlot(ctx); err != nil {
		return err
	}
	return s.dropPublication(ctx)
}

// dropSlot drops our slot unless somebody reads it. Whoever did until now gets
// a moment to let go.
func (s *Source) dropSlot(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	info, err := s.readSlot(ctx, conn)
	for deadline := time.Now().Add(lockPatience); err == nil && info.active && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
		info, err = s.readSlot(ctx, conn)
	}
	if err != nil || !info.exists {
		return err
	}
	if err := info.foreign(s.cfg.Slot); err != nil {
		return err
	}
	if info.active {
		return source.WithHint(fmt.Errorf("slot %q is in use by server process %d", s.cfg.Slot, info.activePID),
			"stop the millrace that reads it, and wait for wal_sender_timeout if it was killed")
	}
	_, err = conn.Exec(ctx, "SELECT pg_drop_replication_slot($1)", s.cfg.Slot)
	if err != nil && !hasCode(err, "42704") { // undefined object: somebody else did it
		return fmt.Errorf("drop slot %q: %w", s.cfg.Slot, classify(err))
	}
	s.log.Info("slot dropped", "slot", s.cfg.Slot)
	return nil
}

func (s *Source) dropPublication(ctx context.Context) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		p, err := s.readPublication(ctx, tx)
		if err != nil || !p.exists {
			return err
		}
		if !p.ours {
			s.log.Info("publication left alone: it is not of this pipeline", "publication", p.name)
			return nil
		}
		if _, err := tx.Exec(ctx, "DROP PUBLICATION "+quote(p.name)); err != nil {
			return fmt.Errorf("drop publication %q: %w", p.name, classify(err))
		}
		s.log.Info("publication dropped", "publication", p.name)
		return nil
	})
}
