package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// drainTimeout bounds the last flush after a stop was asked for.
const drainTimeout = 20 * time.Second

// errCaughtUp ends a stream that was to run once.
var errCaughtUp = errors.New("caught up")

// session follows the log from the saved position until ctx ends (nil), it has
// caught up and was to run once (nil), or an error. Whatever was read up to the
// last commit is written before it returns.
func (p *Pipeline) session(ctx context.Context) error {
	until, err := p.cfg.Source.Latest(ctx)
	if err != nil {
		return err
	}
	p.board.setLatest(until)
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	flushing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	m := mapper.New(mapper.Config{
		Epoch: p.saved.Epoch, Rows: p.cfg.Rows, Bytes: p.cfg.Bytes, Memory: p.cfg.Memory, Interval: p.cfg.Interval,
		Plan: p.planFor, Misfit: p.misfit, Failed: p.board.failed(),
	})
	f := sink.NewFlusher(sink.FlusherConfig{
		Target:  p.cfg.Target,
		Resolve: &sink.Resolver{Target: p.cfg.Target, Fetch: p.cfg.Source.Fetch},
		Writers: p.cfg.Workers,
		Failed:  p.keepFailed,
		Stop:    func(plan *mapper.Plan, err error) { m.Fail(plan.Source, err) },
		Save: func(at position.Position) error {
			p.saved.Position = at
			return p.cfg.Store.Save(p.saved)
		},
		Ack: p.cfg.Source.Ack,
		Flushed: func(b *mapper.Batch, took time.Duration) {
			p.flushed(b, took)
			if p.saved.Position.Order >= until.Order && p.board.caughtUp(p.log) && p.cfg.Once {
				stop(errCaughtUp)
			}
		},
		Logger: p.log,
	})
	if !p.cfg.Once {
		defer p.aside(reading, func(ctx context.Context) {
			p.discover(ctx, m.Fail, func() { stop(errTablesCame) })
		})()
	}
	p.board.following()
	if p.saved.Position.Order >= until.Order && p.board.caughtUp(p.log) && p.cfg.Once {
		return nil
	}
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, giveUp) })()
	return p.readAndFlush(reading, flushing, m, f)
}

// readAndFlush runs the reader and the flusher. When the reader ends, for
// whatever reason, the flusher writes what it left.
func (p *Pipeline) readAndFlush(ctx, flushing context.Context, m *mapper.Mapper, f *sink.Flusher) error {
	g, reading := errgroup.WithContext(ctx)
	from, tables := p.saved.Position, p.streaming()
	var lost error
	g.Go(func() error {
		defer m.Close()
		err := p.cfg.Source.Stream(reading, from, tables, m)
		if ctx.Err() != nil || errors.Is(err, source.ErrDisconnected) {
			lost = err // the flusher has its own say
			return nil
		}
		return err
	})
	g.Go(func() error {
		err := f.Run(flushing, m)
		if errors.Is(err, context.Canceled) && flushing.Err() != nil {
			return fmt.Errorf("the target did not take the last rows within %s; they will be read again", drainTimeout)
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	switch cause := ended(ctx); {
	case cause == nil:
		return lost
	case errors.Is(cause, errCaughtUp):
		return nil
	default:
		return cause
	}
}

// ended returns why a session was ended from inside, nil if it was not.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errCaughtUp) || errors.Is(cause, errTablesCame) {
		return cause
	}
	return nil
}

// planFor returns the plan of a table that the log announces.
func (p *Pipeline) planFor(_ context.Context, t *source.Table) (*mapper.Plan, error) {
	for _, known := range p.tables {
		if known.source.Schema != t.Schema || known.source.Name != t.Name {
			continue
		}
		if known.source == t || known.source.SameShape(t) {
			return known.plan, nil
		}
		return nil, source.WithHint(errors.New("its columns changed while it was followed"),
			"change the target table accordingly or drop it, and copy it again with "+resyncCommand(t))
	}
	return nil, errors.New("it was not there when this run began")
}

// misfit decides about a value that its column cannot hold exactly.
func (p *Pipeline) misfit(plan *mapper.Plan, f *mapper.Field, m *source.Misfit) error {
	if p.cfg.FailValue {
		return fmt.Errorf("a value %w; set another type for the column, or value_policy: clamp", m)
	}
	name := plan.Source.String()
	p.metrics.misfits.WithLabelValues(name, f.Name).Inc()
	if p.board.misfit(name, f.Name) {
		p.log.Warn("a value did not fit its column; what stood there is in "+sink.DeadLetters,
			"table", name, "column", f.Name, "type", f.Type, "reason", m.Reason)
	}
	return nil
}

// keepFailed notes that a table stopped, in the state file first.
func (p *Pipeline) keepFailed(e *mapper.TableError) error {
	for _, t := range p.tables {
		if t.source.String() != e.Table {
			continue
		}
		t.state = position.Failed
		t.kept.State, t.kept.Error = position.Failed, e.Err.Error()
		if err := p.cfg.Store.PutTable(e.Table, t.kept); err != nil {
			return err
		}
	}
	p.board.fail(e.Table, e.Err)
	p.log.Error("table failed; the others go on", "table", e.Table, "error", e.Err)
	return nil
}

// flushed counts a batch.
func (p *Pipeline) flushed(b *mapper.Batch, took time.Duration) {
	p.board.flushed(b, p.saved.Position)
	p.metrics.flushes.Observe(took.Seconds())
	for _, block := range b.Blocks() {
		inserts, updates, deletes := block.Changes()
		name := block.Plan.Source.String()
		p.metrics.rows.WithLabelValues(name, "insert").Add(float64(inserts))
		p.metrics.rows.WithLabelValues(name, "update").Add(float64(updates))
		p.metrics.rows.WithLabelValues(name, "delete").Add(float64(deletes))
	}
}
