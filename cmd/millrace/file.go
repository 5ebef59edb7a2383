package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A fileValue is the value of a key in the file.
type fileValue struct {
	key   string
	value any    // as the key's shape has it; scalars are the text that stands there
	where string // file:line
}

// A reader walks a YAML document along the table of keys. It goes on after a
// fault, so that all of them can be told at once.
type reader struct {
	file   string
	values []fileValue
	faults []error
}

// parseFile returns what a configuration file sets. Faults name file and line.
func parseFile(file string, text []byte) ([]fileValue, []error) {
	r := &reader{file: file}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	if err := d.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, []error{r.syntax(err)}
	}
	if err := d.Decode(&more); err == nil {
		r.fail(&more, "", errors.New("a second document begins here; there may be one only"))
	} else if !errors.Is(err, io.EOF) {
		return nil, []error{r.syntax(err)}
	}
	r.section(document.Content[0], "")
	return r.values, r.faults
}

// yamlError is the parser's "yaml: line 3: text".
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// syntax puts the parser's error into the form of ours, without the names that
// it may quote from the file.
func (r *reader) syntax(err error) error {
	m := yamlError.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return fmt.Errorf("%s: is no YAML", r.file)
	case strings.HasPrefix(m[2], "unknown anchor"):
		m[2] = "unknown anchor; put a value that begins with * in quotes"
	case strings.Contains(m[2], "alphabetic or numeric"): // of an anchor's name
		m[2] += "; put a value that begins with * in quotes"
	}
	if m[1] == "" {
		return fmt.Errorf("%s: %s", r.file, m[2])
	}
	return fmt.Errorf("%s:%s: %s", r.file, m[1], m[2])
}

func (r *reader) where(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, n.Line) }

// fail notes a fault at a node; path says where it is in the configuration.
func (r *reader) fail(n *yaml.Node, path string, err error) {
	if path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	r.faults = append(r.faults, fmt.Errorf("%s: %w", r.where(n), err))
}

// section reads the keys that begin with prefix: all of them for "", else those
// of "source." and the like.
func (r *reader) section(n *yaml.Node, prefix string) {
	r.each(n, strings.TrimSuffix(prefix, "."), func(name string, at, v *yaml.Node) {
		full := prefix + name
		k := findKey(full)
		switch {
		case k != nil:
			if value := r.value(k, v); value != nil {
				r.values = append(r.values, fileValue{full, value, r.where(at)})
			}
		case prefix == "" && isSection(name):
			r.section(v, name+".")
		default:
			r.fail(at, "", unknown("key", full, keyNames()))
		}
	})
}

func isSection(name string) bool {
	for _, k := range keys {
		if strings.HasPrefix(k.name, name+".") {
			return true
		}
	}
	return false
}

// value returns nil for a key that is left empty, or after a fault.
func (r *reader) value(k *key, n *yaml.Node) any {
	switch n = resolve(n); k.kind.shape {
	case listing:
		if list := r.texts(n, k.name); list != nil {
			return list
		}
	case mapping:
		if m := r.pairs(n, k.name); m != nil {
			return m
		}
	case entries:
		if list := r.tables(n, k.name); list != nil {
			return list
		}
	default:
		if s, ok := r.text(n, k.name); ok {
			return s
		}
	}
	return nil
}

// each calls f for the keys of a mapping: their name, where they stand and
// their value. One that is left empty has none.
func (r *reader) each(n *yaml.Node, path string, f func(name string, at, v *yaml.Node)) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, errors.New("must hold keys, each on a line of its own"))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, at := resolve(n.Content[i]).Value, n.Content[i]
		if first := lines[name]; first != 0 {
			r.fail(at, path, fmt.Errorf("a key stands here for the second time, first in line %d", first))
			continue
		}
		lines[name] = at.Line
		f(name, at, n.Content[i+1])
	}
}

// text returns a scalar as it is written, not as YAML understands it: 007 and
// yes are names like others.
func (r *reader) text(n *yaml.Node, path string) (string, bool) {
	n = resolve(n)
	switch {
	case isNull(n):
		return "", false
	case n.Kind != yaml.ScalarNode:
		r.fail(n, path, errors.New("must be a single value"))
		return "", false
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		r.fail(n, path, errors.New("put a value that begins with ! in quotes"))
		return "", false
	}
	return n.Value, true
}

// texts returns a list of scalars, which a scalar with commas is too.
func (r *reader) texts(n *yaml.Node, path string) []string {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		s, _ := r.text(n, path)
		return texts(s)
	}
	list := []string{}
	for i, item := range n.Content {
		if s, ok := r.text(item, fmt.Sprintf("%s[%d]", path, i)); ok {
			list = append(list, s)
		}
	}
	return list
}

func (r *reader) pairs(n *yaml.Node, path string) map[string]string {
	m := map[string]string{}
	r.each(n, path, func(name string, _, v *yaml.Node) {
		if s, ok := r.text(v, path); ok {
			m[name] = s
		}
	})
	return m
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
