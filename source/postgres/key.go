package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/source"
)

// keyOf returns the columns that tell the rows of a table apart in the log's
// old values, and its index. The error says why there are none and what to do.
//
// A deferrable index is none: two rows may share a key within a transaction,
// and then the order of the log does not tell which one stays.
func keyOf(r *relation, indexes []index) ([]string, error) {
	switch r.identity {
	case "n":
		return nil, noIdentity(r, indexes)
	case "i":
		for i := range indexes {
			if indexes[i].identity && indexes[i].usable() {
				return indexes[i].columns, nil
			}
		}
		return nil, noIdentity(r, indexes)
	case "f":
		for i := range indexes {
			if indexes[i].primary && indexes[i].usable() {
				return indexes[i].columns, nil
			}
		}
		for i := range indexes {
			if indexes[i].usable() {
				return indexes[i].columns, nil
			}
		}
		if err := deferrable(r, indexes); err != nil {
			return nil, err
		}
		return nil, source.WithHint(errors.New("no key: REPLICA IDENTITY FULL logs whole rows, yet nothing tells equal ones apart"),
			fmt.Sprintf("ALTER TABLE %s ADD PRIMARY KEY (…), or a unique index over NOT NULL columns, or exclude it with %q", r.quoted(), "!"+r.String()))
	default:
		for i := range indexes {
			if indexes[i].primary && indexes[i].usable() {
				return indexes[i].columns, nil
			}
		}
		if err := deferrable(r, indexes); err != nil {
			return nil, err
		}
		return nil, noIdentity(r, indexes)
	}
}

// noIdentity names the shortest way to a replica identity.
func noIdentity(r *relation, indexes []index) error {
	err := errors.New("no key in the log: the table has no primary key")
	switch r.identity {
	case "n":
		err = errors.New("no key in the log: its replica identity is NOTHING")
	case "i":
		err = errors.New("no key in the log: its replica identity is an index that is gone")
	}
	return source.WithHint(err, identityStatement(r, indexes))
}

// identityStatement gives a table a replica identity by a key that it has, or
// else a key.
func identityStatement(r *relation, indexes []index) string {
	for i := range indexes {
		if indexes[i].primary && indexes[i].usable() {
			return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY DEFAULT", r.quoted())
		}
	}
	for i := range indexes {
		if indexes[i].usable() {
			return fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", r.quoted(), quote(indexes[i].name))
		}
	}
	return fmt.Sprintf(
		"ALTER TABLE %s ADD PRIMARY KEY (…), or create a unique index over NOT NULL columns and ALTER TABLE %s REPLICA IDENTITY USING INDEX …, or exclude the table with %q",
		r.quoted(), r.quoted(), "!"+r.String())
}

// deferrable returns the error for a table whose only keys are deferrable.
func deferrable(r *relation, indexes []index) error {
	for i := range indexes {
		x := &indexes[i]
		if x.immediate || x.constraint == "" || r.identity != "f" && !x.primary {
			continue
		}
		kind := "UNIQUE"
		if x.primary {
			kind = "PRIMARY KEY"
		}
		return source.WithHint(fmt.Errorf("its key %s is deferrable: two rows may share it within a transaction", quote(x.constraint)),
			fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s, ADD CONSTRAINT %s %s (%s)",
				r.quoted(), quote(x.constraint), quote(x.constraint), kind, quoteList(x.columns)))
	}
	return nil
}

// leafProblem says why the changes of one partition cannot be told by the
// key of the partitioned table that it belongs to.
func leafProblem(root, leaf *relation, key []string, indexes []index) error {
	switch {
	case leaf.persistence == "u":
		return source.WithHint(fmt.Errorf("its partition %s is unlogged", leaf),
			fmt.Sprintf("ALTER TABLE %s SET LOGGED", leaf.quoted()))
	case root.identity == "f" && leaf.identity != "f":
		return source.WithHint(fmt.Errorf("its replica identity is FULL, that of its partition %s is not", leaf),
			fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", leaf.quoted()))
	case leaf.identity == "f":
		return nil
	}
	has, err := keyOf(leaf, indexes)
	if err != nil {
		hint := ""
		var h *source.HintError
		if errors.As(err, &h) {
			err, hint = h.Err, h.Hint
		}
		return source.WithHint(fmt.Errorf("partition %s: %w", leaf, err), hint)
	}
	for _, column := range key {
		if !slices.Contains(has, column) {
			return source.WithHint(fmt.Errorf("partition %s logs other key columns (%s) than the table (%s)", leaf, strings.Join(has, ", "), strings.Join(key, ", ")),
				fmt.Sprintf("ALTER TABLE %s REPLICA IDENTITY FULL", leaf.quoted()))
		}
	}
	return nil
}

func quoteList(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}
