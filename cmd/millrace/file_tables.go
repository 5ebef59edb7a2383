package main

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// tables reads the list of tables, whose entries are patterns or mappings.
func (r *reader) tables(n *yaml.Node, path string) []TableConfig {
	n = resolve(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, errors.New(`must be a list, like ["public.*", "!public.audit_*"]`))
		return nil
	}
	list := []TableConfig{}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		t, err := r.table(resolve(item), at)
		if err == nil && t.Name != nil && slices.ContainsFunc(list, func(o TableConfig) bool { return o.Name != nil && *o.Name == *t.Name }) {
			err = fmt.Errorf("table %s has an entry already", quoted(t.Name.String()))
		}
		if err != nil {
			r.fail(item, at, err)
		}
		list = append(list, t)
	}
	return list
}

func (r *reader) table(n *yaml.Node, path string) (TableConfig, error) {
	if isNull(n) {
		return TableConfig{}, errors.New("is empty")
	}
	if n.Kind != yaml.MappingNode {
		if pattern, ok := r.text(n, path); ok {
			return parsePattern(pattern)
		}
		return TableConfig{}, nil // the fault is noted
	}
	var t TableConfig
	var table string
	r.each(n, path, func(name string, at, v *yaml.Node) {
		p := path + "." + name
		switch name {
		case "name":
			table, _ = r.text(v, p)
		case "target":
			t.Target, _ = r.text(v, p)
		case "order_by":
			t.OrderBy = r.texts(v, p)
		case "partition_by":
			t.PartitionBy, _ = r.text(v, p)
		case "settings":
			t.Settings = r.pairs(v, p)
		case "columns":
			t.Columns = r.columns(v, p)
		default:
			r.fail(at, path, unknown("key", name, propertyNames(tableProperties)))
		}
	})
	return t, t.setName(table)
}

func (r *reader) columns(n *yaml.Node, path string) []ColumnConfig {
	n = resolve(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, errors.New(`must be a list, like [{name: amount, type: "Decimal(38, 9)"}]`))
		return nil
	}
	var list []ColumnConfig
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		c := r.column(item, at)
		if err := c.check(); err != nil {
			r.fail(item, at, err)
		} else if slices.ContainsFunc(list, func(o ColumnConfig) bool { return o.Name == c.Name }) {
			r.fail(item, at, fmt.Errorf("column %s has an entry already", quoted(c.Name)))
		} else {
			list = append(list, c)
		}
	}
	return list
}

func (r *reader) column(n *yaml.Node, path string) ColumnConfig {
	var c ColumnConfig
	r.each(n, path, func(name string, at, v *yaml.Node) {
		p := path + "." + name
		switch name {
		case "name":
			c.Name, _ = r.text(v, p)
		case "type":
			c.Type, _ = r.text(v, p)
		case "rename":
			c.Rename, _ = r.text(v, p)
		case "exclude":
			c.Exclude = r.truth(v, p)
		case "hash":
			r.fail(at, p, errors.New("this version does not hash columns; exclude: true keeps the value out of the target"))
		default:
			r.fail(at, path, unknown("key", name, propertyNames(columnProperties)))
		}
	})
	return c
}

func (r *reader) truth(n *yaml.Node, path string) bool {
	s, ok := r.text(n, path)
	if ok && s != "true" && s != "false" {
		r.fail(n, path, fmt.Errorf("%s is neither true nor false", quoted(s)))
	}
	return s == "true"
}
