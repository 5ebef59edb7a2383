package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/source"
)

// table is a selected table of this run.
type table struct {
	source *source.Table
	plan   *mapper.Plan // nil when it cannot be replicated
	state  position.State
	kept   position.Table // as in the state file
	known  bool           // it is in the state file
	need   need           // of its target table
}

// prepare reads the state, the source's tables and the target's, and refuses
// what cannot go well. Nothing is copied yet.
func (p *Pipeline) prepare(ctx context.Context) error {
	if err := p.identify(ctx); err != nil {
		return err
	}
	if err := p.cfg.Target.AwaitEarlier(ctx); err != nil {
		return err
	}
	kept, err := p.cfg.Store.Tables()
	if err != nil {
		return err
	}
	selected, err := p.cfg.Source.Tables(ctx)
	if err != nil {
		return err
	}
	plans, err := Plans(selected, p.cfg.Options, p.cfg.Target)
	if err != nil {
		return err
	}
	for i, t := range selected {
		was, known := kept[t.String()]
		delete(kept, t.String())
		p.add(&table{source: t, plan: plans[i], state: position.Waiting, kept: was, known: known})
	}
	if err := p.dropProblems(p.tables); err != nil {
		return err
	}
	if err := p.cfg.Target.CreateDatabase(ctx); err != nil {
		return err
	}
	if err := p.cfg.Target.CreateDeadLetters(ctx); err != nil {
		return err
	}
	if err := p.prepareTarget(ctx, p.tables); err != nil {
		return err
	}
	return p.forget(kept)
}

// forget drops what is kept of tables that are not selected any more: from here
// on their changes are missed.
func (p *Pipeline) forget(kept map[string]position.Table) error {
	for name := range kept {
		p.log.Info("table is no longer selected; its target stays as it is", "table", name)
		if err := p.cfg.Store.DeleteTable(name); err != nil {
			return err
		}
	}
	return nil
}

// add takes a table into this run.
func (p *Pipeline) add(t *table) {
	if t.known && t.kept.State != position.Resync {
		t.state = t.kept.State
	}
	p.tables = append(p.tables, t)
	p.board.add(t)
}

// identify makes sure that the source is the one that the position is of.
func (p *Pipeline) identify(ctx context.Context) error {
	saved, err := p.cfg.Store.Saved()
	if err != nil {
		return err
	}
	id, continued, err := p.cfg.Source.Identify(ctx, saved)
	if err != nil {
		return err
	}
	if saved == nil {
		p.saved = position.Saved{Identity: id}
		return nil
	}
	p.saved = *saved
	if continued {
		return nil
	}
	if saved.Epoch == math.MaxUint8 {
		return errors.New("the log's identity has changed 255 times, and a _version has no room for more: copy everything again")
	}
	p.saved.Identity, p.saved.Epoch = id, saved.Epoch+1
	p.log.Warn("the source's log goes on under a new identity", "was", saved.Identity, "is", id, "epoch", p.saved.Epoch)
	return p.cfg.Store.Save(p.saved)
}

// Plans decides how each table is written; nil for a table with a problem. The
// error names everything that is wrong with the user's wishes.
func Plans(tables []*source.Table, options func(*source.Table) mapper.Options, target *clickhouse.Target) ([]*mapper.Plan, error) {
	plans := make([]*mapper.Plan, len(tables))
	owner := make(map[string]*source.Table)
	var errs []error
	for i, t := range tables {
		if t.Problem != nil {
			continue
		}
		plan, err := newPlan(t, options(t), target, owner)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		plans[i] = plan
	}
	return plans, errors.Join(errs...)
}

// newPlan decides how one table is written; owner has the tables before it by
// their targets.
func newPlan(t *source.Table, o mapper.Options, target *clickhouse.Target, owner map[string]*source.Table) (*mapper.Plan, error) {
	plan, err := mapper.NewPlan(t, o, target.Has)
	if err != nil {
		return nil, err
	}
	if err := clickhouse.CheckNames(plan); err != nil {
		return nil, err
	}
	if other := owner[plan.Target]; other != nil {
		return nil, fmt.Errorf("tables %s and %s would both go to %s: set target for one of them, or target.table_name to \"{schema}_{table}\"", other, t, plan.Target)
	}
	owner[plan.Target] = t
	return plan, nil
}

// dropProblems leaves out tables that cannot be replicated, or refuses to
// start for one that the user named.
func (p *Pipeline) dropProblems(tables []*table) error {
	var named []error
	good := 0
	for _, t := range tables {
		for _, note := range t.source.Notes {
			p.log.Warn("note", "table", t.source.String(), "note", note)
		}
		if t.source.Problem == nil {
			good++
			continue
		}
		err := &mapper.TableError{Table: t.source.String(), Err: t.source.Problem}
		if p.cfg.Named(t.source) {
			named = append(named, err)
			continue
		}
		if err := p.leaveOut(t, err); err != nil {
			return err
		}
	}
	if len(named) > 0 {
		return errors.Join(named...)
	}
	if good == 0 {
		return source.WithHint(errors.New("no selected table can be replicated"), "check `tables`; `millrace check` lists what each table lacks")
	}
	return nil
}

// leaveOut fails a table that cannot be replicated. One that was followed is
// noted as failed first: its changes are missing from here on, and only a new
// copy brings them.
func (p *Pipeline) leaveOut(t *table, err *mapper.TableError) error {
	if t.known && t.state != position.Failed {
		return p.keepFailed(err)
	}
	t.state = position.Failed
	p.log.Error("table is left out", "table", err.Table, "error", err.Err)
	p.board.fail(err.Table, err.Err)
	return nil
}
