package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxRows bounds counts of rows that are held in memory.
const maxRows = math.MaxInt32

// A shape is the form of a value in the file. Elsewhere all values are text.
type shape uint8

const (
	scalar  shape = iota // text, as it stands there
	listing              // a list of text; elsewhere a,b
	mapping              // names and texts; elsewhere a=1,b=2
	entries              // the list of tables; elsewhere a,b
)

// A kind is how values of a key are read and what they may be.
type kind struct {
	shape shape
	noun  string // for the reference
	// set stores a value: a string, or what the shape gives in the file, or
	// nil for a list or mapping that is not set. Errors quote it, by quoted,
	// and tell what is allowed.
	set func(c *Config, value any) error
}

// A field says where in the configuration a key's value goes.
type field[T any] func(*Config) *T

func text(at field[string], check func(string) error) kind {
	return kind{scalar, "text", func(c *Config, v any) error {
		s, _ := v.(string)
		*at(c) = s
		return check(s)
	}}
}

func oneOf(at field[string], allowed ...string) kind {
	return kind{scalar, oneOfText(allowed), func(c *Config, v any) error {
		s, _ := v.(string)
		*at(c) = s
		return checkOneOf(s, allowed)
	}}
}

func integer(at field[int], least, most int) kind {
	return kind{scalar, "number", func(c *Config, v any) error {
		s, _ := v.(string)
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%s is no whole number from %d to %d", quoted(s), least, most)
		}
		*at(c) = n
		return nil
	}}
}

func serverID(at field[uint32]) kind {
	return kind{scalar, "number", func(c *Config, v any) error {
		s, _ := v.(string)
		if s == "" {
			return nil
		}
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 0 {
			return fmt.Errorf("%s is no whole number from 1 to %d", quoted(s), uint32(math.MaxUint32))
		}
		*at(c) = uint32(n)
		return nil
	}}
}

func duration(at field[time.Duration], least, most time.Duration) kind {
	return kind{scalar, "duration", func(c *Config, v any) error {
		s, _ := v.(string)
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%s is no duration; write it like 500ms or 1s", quoted(s))
		}
		if d < least || d > most {
			return fmt.Errorf("%s is not between %s and %s", quoted(s), least, most)
		}
		*at(c) = d
		return nil
	}}
}

func size(at field[int64], least int64) kind {
	return kind{scalar, "size", func(c *Config, v any) error {
		s, _ := v.(string)
		n, err := parseSize(s)
		if err != nil {
			return err
		}
		if n < least {
			return fmt.Errorf("%s is too little; the least is %d bytes", quoted(s), least)
		}
		*at(c) = n
		return nil
	}}
}

func list(at field[[]string], allowed ...string) kind {
	return kind{listing, "list of " + oneOfText(allowed), func(c *Config, v any) error {
		*at(c) = nil
		for _, s := range texts(v) {
			if err := checkOneOf(s, allowed); err != nil {
				return err
			}
			*at(c) = append(*at(c), s)
		}
		return nil
	}}
}

func settings(at field[map[string]string]) kind {
	return kind{mapping, "names and values", func(c *Config, v any) error {
		if m, ok := v.(map[string]string); ok {
			*at(c) = m
			return nil
		}
		m := map[string]string{}
		for _, s := range texts(v) {
			name, value, ok := strings.Cut(s, "=")
			if !ok || name == "" {
				return fmt.Errorf("%s is no setting; write them like name=value,name=value", quoted(s))
			}
			m[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		*at(c) = m
		return nil
	}}
}

func tables(at field[[]TableConfig]) kind {
	return kind{entries, "list of patterns and entries", func(c *Config, v any) error {
		list, ok := v.([]TableConfig) // the file's, checked where their lines are known
		if !ok {
			for _, s := range texts(v) {
				t, err := parsePattern(s)
				if err != nil {
					return err
				}
				list = append(list, t)
			}
		}
		*at(c) = list
		return nil
	}}
}

// texts reads a list that is one already or a text with commas.
func texts(v any) []string {
	if list, ok := v.([]string); ok {
		return list
	}
	var list []string
	s, _ := v.(string)
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// parseSize reads a number of bytes: 1048576, 32MiB (1024²), 1GB (1000³).
func parseSize(s string) (int64, error) {
	digits := strings.TrimLeft(s, "0123456789")
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(digits))]
	n, err := strconv.ParseInt(s[:len(s)-len(digits)], 10, 64)
	if err != nil || !known {
		return 0, fmt.Errorf("%s is no size; write it like 32MiB, 1GB or 1048576", quoted(s))
	}
	if n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%s is more than %d bytes", quoted(s), int64(math.MaxInt64))
	}
	return n * unit, nil
}
