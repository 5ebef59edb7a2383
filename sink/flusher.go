package sink

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/internal/seam"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/position"
)

// A Target is where blocks go. Its methods may be called from any goroutine.
// Errors are of the classes of this package.
type Target interface {
	// Insert writes one block and returns when it is acknowledged. A token
	// that was used before marks a repetition.
	Insert(ctx context.Context, table, token string, columns []proto.InputColumn) error
	// Truncate empties a table.
	Truncate(ctx context.Context, table string) error
	// Stored reads the rows that win at some keys, a column for each of
	// p.OrderBy, with the columns (indices into p.Columns) that are asked for.
	Stored(ctx context.Context, p *mapper.Plan, keys []*column.Column, columns map[int]bool) (*Stored, error)
}

// Batches is where batches come from: package mapper's Mapper.
type Batches interface {
	Next(ctx context.Context) (*mapper.Batch, error)
	Release(b *mapper.Batch)
}

// FlusherConfig is what a Flusher needs to know.
type FlusherConfig struct {
	Target  Target
	Resolve *Resolver
	// Writers bounds the inserts at the same time.
	Writers int
	// Failed keeps that a table stopped. It returns when that is on disk. It
	// is called once for each table.
	Failed func(*mapper.TableError) error
	// Stop makes the mapper drop further rows of a table that the target
	// refused.
	Stop func(p *mapper.Plan, err error)
	// Save keeps a position. It returns when that is on disk.
	Save func(position.Position) error
	// Ack tells the source of a position that is saved.
	Ack func(position.Position)
	// Flushed is told of each batch after its Ack.
	Flushed func(b *mapper.Batch, took time.Duration)
	Logger  *slog.Logger
}

// A Flusher writes batches until there are no more.
type Flusher struct {
	cfg    FlusherConfig
	failed map[string]bool // source tables that stopped, and whether that is kept
}

// NewFlusher returns a Flusher.
func NewFlusher(cfg FlusherConfig) *Flusher {
	return &Flusher{cfg: cfg, failed: make(map[string]bool)}
}

// Run writes batches in order until from is at its end or an error. Errors
// that may pass are retried without end; the batch is kept.
func (f *Flusher) Run(ctx context.Context, from Batches) error {
	for {
		b, err := from.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.flush(ctx, b); err != nil {
			return err
		}
		from.Release(b)
	}
}

// flush writes, saves and acknowledges one batch, in this order.
func (f *Flusher) flush(ctx context.Context, b *mapper.Batch) error {
	start := time.Now()
	if err := f.write(ctx, b); err != nil {
		return err
	}
	seam.Reach("written")
	for _, failure := range b.Failed {
		if f.failed[failure.Table] {
			continue
		}
		if err := f.cfg.Failed(failure); err != nil {
			return err
		}
		f.failed[failure.Table] = true
	}
	if b.Position.IsZero() {
		f.cfg.Flushed(b, time.Since(start))
		return nil
	}
	if err := f.cfg.Save(b.Position); err != nil {
		return err
	}
	seam.Reach("saved")
	f.cfg.Ack(b.Position)
	seam.Reach("acked")
	f.cfg.Flushed(b, time.Since(start))
	return nil
}

// write empties the tables that are to be emptied, then writes all blocks. An
// error that concerns one table stops that one; any other ends the writing of
// all.
func (f *Flusher) write(ctx context.Context, b *mapper.Batch) error {
	for _, p := range b.Truncated {
		if f.refused(p) {
			continue
		}
		err := Retry(ctx, f.cfg.Logger, func() error { return f.cfg.Target.Truncate(ctx, p.Target) })
		if isTableError(err) {
			f.refuse(b, p, err)
		} else if err != nil {
			return fmt.Errorf("truncate %s: %w", p.Target, err)
		}
	}
	blocks := b.Blocks()
	errs := make([]error, len(blocks)) // of tables
	g, writing := errgroup.WithContext(ctx)
	g.SetLimit(max(f.cfg.Writers, 1))
	for i, block := range blocks {
		if f.refused(block.Plan) {
			continue
		}
		g.Go(func() error {
			err := f.writeBlock(writing, block)
			if isTableError(err) {
				errs[i] = err
			} else if err != nil {
				return fmt.Errorf("insert into %s: %w", block.Plan.Target, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, err := range errs {
		if err != nil {
			f.refuse(b, blocks[i].Plan, err)
		}
	}
	return nil
}

// writeBlock completes a block and writes it.
func (f *Flusher) writeBlock(ctx context.Context, block *mapper.Block) error {
	if len(block.Pending()) > 0 {
		if err := Retry(ctx, f.cfg.Logger, func() error { return f.cfg.Resolve.Block(ctx, block) }); err != nil {
			return err
		}
	}
	token := rand.Text()
	err := Retry(ctx, f.cfg.Logger, func() error {
		return f.cfg.Target.Insert(ctx, block.Plan.Target, token, block.Input())
	})
	if err != nil {
		return err
	}
	return WriteLetters(ctx, f.cfg.Logger, f.cfg.Target, token, block)
}

func isTableError(err error) bool {
	var te *TableError
	return errors.As(err, &te)
}

// refuse stops a table that the target does not take.
func (f *Flusher) refuse(b *mapper.Batch, p *mapper.Plan, err error) {
	name := p.Source.String()
	f.failed[name] = false
	f.cfg.Stop(p, err)
	b.Failed = append(b.Failed, &mapper.TableError{Table: name, Err: err})
}

// refused reports whether the target has refused a table before.
func (f *Flusher) refused(p *mapper.Plan) bool {
	_, ok := f.failed[p.Source.String()]
	return ok
}
