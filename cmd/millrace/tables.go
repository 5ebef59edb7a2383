package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/source"
)

// A TableConfig is an entry of tables: a pattern, or a table with settings.
type TableConfig struct {
	Pattern string // selects, or with "!" excludes; see source.Selection
	// Name is the table of an entry with settings, which alone has what
	// follows; nil for a pattern.
	Name        *source.Name
	Target      string // "" for the name that target.table_name gives
	OrderBy     []string
	PartitionBy string
	Settings    map[string]string
	Columns     []ColumnConfig
}

// A ColumnConfig is what is special about a column.
type ColumnConfig struct {
	Name    string
	Type    string // ClickHouse's; "" for the one that follows from the source's
	Exclude bool
	Rename  string // "" for the same name
}

// parsePattern returns the entry of a pattern.
func parsePattern(pattern string) (TableConfig, error) {
	s := source.Selection{Patterns: []string{pattern}, Default: defaultSchema}
	switch {
	case strings.Contains(pattern, "://"):
		return TableConfig{}, errors.New("a DSN is no table")
	case s.Validate() != nil:
		return TableConfig{}, fmt.Errorf("%s is no pattern; write it like public.orders, public.* or !public.audit_*", quoted(pattern))
	}
	return TableConfig{Pattern: pattern}, nil
}

// setName makes the entry one of a single table.
func (t *TableConfig) setName(name string) error {
	if name == "" {
		return errors.New("the entry has no name; write it like {name: public.orders, target: orders}")
	}
	pattern, err := parsePattern(name)
	if err != nil {
		return err
	}
	s := source.Selection{Patterns: []string{name}, Default: defaultSchema}
	u := s.Unmatched(nil)[0]
	if u.Exclude || u.Literal == nil {
		return fmt.Errorf("%s is a pattern; an entry with settings names one table, like public.orders", quoted(name))
	}
	t.Pattern, t.Name = pattern.Pattern, u.Literal
	return nil
}

func (c *ColumnConfig) check() error {
	switch {
	case c.Name == "":
		return errors.New(`the entry has no name; write it like {name: amount, type: "Decimal(38, 9)"}`)
	case c.Exclude && (c.Type != "" || c.Rename != ""):
		return fmt.Errorf("column %s is excluded, so it has no type and no other name", quoted(c.Name))
	}
	return nil
}
