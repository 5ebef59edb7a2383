package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// errDifferent is the demo's worst outcome.
var errDifferent = errors.New("the two sides differ")

// verdict shows the comparison of all tables and the business query. It
// returns errDifferent if anything differs.
func (s *screen) verdict(all []comparison, m *sample) error {
	var err error
	sign := func(equal bool) string {
		if equal {
			return s.green("OK")
		}
		err = errDifferent
		return s.red("DIFFERENT")
	}
	fmt.Fprintf(s.out, "\n%s\n", s.dim(fmt.Sprintf("  %-14s %9s %17s   %9s %17s",
		"", "Postgres", "checksum", "ClickHouse", "checksum")))
	for i := range all {
		c := &all[i]
		fmt.Fprintf(s.out, "  %-14s %9s  %16s   %9s  %16s   %s\n", c.table,
			grouped(c.postgres[0]), hex(c.postgres[1]), grouped(c.clickhouse[0]), hex(c.clickhouse[1]), sign(c.equal()))
	}
	fmt.Fprintf(s.out, "\n%s\n", s.dim(fmt.Sprintf("  %-14s %27s   %27s", "revenue today", "Postgres", "ClickHouse")))
	for _, pair := range m.pairs() {
		fmt.Fprintf(s.out, "  %s   %s\n", revenueLine(pair), sign(slices.Equal(pair[0], pair[1])))
	}
	fmt.Fprintln(s.out)
	if err == nil {
		s.step("result", "%s: every row of every table is the same on both sides", s.green("OK"))
	}
	return err
}

// hex shortens a checksum.
func hex(decimal string) string {
	n, err := strconv.ParseUint(decimal, 10, 64)
	if err != nil {
		return decimal
	}
	return fmt.Sprintf("%016x", n)
}
