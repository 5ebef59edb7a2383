package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// need is what a target table needs before rows can be written to it.
type need uint8

const (
	nothing  need = iota
	noting        // it exists and is empty: the state file is to know it
	emptying      // it is to be copied again
	creating
)

// errReplaced is matched when a target table is not the one that was filled.
var errReplaced = errors.New("is gone or was replaced since it was copied")

// prepareTarget checks the target tables that exist, then creates the others.
// Nothing is changed before all checks have passed.
func (p *Pipeline) prepareTarget(ctx context.Context, tables []*table) error {
	var names []string
	for _, t := range tables {
		if t.plan != nil {
			names = append(names, t.plan.Target)
		}
	}
	if err := p.cfg.Target.CheckHosts(ctx, names); err != nil {
		return err
	}
	if err := p.inspectAll(ctx, tables); err != nil {
		return err
	}
	for _, t := range tables {
		if err := p.supply(ctx, t); err != nil {
			return &mapper.TableError{Table: t.source.String(), Err: err}
		}
	}
	return nil
}

// inspectAll finds out what each target table needs. A followed table whose
// target was replaced fails alone, unless that is so of all: then it is rather
// target.dsn that is wrong.
func (p *Pipeline) inspectAll(ctx context.Context, tables []*table) error {
	var errs []error
	var replaced []*mapper.TableError
	intact := false
	for _, t := range tables {
		if t.plan == nil {
			continue
		}
		if t.state == position.Failed {
			p.log.Error("table failed in an earlier run and is not followed", "table", t.source.String(), "error", t.kept.Error,
				"hint", "run "+resyncCommand(t.source))
			p.board.fail(t.source.String(), errors.New(t.kept.Error))
			continue
		}
		switch err := p.inspect(ctx, t); {
		case err == nil:
			intact = intact || t.state == position.Copied
		case errors.Is(err, errReplaced) && t.state == position.Copied:
			replaced = append(replaced, &mapper.TableError{Table: t.source.String(), Err: err})
		default:
			errs = append(errs, &mapper.TableError{Table: t.source.String(), Err: err})
		}
	}
	for _, e := range replaced {
		if !intact || len(errs) > 0 {
			errs = append(errs, e)
		} else if err := p.keepFailed(e); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// resyncCommand is what a user runs to copy a table again.
func resyncCommand(t *source.Table) string { return "`millrace resync " + t.String() + "`" }

// inspect finds out what one target table needs. A followed table that the
// target can no longer take fails alone.
func (p *Pipeline) inspect(ctx context.Context, t *table) error {
	exists, err := p.cfg.Target.Check(ctx, t.plan)
	var unfit *sink.TableError
	if errors.As(err, &unfit) && t.state == position.Copied {
		return p.keepFailed(&mapper.TableError{Table: t.source.String(), Err: source.WithHint(err, "then run "+resyncCommand(t.source))})
	}
	if err != nil {
		return err
	}
	switch {
	case t.known && t.kept.State != position.Resync:
		if err := t.checkSame(); err != nil {
			return p.keepFailed(&mapper.TableError{Table: t.source.String(), Err: err})
		}
		return p.checkKnown(ctx, t, exists)
	case !exists:
		t.need = creating
	case t.known:
		t.need = emptying
	default:
		t.need = noting
		return p.refuseFilled(ctx, t)
	}
	return nil
}

// supply gives a target table what it needs, and notes that it is ours.
func (p *Pipeline) supply(ctx context.Context, t *table) (err error) {
	switch t.need {
	case nothing:
		return nil
	case creating:
		err = p.cfg.Target.Create(ctx, t.plan)
	case emptying:
		err = p.cfg.Target.Truncate(ctx, t.plan.Target)
	}
	if err != nil {
		return err
	}
	t.kept = position.Table{State: position.Waiting, Target: t.plan.Target, Handle: t.source.Handle, Columns: t.columnIDs()}
	if t.kept.UUID, err = p.cfg.Target.UUID(ctx, t.plan.Target); err != nil {
		return err
	}
	return p.cfg.Store.PutTable(t.source.String(), t.kept)
}

// columnIDs returns the source's ids of the columns that are copied.
func (t *table) columnIDs() map[string]int {
	ids := make(map[string]int)
	for _, f := range t.plan.Columns {
		if c := &t.source.Columns[f.From]; c.ID != 0 {
			ids[c.Name] = c.ID
		}
	}
	return ids
}

// checkSame refuses a table or columns that are not those that were copied:
// rows from before have another one's values, or none.
func (t *table) checkSame() error {
	if t.kept.Handle != 0 && t.kept.Handle != t.source.Handle {
		return nameTaken(t.source)
	}
	if len(t.kept.Columns) == 0 {
		return nil
	}
	for name, id := range t.columnIDs() {
		switch was, ok := t.kept.Columns[name]; {
		case !ok:
			return source.WithHint(fmt.Errorf("column %q has come since the table was copied, and old rows lack its values", name),
				"copy it again with "+resyncCommand(t.source))
		case was != id:
			return source.WithHint(fmt.Errorf("column %q was dropped and added again since the table was copied", name),
				"copy it again with "+resyncCommand(t.source))
		}
	}
	return nil
}

// nameTaken tells that a table's name belongs to another one now.
func nameTaken(t *source.Table) error {
	return source.WithHint(errors.New("another table has taken its name since it was copied"),
		"copy it again with "+resyncCommand(t))
}

// refuseFilled refuses rows that nobody knows of: the state file may have been
// lost, and then their versions outrank or mix with new ones.
func (p *Pipeline) refuseFilled(ctx context.Context, t *table) error {
	filled, err := p.cfg.Target.HasRows(ctx, t.plan.Target)
	if err != nil || !filled {
		return err
	}
	name := p.cfg.Target.Name(t.plan.Target)
	return source.WithHint(
		fmt.Errorf("target table %s has rows, but the state file knows nothing of them: it was lost, or belongs to another pipeline", name),
		"bring back the state file; or, to copy the table again, run DROP TABLE "+name+" (and `millrace teardown` if no state file is left)")
}

// checkKnown makes sure that a table of the state file is the one in the target.
func (p *Pipeline) checkKnown(ctx context.Context, t *table, exists bool) error {
	if t.kept.Target != t.plan.Target {
		return source.WithHint(fmt.Errorf("it was copied to table %s, and is now to go to %s", t.kept.Target, t.plan.Target),
			"set its target back, or copy it again with "+resyncCommand(t.source))
	}
	name := p.cfg.Target.Name(t.plan.Target)
	uuid, err := p.cfg.Target.UUID(ctx, t.plan.Target)
	if err != nil {
		return err
	}
	if !exists || uuid != t.kept.UUID {
		return source.WithHint(fmt.Errorf("target table %s %w", name, errReplaced),
			"check target.dsn; to copy the table again, run "+resyncCommand(t.source))
	}
	highest, err := p.cfg.Target.MaxVersion(ctx, t.plan.Target)
	if err != nil {
		return err
	}
	if epoch := mapper.Epoch(highest); epoch > p.saved.Epoch {
		return source.WithHint(fmt.Errorf("target table %s holds rows of epoch %d, the state file is at epoch %d: it is an old copy",
			name, epoch, p.saved.Epoch), "bring back the newest state file")
	}
	return nil
}
