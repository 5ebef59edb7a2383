package main

import (
	"fmt"
	"regexp"
	"strings"
)

// plainName is text that is safe to repeat: a mistyped file can make a whole
// DSN a key.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// unknown is the error for a name that is none of known.
func unknown(what, name string, known []string) error {
	if !plainName.MatchString(name) {
		return fmt.Errorf("something that is no %s; is a colon or the space behind it missing?", what)
	}
	if n := nearest(name, known); n != "" {
		return fmt.Errorf("unknown %s %s; did you mean %s?", what, name, n)
	}
	return fmt.Errorf("unknown %s %s; there are %s", what, name, strings.Join(known, ", "))
}

// nearest returns the known name that name was probably meant to be, or "": one
// within a third of the last part's length in edits, or one of another section
// that ends in the same part.
func nearest(name string, known []string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	best, least := "", max(1, len(last)/3)+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return best
	}
	for _, k := range known {
		if strings.HasSuffix(k, "."+last) {
			return k
		}
	}
	return ""
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
