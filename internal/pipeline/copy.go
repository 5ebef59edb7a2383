package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/internal/seam"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// copying is one table's copy.
type copying struct {
	table *table
	plan  *source.Plan
	done  map[int]int64 // rows by finished chunk

	mu   sync.Mutex // protects rows, left and failed
	rows int64
	left int
	err  error // the table stopped
}

// copyTables copies the tables that are not copied yet, with all their chunks
// at once as far as there are workers.
func (p *Pipeline) copyTables(ctx context.Context) error {
	var todo []*table
	var sources []*source.Table
	for _, t := range p.tables {
		if t.plan != nil && t.state == position.Waiting {
			todo, sources = append(todo, t), append(sources, t.source)
		}
	}
	first := p.saved.Position.IsZero()
	if len(todo) == 0 && p.begun {
		return nil
	}
	snap, err := p.cfg.Source.Begin(ctx, p.streaming(), sources, first)
	if err != nil {
		return err
	}
	defer snap.Close()
	seam.Reach("begun")
	if first {
		p.saved.Position = snap.Position()
		if err := p.cfg.Store.Save(p.saved); err != nil {
			return err
		}
		seam.Reach("first-saved")
	}
	p.begun = true
	p.board.setSaved(p.saved.Position)
	var copies []*copying
	for _, t := range todo {
		c, err := p.planCopy(ctx, snap, t)
		if err != nil {
			return err
		}
		copies = append(copies, c)
	}
	if len(copies) == 0 {
		return nil
	}
	return p.copyChunks(ctx, snap, copies)
}

// planCopy resumes a table's copy, or begins one.
func (p *Pipeline) planCopy(ctx context.Context, snap source.Snapshot, t *table) (*copying, error) {
	name := t.source.String()
	plan, err := snap.Plan(ctx, t.source)
	if err != nil {
		return nil, fmt.Errorf("plan the copy of %s: %w", name, err)
	}
	raw, done, err := p.cfg.Store.Copy(name)
	if err != nil {
		return nil, err
	}
	c := &copying{table: t, plan: plan, done: map[int]int64{}}
	if raw != nil {
		old := new(source.Plan)
		if err := json.Unmarshal(raw, old); err != nil {
			return nil, fmt.Errorf("read copy plan of %s: %w", name, err)
		}
		if old.Mark == plan.Mark {
			c.plan, c.done = old, done
			p.log.Info("copy goes on", "table", name, "chunks", len(old.Chunks), "done", len(done))
		} else {
			p.log.Warn("table was rewritten since its copy began; the copy starts again", "table", name)
			err := sink.Retry(ctx, p.log, func() error { return p.cfg.Target.Truncate(ctx, t.plan.Target) })
			if err != nil {
				return nil, err
			}
			raw = nil
		}
	}
	if raw == nil {
		if raw, err = json.Marshal(plan); err != nil {
			return nil, err
		}
		if err := p.cfg.Store.StartCopy(name, raw); err != nil {
			return nil, err
		}
	}
	c.left = len(c.plan.Chunks) - len(c.done)
	for _, rows := range c.done {
		c.rows += rows
	}
	p.board.copying(name, c.rows, c.total())
	return c, nil
}

// total is the number of rows that the copy will have, about.
func (c *copying) total() int64 {
	if c.table.source.Rows < 0 {
		return -1
	}
	var rows int64
	for i, chunk := range c.plan.Chunks {
		if done, ok := c.done[i]; ok {
			rows += done
		} else {
			rows += chunk.Rows
		}
	}
	return rows
}

// copyChunks copies all chunks that are missing.
func (p *Pipeline) copyChunks(ctx context.Context, snap source.Snapshot, copies []*copying) error {
	defer p.showProgress(ctx, copies)()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.cfg.Workers, 1))
	for _, c := range copies {
		if c.left == 0 {
			g.Go(func() error { return p.finishCopy(c) })
		}
		for i := range c.plan.Chunks {
			if _, ok := c.done[i]; ok {
				continue
			}
			g.Go(func() error { return p.copyChunk(ctx, snap, c, i) })
		}
	}
	return g.Wait()
}

// copyChunk copies one chunk and notes that it is done.
func (p *Pipeline) copyChunk(ctx context.Context, snap source.Snapshot, c *copying, i int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.stopped() != nil {
		return nil
	}
	name := c.table.source.String()
	l := &loader{pipeline: p, copy: c}
	var err error
	if l.block, err = mapper.NewBlock(c.table.plan, p.saved.Epoch, p.misfit); err != nil {
		return err
	}
	err = snap.Read(ctx, c.table.source, c.plan.Chunks[i], l)
	if err == nil {
		err = l.write(ctx)
	}
	var stop *mapper.TableError
	if errors.As(err, &stop) {
		return p.stopCopy(c, stop)
	}
	if err != nil {
		return err
	}
	seam.Reach("chunk-written")
	if err := p.cfg.Store.ChunkDone(name, i, l.rows); err != nil {
		return err
	}
	seam.Reach("chunk-done")
	c.mu.Lock()
	c.rows += l.rows
	c.left--
	last := c.left == 0
	c.mu.Unlock()
	if last {
		return p.finishCopy(c)
	}
	return nil
}

func (c *copying) stopped() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// stopCopy fails one table; the others go on.
func (p *Pipeline) stopCopy(c *copying, stop *mapper.TableError) error {
	c.mu.Lock()
	first := c.err == nil
	c.err = stop
	c.mu.Unlock()
	if !first {
		return nil
	}
	return p.keepFailed(stop)
}

// finishCopy notes that a table is copied.
func (p *Pipeline) finishCopy(c *copying) error {
	t := c.table
	t.state = position.Copied
	t.kept.State, t.kept.Rows = position.Copied, c.rows
	if err := p.cfg.Store.FinishCopy(t.source.String(), t.kept); err != nil {
		return err
	}
	p.board.copied(t.source.String(), c.rows)
	p.log.Info("copied", "table", t.source.String(), "target", t.plan.Target, "rows", c.rows)
	return nil
}

// loader is the handler of one chunk's rows.
type loader struct {
	pipeline *Pipeline
	copy     *copying
	block    *mapper.Block
	rows     int64
}

// Schema implements source.Handler.
func (l *loader) Schema(context.Context, *source.Table) error { return nil }

// Commit implements source.Handler.
func (l *loader) Commit(context.Context, source.Commit) error { return nil }

// Row implements source.Handler.
func (l *loader) Row(ctx context.Context, r *source.Row) error {
	if err := l.block.Append(r); err != nil {
		return &mapper.TableError{Table: r.Table.String(), Err: err}
	}
	cfg := &l.pipeline.cfg
	if l.block.Rows() >= cfg.Rows || l.block.Bytes() >= min(cfg.Bytes, cfg.Memory/(2*max(cfg.Workers, 1))) {
		return l.write(ctx)
	}
	return nil
}

// write sends the block and empties it.
func (l *loader) write(ctx context.Context) error {
	if l.block.Rows() == 0 {
		return nil
	}
	p, plan := l.pipeline, l.copy.table.plan
	token := rand.Text() // a chunk that is read again may hold other rows
	err := sink.Retry(ctx, p.log, func() error { return p.cfg.Target.Insert(ctx, plan.Target, token, l.block.Input()) })
	if err == nil {
		err = sink.WriteLetters(ctx, p.log, p.cfg.Target, token, l.block)
	}
	var te *sink.TableError
	if errors.As(err, &te) {
		return &mapper.TableError{Table: plan.Source.String(), Err: err}
	}
	if err != nil {
		return fmt.Errorf("insert into %s: %w", plan.Target, err)
	}
	rows := int64(l.block.Rows())
	l.rows += rows
	p.board.loaded(plan.Source.String(), rows)
	l.block.Reset()
	return nil
}
