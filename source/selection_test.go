package source

import (
	"slices"
	"testing"
)

func TestSelectionMatch(t *testing.T) {
	tests := []struct {
		patterns []string
		table    Name
		want     bool
	}{
		{nil, Name{"public", "orders"}, true},
		{nil, Name{"sales", "orders"}, false},
		{[]string{"!public.audit_*"}, Name{"public", "orders"}, true},
		{[]string{"!public.audit_*"}, Name{"public", "audit_log"}, false},
		{[]string{"!public.audit_*"}, Name{"sales", "orders"}, false},
		{[]string{"public.*"}, Name{"public", "orders"}, true},
		{[]string{"public.*"}, Name{"publicity", "orders"}, false},
		{[]string{"public.*"}, Name{"public", "a.b"}, true},
		{[]string{"public.a.b"}, Name{"public", "a.b"}, true},
		{[]string{`my\.schema.*`}, Name{"my.schema", "t"}, true},
		{[]string{`my\.schema.*`}, Name{"my", "schema.t"}, false},
		{[]string{"p*.orders"}, Name{"public", "orders"}, true},
		{[]string{"p*"}, Name{"public", "people"}, true}, // * stays within its part
		{[]string{"p*"}, Name{"people", "orders"}, false},
		{[]string{"*.*"}, Name{"any", "a/b"}, true},
		{[]string{"public.a?b"}, Name{"public", "a/b"}, true},
		{[]string{"public.a/*"}, Name{"public", "a/b"}, true},
		{[]string{"public.t[0-9.]"}, Name{"public", "t."}, true},
		{[]string{"[a.b].t"}, Name{".", "t"}, true},
		{[]string{"orders"}, Name{"public", "orders"}, true},
		{[]string{"orders"}, Name{"sales", "orders"}, false},
		{[]string{"Orders"}, Name{"public", "orders"}, false},
		{[]string{"!public.orders", "public.orders"}, Name{"public", "orders"}, false},
		{[]string{"public.orders", "!public.*"}, Name{"public", "orders"}, false},
		{[]string{"public.人*"}, Name{"public", "人間失格"}, true},
		{[]string{"public.[", "public.x"}, Name{"public", "x"}, true},
	}
	for _, tt := range tests {
		s := Selection{Patterns: tt.patterns, Default: "public"}
		if got := s.Match(tt.table.Schema, tt.table.Table); got != tt.want {
			t.Errorf("%q match %s: got %v, want %v", tt.patterns, tt.table, got, tt.want)
		}
	}
}

func TestSelectionDefaultIsNoPattern(t *testing.T) {
	s := Selection{Patterns: []string{"orders"}, Default: "a*"}
	if !s.Match("a*", "orders") || s.Match("ab", "orders") {
		t.Error("the default schema must be taken by the letter")
	}
}

func TestSelectionNamed(t *testing.T) {
	s := Selection{Patterns: []string{"public.*", "v", "sales.x", "!sales.*"}, Default: "public"}
	for name, want := range map[Name]bool{
		{"public", "v"}: true,
		{"public", "w"}: false, // by wildcard only
		{"sales", "x"}:  false, // excluded
	} {
		if got := s.Named(name.Schema, name.Table); got != want {
			t.Errorf("Named(%s) = %v, want %v", name, got, want)
		}
	}
}

func TestSelectionExcluded(t *testing.T) {
	s := Selection{Patterns: []string{"public.*", "!public.audit_*"}, Default: "public"}
	if !s.Excluded("public", "audit_log") || s.Excluded("public", "orders") || s.Excluded("sales", "orders") {
		t.Error("excluded is what a pattern with ! matches, and nothing else")
	}
}

func TestSelectionUnmatched(t *testing.T) {
	tables := []Name{{"public", "orders"}, {"public", "order_items"}, {"sales", "orders"}}
	s := Selection{
		Patterns: []string{"public.orders", "public.ordres", "pubilc.*", "!public.audit_*", "quite.different_thing", "sale?.o*", `public.od\*rs`},
		Default:  "public",
	}
	want := []Unmatched{
		{Pattern: "public.ordres", Literal: &Name{"public", "ordres"}, Nearest: "public.orders"},
		{Pattern: "pubilc.*", Nearest: "public.orders"},
		{Pattern: "!public.audit_*", Exclude: true},
		{Pattern: "quite.different_thing", Literal: &Name{"quite", "different_thing"}},
		{Pattern: `public.od\*rs`, Literal: &Name{"public", "od*rs"}, Nearest: "public.orders"},
	}
	equal := func(a, b Unmatched) bool {
		if (a.Literal == nil) != (b.Literal == nil) || a.Literal != nil && *a.Literal != *b.Literal {
			return false
		}
		return a.Pattern == b.Pattern && a.Exclude == b.Exclude && a.Nearest == b.Nearest
	}
	if got := s.Unmatched(tables); !slices.EqualFunc(got, want, equal) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got, want := (Unmatched{Pattern: "a", Nearest: "public.b"}).String(), `pattern "a" matches no table; the nearest is "public.b"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSelectionValidate(t *testing.T) {
	for pattern, valid := range map[string]bool{
		"public.*": true, "orders": true, "!a.b": true, "a.[b-d]": true,
		"a.[b": false, "[a.b": false, ".b": false, "a.": false, "": false, "!": false, `a.b\`: false,
	} {
		err := Selection{Patterns: []string{pattern}, Default: "public"}.Validate()
		if (err == nil) != valid {
			t.Errorf("Validate(%q) = %v, want valid %v", pattern, err, valid)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "", 3},
		{"", "abc", 3},
		{"kitten", "sitting", 3},
		{"a*", "abcdef", 0},
		{"*c", "abc", 0},
		{"x*", "abc", 1},
		{"a?c", "abc", 0},
		{"*", "", 0},
	} {
		if got := edits(tt.pattern, tt.name); got != tt.want {
			t.Errorf("edits(%q, %q) = %d, want %d", tt.pattern, tt.name, got, tt.want)
		}
	}
}
