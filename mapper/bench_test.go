package mapper

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

func planner(plans map[string]*Plan) func(context.Context, *source.Table) (*Plan, error) {
	return func(_ context.Context, t *source.Table) (*Plan, error) {
		if p := plans[t.Name]; p != nil {
			return p, nil
		}
		return nil, errors.New("no plan")
	}
}

const benchRows = 20_000 // in a batch

// fill adds rows to the open batch.
func fill(t testing.TB, m *Mapper, r *source.Row, rows int) {
	for range rows {
		if err := m.Row(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// turn takes a batch and gives it back.
func turn(t testing.TB, m *Mapper) {
	if err := m.Commit(t.Context(), source.Commit{Position: position.Position{Order: 1}}); err != nil {
		t.Fatal(err)
	}
	b, err := m.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Release(b)
}

// warm fills each batch in circulation once.
func warm(t testing.TB, m *Mapper, r *source.Row) {
	for range batches {
		fill(t, m, r, benchRows)
		turn(t, m)
	}
}

func TestRowDoesNotAllocate(t *testing.T) {
	table := orders()
	for name, row := range changes(table) {
		t.Run(name, func(t *testing.T) {
			m := newMapper(t, Config{}, table)
			warm(t, m, row)
			ctx := t.Context()
			n := testing.AllocsPerRun(1000, func() {
				if err := m.Row(ctx, row); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// BenchmarkRow measures a row of eight columns from the source's call until it
// stands in the columns that are sent.
func BenchmarkRow(b *testing.B) {
	table := orders()
	rows := changes(table)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		b.Run(name, func(b *testing.B) {
			row := rows[name]
			m := newMapper(b, Config{}, table)
			warm(b, m, row)
			ctx := b.Context()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := m.Row(ctx, row); err != nil {
					b.Fatal(err)
				}
				if n++; n%benchRows == 0 {
					turn(b, m)
				}
			}
		})
	}
}
