package main

import (
	"errors"
	"strings"
	"testing"
)

func TestGrouped(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "7": "7", "123": "123", "1234": "1,234", "1234567.80": "1,234,567.80", "-999": "-999", "-1000.5": "-1,000.5",
	} {
		if got := grouped(text); got != want {
			t.Errorf("grouped(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestCutLeavesEscapesWhole(t *testing.T) {
	for line, want := range map[string]string{
		"abcdef":               "abc",
		"ab":                   "ab",
		"\x1b[1mabcdef\x1b[0m": "\x1b[1mabc\x1b[0m",
		"東京都庁":                 "東京都",
	} {
		if got := cut(line, 3); got != want {
			t.Errorf("cut(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	same := comparison{"orders", []string{"2", "17"}, []string{"2", "17"}}
	other := comparison{"orders", []string{"2", "17"}, []string{"2", "18"}}
	open := answer{rows: [][]string{{"new", "1", "10.00"}}}
	for _, test := range []struct {
		name                 string
		table                comparison
		postgres, clickhouse answer
		want                 error
	}{
		{"equal", same, open, open, nil},
		{"checksum", other, open, open, errDifferent},
		{"revenue", same, open, answer{rows: [][]string{{"new", "1", "10.01"}}}, errDifferent},
		{"revenue only here", same, open, answer{}, errDifferent},
		{"revenue only there", same, answer{}, open, errDifferent},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			s := &screen{out: &b}
			err := s.verdict([]comparison{test.table}, &sample{revenue: [2]answer{test.postgres, test.clickhouse}})
			if !errors.Is(err, test.want) {
				t.Fatalf("verdict: %v, want %v", err, test.want)
			}
			if named := strings.Contains(b.String(), "DIFFERENT"); named != (test.want != nil) {
				t.Errorf("it shows:\n%s", b.String())
			}
		})
	}
}
