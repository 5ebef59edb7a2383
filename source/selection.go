package source

import (
	"fmt"
	"path"
	"strings"
)

// A Selection says which tables are replicated.
//
// A pattern is schema.table, or table alone for one of the default schema.
// Both parts are globs: * and ? match within their part, [a-z] is a class and
// a backslash takes the next character as it is, a dot of the schema's name
// for instance. Letter case counts.
type Selection struct {
	// Patterns are globs of schema.table; one that begins with "!" excludes,
	// and exclusion wins.
	Patterns []string
	// Default is the schema whose tables are selected when no pattern includes
	// anything: "public", or the DSN's database.
	Default string
}

// A Name is a table's name in two parts, unquoted.
type Name struct{ Schema, Table string }

// String returns schema.table.
func (n Name) String() string { return n.Schema + "." + n.Table }

// Unmatched is a pattern that matches no table.
type Unmatched struct {
	Pattern string
	Exclude bool   // it begins with "!"
	Literal *Name  // the table it names; nil where it has wildcards
	Nearest string // the table that comes closest, or ""
}

// String says what is wrong, and what was perhaps meant.
func (u Unmatched) String() string {
	text := fmt.Sprintf("pattern %q matches no table", u.Pattern)
	if u.Nearest != "" {
		text += fmt.Sprintf("; the nearest is %q", u.Nearest)
	}
	return text
}

// Validate returns an error that names the first malformed pattern.
func (s Selection) Validate() error {
	for _, text := range s.Patterns {
		g := s.parse(text)
		if _, err := path.Match(g.schema, ""); err != nil || g.schema == "" {
			return fmt.Errorf("pattern %q: the schema is not a valid glob", text)
		}
		if _, err := path.Match(g.table, ""); err != nil || g.table == "" {
			return fmt.Errorf("pattern %q: the table is not a valid glob", text)
		}
	}
	return nil
}

// Match reports whether a table is selected.
func (s Selection) Match(schema, table string) bool {
	included, includes := false, false
	for _, text := range s.Patterns {
		g := s.parse(text)
		match := g.match(schema, table)
		if g.exclude && match {
			return false
		}
		includes = includes || !g.exclude
		included = included || !g.exclude && match
	}
	if !includes {
		return schema == s.Default
	}
	return included
}

// Excluded reports whether a pattern with "!" matches a table.
func (s Selection) Excluded(schema, table string) bool {
	for _, text := range s.Patterns {
		if g := s.parse(text); g.exclude && g.match(schema, table) {
			return true
		}
	}
	return false
}

// Named reports whether a table is selected by its name and not only by a
// pattern with wildcards.
func (s Selection) Named(schema, table string) bool {
	named := false
	for _, text := range s.Patterns {
		g := s.parse(text)
		named = named || !g.exclude && g.literal() && g.match(schema, table)
	}
	return named && s.Match(schema, table)
}

// Unmatched returns the patterns that match none of the tables, in order.
// Where every pattern matches something it returns nil.
func (s Selection) Unmatched(tables []Name) []Unmatched {
	var list []Unmatched
next:
	for _, text := range s.Patterns {
		g := s.parse(text)
		for _, t := range tables {
			if g.match(t.Schema, t.Table) {
				continue next
			}
		}
		u := Unmatched{Pattern: text, Exclude: g.exclude, Nearest: g.nearest(tables)}
		if g.literal() {
			u.Literal = &Name{Schema: unescape(g.schema), Table: unescape(g.table)}
		}
		list = append(list, u)
	}
	return list
}

// A glob is one pattern, taken apart.
type glob struct {
	schema, table string
	exclude       bool
}

func (s Selection) parse(text string) glob {
	var g glob
	text, g.exclude = strings.CutPrefix(text, "!")
	var found bool
	if g.schema, g.table, found = cutDot(text); !found {
		g.schema, g.table = escape(s.Default), text
	}
	return g
}

// cutDot cuts a pattern at its first dot that is neither escaped nor in a class.
func cutDot(text string) (before, after string, found bool) {
	class := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '[':
			class = true
		case c == ']':
			class = false
		case c == '.' && !class:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func (g glob) match(schema, table string) bool {
	return matchPart(g.schema, schema) && matchPart(g.table, table)
}

// matchPart is path.Match without its meaning of the slash, which may stand in
// a table's name like any other character.
func matchPart(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

func (g glob) literal() bool { return !hasWildcard(g.schema) && !hasWildcard(g.table) }

func hasWildcard(part string) bool {
	for i := 0; i < len(part); i++ {
		switch part[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

func escape(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

func unescape(part string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] == '\\' && i+1 < len(part) {
			i++
		}
		b.WriteByte(part[i])
	}
	return b.String()
}

// nearest returns the table that takes the fewest edits to match, as long as
// these are few enough for a slip of the hand.
func (g glob) nearest(tables []Name) string {
	pattern := g.schema + "." + g.table
	best, fewest := "", max(2, len(pattern)/4)+1
	for _, t := range tables {
		if d := edits(pattern, t.String()); d < fewest {
			best, fewest = t.String(), d
		}
	}
	return best
}

// edits is the Levenshtein distance, where * stands for any characters at no
// cost and ? for any one.
func edits(pattern, name string) int {
	row := make([]int, len(name)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(pattern) {
		diagonal := row[0]
		if pattern[i] != '*' {
			row[0]++
		}
		for j := range len(name) {
			above := row[j+1]
			switch {
			case pattern[i] == '*':
				row[j+1] = min(above, row[j])
			case pattern[i] == '?' || pattern[i] == name[j]:
				row[j+1] = diagonal
			default:
				row[j+1] = 1 + min(diagonal, above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(name)]
}
