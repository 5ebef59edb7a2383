package clickhouse

import (
	"fmt"
	"slices"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

func TestStored(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("t", "id Int32", "name String", "note Nullable(String)", "d Decimal(10, 2)", "skipped Int32")
		p.OrderBy = []int{1, 0}
		// The table's types are wider than the plan's.
		ch.Query(t, "CREATE TABLE t (id Int64, name LowCardinality(String), note Nullable(String), d Decimal(38, 9), skipped Int64"+own2+
			") ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY (name, id) SETTINGS index_granularity = 8")
		if err := target.exec(t.Context(), "t", "SYSTEM STOP MERGES "+target.Name("t")); err != nil {
			t.Fatal(err)
		}
		// Three parts: versions 5, 3 and 5 again, of which the last was inserted last.
		for i, version := range []uint64{5, 3, 5} {
			const n = 100
			cols := append(own(t, n, version),
				col(t, "id", "Int32", repeat(n, func(i int) value { return i64(int64(i)) })...),
				col(t, "name", "String", repeat(n, func(i int) value { return str(fmt.Sprint("name ", i%10)) })...),
				col(t, "note", "Nullable(String)", repeat(n, func(int) value { return str(fmt.Sprint("part ", i)) })...),
				col(t, "d", "Decimal(10, 2)", repeat(n, func(int) value {
					return func(to source.Appender) error { return to.Decimal(&source.Number{Coef: [4]uint64{125}, Scale: 2}) }
				})...),
				col(t, "skipped", "Int32", repeat(n, func(int) value { return i64(1) })...))
			if err := target.Insert(t.Context(), "t", fmt.Sprint(i), cols); err != nil {
				t.Fatal(err)
			}
		}
		keys := []*column.Column{
			filled(t, "String", str("name 7"), str("name 8"), str("name 9"), str("name 1")),
			filled(t, "Int32", i64(77), i64(88), i64(9999), i64(2)), // the last two are in no row
		}
		s, err := target.Stored(t.Context(), p, keys, map[int]bool{2: true, 3: true})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Version, []uint64{5, 5}) || len(s.Deleted) != 2 || len(s.Keys) != 2 || len(s.Columns) != 2 {
			t.Fatalf("versions %v, deleted %v", s.Version, s.Deleted)
		}
		notes := filled(t, "Nullable(String)", str("part 2"), str("part 2"))
		for row := range s.Version {
			if got, want := s.Columns[2].Key(nil, row), notes.Key(nil, row); string(got) != string(want) {
				t.Errorf("row %d has note %q, want %q", row, got, want)
			}
			if s.Keys[0].Type() != "String" || s.Columns[3].Type() != "Decimal(10, 2)" || s.Columns[3].Rows() != 2 {
				t.Errorf("types %s, %s", s.Keys[0].Type(), s.Columns[3].Type())
			}
		}
		first := filled(t, "String", str("name 7"), str("name 8"))
		if got := [2]string{string(s.Keys[0].Key(nil, 0)), string(s.Keys[0].Key(nil, 1))}; got != [2]string{string(first.Key(nil, 0)), string(first.Key(nil, 1))} &&
			got != [2]string{string(first.Key(nil, 1)), string(first.Key(nil, 0))} {
			t.Errorf("keys %q", got)
		}
	})
}
