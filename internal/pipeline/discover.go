package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// discoverInterval is how often the source is asked for tables that have come.
const discoverInterval = 10 * time.Second

// errTablesCame ends a stream so that new tables can be copied.
var errTablesCame = errors.New("tables have come")

// discover calls found when the source has a selected table that is not in
// this run, or one that could not be replicated and now can. It fails tables
// whose place another one has taken: the log of that is not read.
func (p *Pipeline) discover(ctx context.Context, fail func(*source.Table, error), found func()) {
	ticker := time.NewTicker(discoverInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		tables, err := p.cfg.Source.Tables(ctx)
		if err != nil {
			continue // the stream tells of a source that is lost
		}
		for _, t := range p.replaced(tables) {
			fail(t, nameTaken(t))
		}
		if len(p.newcomers(tables)) > 0 {
			found()
			return
		}
	}
}

// replaced returns the tables of this run whose names now belong to others.
func (p *Pipeline) replaced(tables []*source.Table) []*source.Table {
	now := make(map[string]uint64)
	for _, t := range tables {
		now[t.String()] = t.Handle
	}
	var list []*source.Table
	for _, t := range p.tables {
		if handle := now[t.source.String()]; handle != 0 && t.plan != nil && handle != t.source.Handle {
			list = append(list, t.source)
		}
	}
	return list
}

// newcomers returns the tables that can be taken into this run.
func (p *Pipeline) newcomers(tables []*source.Table) []*source.Table {
	known := make(map[string]bool)
	for _, t := range p.tables {
		known[t.source.String()] = t.source.Problem == nil || t.known
	}
	var list []*source.Table
	for _, t := range tables {
		good, ok := known[t.String()]
		if !p.refused[t.String()] && t.Problem == nil && (!ok || !good) {
			list = append(list, t)
		}
	}
	return list
}

// adopt takes tables that have come into this run. One that cannot be written
// is refused for the rest of it; the others go on. A target that is out of
// reach is waited for.
func (p *Pipeline) adopt(ctx context.Context) error {
	selected, err := p.cfg.Source.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range p.newcomers(selected) {
		err := sink.Retry(ctx, p.log, func() error { return p.adoptTable(ctx, t) })
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.refused[t.String()] = true
			p.log.Error("new table is left out", "table", t.String(), "error", err)
			p.board.fail(t.String(), err)
		}
	}
	return nil
}

func (p *Pipeline) adoptTable(ctx context.Context, t *source.Table) error {
	p.log.Info("a table has come", "table", t.String())
	row := &table{source: t, state: position.Waiting}
	for i, old := range p.tables {
		if old.source.String() == t.String() {
			p.tables = append(p.tables[:i:i], p.tables[i+1:]...)
			break
		}
	}
	owner := make(map[string]*source.Table)
	for _, other := range p.tables {
		if other.plan != nil {
			owner[other.plan.Target] = other.source
		}
	}
	var err error
	row.plan, err = newPlan(t, p.cfg.Options(t), p.cfg.Target, owner)
	p.board.add(row)
	if err != nil {
		return err
	}
	if err := p.prepareTarget(ctx, []*table{row}); err != nil {
		return err
	}
	p.tables = append(p.tables, row)
	return nil
}
