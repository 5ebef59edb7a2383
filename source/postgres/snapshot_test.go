package postgres

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// The slot of a copy waits for transactions, as long as they last. A partition
// that came meanwhile has rows that neither the log nor the first look has.
func TestPartitionComesBeforeTheCopy(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE p (id text PRIMARY KEY, v text) PARTITION BY LIST (id)`,
		`CREATE TABLE p1 PARTITION OF p FOR VALUES IN ('a')`, `INSERT INTO p VALUES ('a', 'old')`)
	s := newTestSource(t, dsn)
	s.cfg.Memory = forgetful{}
	table := testTables(t, s)["public.p"]
	pg.Exec(t, dsn, `CREATE TABLE p2 PARTITION OF p DEFAULT`, `INSERT INTO p VALUES ('b', 'new')`)
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
	if diff := cmp.Diff(rowMap{"a": "old", "b": "new"}, rows); diff != "" {
		t.Error(diff)
	}
}

// A column of another type would be read with the decoder of the one before.
func TestTableIsAlteredBeforeTheCopy(t *testing.T) {
	pg := testenv.Postgres(t)
	for _, change := range []string{
		`ALTER TABLE t ALTER v TYPE float8`,
		`ALTER TABLE t ADD w int`,
		`ALTER TABLE t DROP v, ADD v bigint`,
		`ALTER TABLE t RENAME v TO w`,
		`ALTER TABLE t REPLICA IDENTITY FULL`,
	} {
		t.Run(change, func(t *testing.T) {
			dsn := pg.Database(t)
			pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY, v bigint)`, `INSERT INTO t VALUES (1, 7)`)
			s := newTestSource(t, dsn)
			s.cfg.Memory = forgetful{}
			table := testTables(t, s)["public.t"]
			pg.Exec(t, dsn, change)
			snap, err := s.Begin(t.Context(), nil, []*source.Table{table}, true)
			if err == nil {
				snap.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "public.t was altered") {
				t.Errorf("got %v", err)
			}
			if slot, err := s.readSlot(t.Context(), testConnect(t, s)); err != nil || slot.exists {
				t.Errorf("the slot is left: %t, %v", slot.exists, err)
			}
		})
	}
}

// Changes of a table that is not published are not in the log, nor will they
// be when it is published again.
func TestFollowedTableIsNoLongerPublished(t *testing.T) {
	pg := testenv.Postgres(t)
	for change, want := range map[string]string{
		"ALTER PUBLICATION %s DROP TABLE t": "table public.t is followed, but somebody took it out of publication",
		"DROP PUBLICATION %s":               "is gone",
		"COMMENT ON PUBLICATION %s IS NULL": "", // another's now, and it has the tables
	} {
		t.Run(change, func(t *testing.T) {
			dsn := pg.Database(t)
			pg.Exec(t, dsn, `CREATE TABLE t (id int PRIMARY KEY)`, `CREATE TABLE u (id int PRIMARY KEY)`)
			s := newTestSource(t, dsn)
			s.cfg.Memory = forgetful{}
			tables, err := s.Tables(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begin := func(streaming, tables []*source.Table, first bool) error {
				snap, err := s.Begin(t.Context(), streaming, tables, first)
				if err == nil {
					snap.Close()
				}
				return err
			}
			if err := errors.Join(begin(nil, tables, true), begin(tables, nil, false)); err != nil {
				t.Fatal(err)
			}
			pg.Exec(t, dsn, fmt.Sprintf(change, s.cfg.Publication))
			switch err := begin(tables, nil, false); {
			case want == "" && err == nil:
			case want == "" || err == nil || !strings.Contains(err.Error(), want):
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
