package postgres

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/source"
)

// judge sets the Problem of every table that cannot be replicated: above all
// of one whose publication would make its application's statements fail.
func (s *Source) judge(c *catalog) {
	rules := []func(*relation, *table) error{c.kindProblem, c.keyProblem, s.exclusionProblem(c), c.leafProblems, c.generatedProblem, c.accessProblem, c.coverageProblem}
	var unowned []*table
	for _, t := range c.tables {
		r := c.relations[t.oid]
		for _, rule := range rules {
			if t.Problem = rule(r, t); t.Problem != nil {
				break
			}
		}
		if t.Problem == nil && !c.mayPublish(r) {
			unowned = append(unowned, t)
		}
	}
	if len(unowned) == 0 {
		return
	}
	hint := "as a superuser, run " + c.pub.addStatement(unowned)
	if !c.pub.exists {
		usable := slices.DeleteFunc(slices.Clone(c.tables), func(t *table) bool { return t.Problem != nil })
		hint = "as a superuser, run " + c.pub.createStatement(usable)
	}
	for _, t := range unowned {
		t.Problem = source.WithHint(fmt.Errorf("role %q may not publish it, since it belongs to %q", c.role, c.relations[t.oid].owner), hint)
	}
}

// mayPublish reports whether the table is, or can be put, into our publication.
func (c *catalog) mayPublish(r *relation) bool {
	_, covered := c.pub.covered[r.oid]
	return r.owned || covered
}

// kindProblem is about what cannot be in the log at all.
func (c *catalog) kindProblem(r *relation, t *table) error {
	exclude := fmt.Sprintf("take it out of tables, or exclude it with %q", "!"+r.String())
	switch {
	case r.kind == "v", r.kind == "m":
		return source.WithHint(errors.New("it is a view, which has no log"), exclude+"; the tables that it reads can be selected")
	case r.kind == "f":
		return source.WithHint(errors.New("it is a foreign table, which has no log here"), exclude)
	case r.persistence == "u":
		return source.WithHint(errors.New("it is unlogged"), fmt.Sprintf("ALTER TABLE %s SET LOGGED", r.quoted()))
	case len(t.Columns) == 0:
		return source.WithHint(errors.New("it has no columns that the log would hold"), exclude)
	}
	return nil
}

func (c *catalog) keyProblem(r *relation, t *table) error {
	key, err := keyOf(r, c.indexes[r.oid])
	if err != nil {
		return err
	}
	if len(t.Key) == len(key) {
		return nil
	}
	for _, name := range key {
		for _, a := range c.attributes[r.oid] {
			if a.name == name && a.generated {
				return source.WithHint(fmt.Errorf("its key column %q is generated and not in the log", name),
					fmt.Sprintf("give it another key, or exclude it with %q", "!"+r.String()))
			}
		}
	}
	columns := slices.Clone(c.pub.covered[r.oid].columns)
	for _, name := range key {
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	where := ""
	if t.filter != "" {
		where = " WHERE (" + t.filter + ")"
	}
	return source.WithHint(fmt.Errorf("publication %q leaves out columns of its key %v", c.pub.name, key),
		fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE ONLY %s; ALTER PUBLICATION %[1]s ADD TABLE ONLY %[2]s (%[3]s)%[4]s",
			quote(c.pub.name), r.quoted(), quoteList(columns), where))
}

// generatedProblem finds tables whose publication by us would make UPDATE and
// DELETE fail since Postgres 18: whole old rows hold generated columns, which
// are then to be published as well. One that is published already fails them
// without us.
func (c *catalog) generatedProblem(r *relation, _ *table) error {
	if c.version < 18 || c.pub.exists && !c.pub.ours {
		return nil
	}
	for _, l := range c.leaves(r) {
		if l.identity != "f" {
			continue
		}
		for _, a := range c.attributes[l.oid] {
			if a.generated {
				return source.WithHint(
					fmt.Errorf("%s has REPLICA IDENTITY FULL and the generated column %q: once it is published, Postgres refuses its UPDATE and DELETE", l, a.name),
					identityStatement(l, c.indexes[l.oid]))
			}
		}
	}
	return nil
}

// exclusionProblem finds partitions that a pattern excludes although their
// root is selected, which brings all of them.
func (s *Source) exclusionProblem(c *catalog) func(*relation, *table) error {
	return func(r *relation, _ *table) error {
		for _, l := range c.leaves(r) {
			if l != r && s.cfg.Select.Excluded(l.schema, l.name) {
				return source.WithHint(fmt.Errorf("its partition %s is excluded, but a partitioned table is replicated whole", l),
					fmt.Sprintf("exclude the table with %q and name the partitions that you want", "!"+r.String()))
			}
		}
		return nil
	}
}

func (c *catalog) leafProblems(r *relation, t *table) error {
	if r.kind != "p" {
		return nil
	}
	key, _ := keyOf(r, c.indexes[r.oid])
	for _, l := range c.leaves(r) {
		if err := leafProblem(r, l, key, c.indexes[l.oid]); err != nil {
			return err
		}
	}
	return nil
}

// accessProblem is about what our role may not read.
func (c *catalog) accessProblem(r *relation, _ *table) error {
	for _, l := range append([]*relation{r}, c.leaves(r)...) {
		switch {
		case !l.usage:
			return source.WithHint(fmt.Errorf("role %q may not use schema %q", c.role, l.schema),
				fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s", quote(l.schema), quote(c.role)))
		case !l.selectable:
			return source.WithHint(fmt.Errorf("role %q may not read %s", c.role, l),
				fmt.Sprintf("GRANT SELECT ON %s TO %s", l.quoted(), quote(c.role)))
		case l.guarded:
			return source.WithHint(fmt.Errorf("row level security hides rows of %s from role %q", l, c.role),
				fmt.Sprintf("ALTER ROLE %s BYPASSRLS", quote(c.role)))
		}
	}
	return nil
}

// coverageProblem finds tables that a publication which is not ours to alter
// does not publish, or not as themselves.
func (c *catalog) coverageProblem(r *relation, t *table) error {
	_, covered := c.pub.covered[r.oid]
	if !c.pub.exists || c.pub.ours && !c.pub.allTables || covered {
		return nil
	}
	for parent := c.relations[r.parent]; parent != nil; parent = c.relations[parent.parent] {
		if _, ok := c.pub.covered[parent.oid]; ok {
			return source.WithHint(fmt.Errorf("publication %q publishes it as a part of %s", c.pub.name, parent),
				fmt.Sprintf("select %q instead", parent.String()))
		}
	}
	for _, l := range c.leaves(r) {
		if _, ok := c.pub.covered[l.oid]; ok && l != r {
			return source.WithHint(fmt.Errorf("publication %q publishes its partitions under their own names", c.pub.name),
				fmt.Sprintf("ALTER PUBLICATION %s SET (publish_via_partition_root = true)", quote(c.pub.name)))
		}
	}
	return source.WithHint(fmt.Errorf("publication %q, which is not of this pipeline, does not have it", c.pub.name), c.pub.addStatement([]*table{t}))
}
