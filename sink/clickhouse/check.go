package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/sink"
)

// Check looks whether a table that exists can take the plan's rows. Extra
// columns, wider types and other settings are fine. What is not is a
// *sink.TableError that lists every problem, each with a way out. Where the
// table does not exist yet, the plan's partition key is checked.
func (t *Target) Check(ctx context.Context, p *mapper.Plan) (exists bool, err error) {
	info, err := t.describe(ctx, p.Target)
	if err != nil {
		return false, err
	}
	if info == nil {
		return false, t.checkPartitionBy(ctx, p)
	}
	c := check{name: t.Name(p.Target), plan: p, table: info}
	c.run()
	if len(c.problems) == 0 {
		return true, nil
	}
	return true, &sink.TableError{Table: p.Target, Err: errors.Join(c.problems...)}
}

// A check gathers what is wrong with one table.
type check struct {
	name     string // quoted
	plan     *mapper.Plan
	table    *tableInfo
	problems []error
}

func (c *check) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (c *check) run() {
	if !c.engine() {
		return // nothing else is comparable
	}
	c.sortingKey()
	c.partitionKey()
	for _, f := range c.plan.Columns {
		c.column(f.Name, f.Type)
	}
	c.column(mapper.VersionColumn, "UInt64")
	c.column(mapper.IsDeletedColumn, "UInt8")
	for _, m := range c.plan.Metadata {
		c.column(m.Column(), m.Type())
	}
}

// recreate is the way out where a table cannot be altered.
const recreate = "drop it, or name another target, and millrace creates the table"

// engine wants any ReplacingMergeTree whose last two arguments are ours; those
// before them are the paths of replicated tables.
func (c *check) engine() bool {
	if !strings.HasSuffix(c.table.engine, plainEngine) {
		c.problem("table %s exists with the engine %s, but %s is needed: %s", c.name, c.table.engine, plainEngine, recreate)
		return false
	}
	args := slices.DeleteFunc(arguments(c.table.engineFull), func(a string) bool { return strings.HasPrefix(a, "'") })
	if !slices.Equal(args, []string{mapper.VersionColumn, mapper.IsDeletedColumn}) {
		c.problem("table %s exists with the engine %s(%s), but %s(%s, %s) is needed: %s", c.name,
			c.table.engine, strings.Join(args, ", "), plainEngine, mapper.VersionColumn, mapper.IsDeletedColumn, recreate)
		return false
	}
	return true
}

// sortingKey wants the plan's columns: rows are one and the same when they
// agree in all of them. Their order does not matter for that.
func (c *check) sortingKey() {
	key := c.table.sortingKey
	if strings.Count(key, "(") == 1 && strings.HasPrefix(key, "(") && strings.HasSuffix(key, ")") {
		key = key[1 : len(key)-1] // as written beside a PRIMARY KEY of its own
	}
	have, want := splitList(key), keyNames(c.plan)
	if !slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(want))) {
		c.problem("table %s exists with ORDER BY (%s), but (%s) is needed: set order_by in the table's entry, or %s",
			c.name, strings.Join(have, ", "), strings.Join(want, ", "), recreate)
	}
}

// partitionKey wants no column beside the sorting key's in it: a row that moves
// to another partition never meets its old self.
func (c *check) partitionKey() {
	key := keyNames(c.plan)
	for _, col := range c.table.columns {
		if col.partitionBy && !slices.Contains(key, col.name) {
			c.problem("table %s is partitioned by column %s, which is not in its ORDER BY, so that an updated row would stand in two partitions: add it to order_by in the table's entry, or %s",
				c.name, col.name, recreate)
		}
	}
}

func (c *check) column(name, want string) {
	have := c.table.column(name)
	switch {
	case have == nil:
		c.problem("table %s has no column %s: ALTER TABLE %s ADD COLUMN %s %s", c.name, name, c.name, Ident(name), want)
	case have.kind != "" && have.kind != "DEFAULT":
		c.problem("column %s of table %s is %s and cannot be written: rename one of the two, or exclude the source's column (tables: columns: {name, rename | exclude})",
			name, c.name, have.kind)
	case !holds(have.typ, want):
		fix := "ALTER TABLE " + c.name + " MODIFY COLUMN " + Ident(name) + " " + want
		if slices.Contains(keyNames(c.plan), name) {
			fix = recreate // a key column cannot be altered
		}
		c.problem("column %s of table %s is %s, which does not hold every %s: %s, or set the column's type (tables: columns: {name, type})",
			name, c.name, have.typ, want, fix)
	}
}

// checkPartitionBy lets the server analyse the expression over a table that
// has the sorting key's columns and no others.
func (t *Target) checkPartitionBy(ctx context.Context, p *mapper.Plan) error {
	if p.PartitionBy == "" {
		return nil
	}
	structure := make([]string, len(p.OrderBy))
	types := make([]string, len(p.OrderBy))
	for i, c := range p.OrderBy {
		types[i] = p.Columns[c].Type
		structure[i] = Ident(p.Columns[c].Name) + " " + types[i]
	}
	analysis := "SELECT toTypeName(tuple(" + p.PartitionBy + ")) FROM null(" + Literal(strings.Join(structure, ", ")) + ")"
	err := t.exec(ctx, p.Target, analysis, t.typeSettings(types)...)
	if _, raised := exceptionCode(err); !raised {
		return err
	}
	return &sink.TableError{
		Table: p.Target,
		Err:   fmt.Errorf("partition_by of table %s: %w", p.Target, err),
		Hint:  "it may use only columns of the sorting key (" + strings.Join(keyNames(p), ", ") + "): elsewhere an updated row never meets its old self",
	}
}
