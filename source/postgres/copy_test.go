package postgres

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// copied reads a table as a snapshot has it: for each row the first column and
// what stands in the second, as people are told of it.
func copied(t *testing.T, s *Source, name string) map[string]string {
	t.Helper()
	s.cfg.Memory = forgetful{}
	table := testTables(t, s)[name]
	if table.Problem != nil {
		t.Fatal(table.Problem)
	}
	snap, err := s.Begin(t.Context(), nil, []*source.Table{table}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	plan, err := snap.Plan(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	rows := rowMap{}
	for _, chunk := range plan.Chunks {
		if err := snap.Read(t.Context(), table, chunk, rows); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// forgetful is a memory for one run.
type forgetful struct{}

func (forgetful) Get(string) ([]byte, error) { return nil, nil }
func (forgetful) Put(string, []byte) error   { return nil }

// rowMap is a handler that keeps the second column by the first.
type rowMap map[string]string

func (rowMap) Schema(context.Context, *source.Table) error { return nil }
func (rowMap) Commit(context.Context, source.Commit) error { return nil }

func (m rowMap) Row(_ context.Context, r *source.Row) error {
	columns := r.Table.Columns
	m[columns[0].Tell(r.New[0])] = columns[1].Tell(r.New[1])
	return nil
}

// A composite value with a NULL in it is not NULL, as in the log.
func TestCopyOfCompositeValues(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `
		CREATE TYPE pair AS (x int, y text);
		CREATE TABLE t (id text PRIMARY KEY, p pair);
		INSERT INTO t VALUES ('null', NULL), ('whole', (1, 'a')), ('half', (1, NULL)), ('empty', (NULL, NULL))`)
	s := newTestSource(t, dsn)
	want := map[string]string{"null": "NULL", "whole": "(1,a)", "half": "(1,)", "empty": "(,)"}
	if diff := cmp.Diff(want, copied(t, s, "public.t")); diff != "" {
		t.Error(diff)
	}
}
