package sink

import (
	"context"
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
	// that was used before in this run marks a repetition.
	Insert(ctx context.Context, table, token string, columns []proto.InputColumn) error
	// Truncate empties a table.
	Truncate(ctx context.Context, table string) error
	// Stored reads the rows at some keys, a column for each of p.OrderBy, with
	// the columns (indices into p.Columns) that are asked for.
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
	// Failed keeps that a table stopped. It returns when that is on disk.
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
	cfg FlusherConfig
	seq uint64
}

// NewFlusher returns a Flusher.
func NewFlusher(cfg FlusherConfig) *Flusher { return &Flusher{cfg: cfg} }

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
	f.seq++
	if err := f.write(ctx, b); err != nil {
		return err
	}
	seam.Reach("written")
	for _, failure := range b.Failed {
		if err := f.cfg.Failed(failure); err != nil {
			return err
		}
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

// write empties the tables that are to be emptied, then writes all blocks.
func (f *Flusher) write(ctx context.Context, b *mapper.Batch) error {
	for _, p := range b.Truncated {
		err := Retry(ctx, f.cfg.Logger, func() error { return f.cfg.Target.Truncate(ctx, p.Target) })
		if err := f.tableError(b, p, err); err != nil {
			return fmt.Errorf("truncate %s: %w", p.Target, err)
		}
	}
	blocks := b.Blocks()
	errs := make([]error, len(blocks))
	var g errgroup.Group
	g.SetLimit(max(f.cfg.Writers, 1))
	for i, block := range blocks {
		g.Go(func() error {
			errs[i] = f.writeBlock(ctx, block)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for i, block := range blocks {
		if err := f.tableError(b, block.Plan, errs[i]); err != nil {
			return fmt.Errorf("insert into %s: %w", block.Plan.Target, err)
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
	token := fmt.Sprintf("%s-%d", block.Plan.Target, f.seq)
	err := Retry(ctx, f.cfg.Logger, func() error {
		return f.cfg.Target.Insert(ctx, block.Plan.Target, token, block.Input())
	})
	if err != nil {
		return err
	}
	return WriteLetters(ctx, f.cfg.Logger, f.cfg.Target, token, block)
}

// tableError turns an error that concerns one table into its failure.
func (f *Flusher) tableError(b *mapper.Batch, p *mapper.Plan, err error) error {
	var te *TableError
	if !errors.As(err, &te) {
		return err
	}
	f.cfg.Stop(p, err)
	b.Failed = append(b.Failed, &mapper.TableError{Table: p.Source.String(), Err: err})
	return nil
}
