package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

func textCell(s string) source.Cell { return source.Cell{Kind: source.Text, Bytes: []byte(s)} }

// The server may keep a session whose client has vanished, with our own lock:
// that passes, and must not end the pipeline.
func TestLockOfOurOwnLostSession(t *testing.T) {
	pg := testenv.Postgres(t)
	p, dsn := newProxy(t, pg.Database(t))
	s := newTestSource(t, dsn)
	if _, err := s.Latest(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lostLinks []link
	p.each(func(l link) {
		l.client.Close()
		lostLinks = append(lostLinks, l)
	})
	if _, err := s.Latest(t.Context()); !errors.Is(err, source.ErrDisconnected) {
		t.Errorf("the session was cut: %v", err)
	}
	_, err := s.Latest(t.Context())
	if !errors.Is(err, source.ErrDisconnected) || !strings.Contains(err.Error(), "another millrace") || hintOf(err) == "" {
		t.Errorf("while the server keeps the old session: %v", err)
	}
	for _, l := range lostLinks {
		l.server.Close()
	}
	if _, err := s.Latest(t.Context()); err != nil {
		t.Errorf("when the old session is gone: %v", err)
	}
	other := newTestSource(t, dsn)
	if _, err := other.Latest(t.Context()); err == nil || errors.Is(err, source.ErrDisconnected) {
		t.Errorf("another process gets %v", err)
	}
}

func TestFetchReadsTheTableAlone(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE parent (id int PRIMARY KEY, v text)", "CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent)",
		"INSERT INTO child VALUES (1, 'child'), (2, 'child')", "INSERT INTO parent VALUES (2, 'parent')",
		"CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)",
		"CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (100)", "INSERT INTO parts VALUES (1, 'part')")
	s := newTestSource(t, dsn)
	tables := testTables(t, s)
	for _, tt := range []struct{ table, key, want string }{
		{"parent", "1", ""}, {"parent", "2", "parent"}, {"child", "1", "child"}, {"parts", "1", "part"},
	} {
		cells, found, err := s.Fetch(t.Context(), tables["public."+tt.table], []source.Cell{textCell(tt.key)}, []int{1})
		if err != nil || found != (tt.want != "") || found && string(cells[0].Bytes) != tt.want {
			t.Errorf("%s %s: %s, found %v, %v", tt.table, tt.key, cellText(cells), found, err)
		}
	}
}

func TestFetchOfAChangedTable(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE t (v text, id int PRIMARY KEY)", "INSERT INTO t VALUES ('v', 1)")
	s := newTestSource(t, dsn)
	table := testTables(t, s)["public.t"]
	fetch := func() error {
		_, _, err := s.Fetch(t.Context(), table, []source.Cell{textCell("1")}, []int{0})
		return err
	}
	if err := fetch(); err != nil {
		t.Fatal(err)
	}
	change := func(statement string) {
		pg.Exec(t, dsn, statement)
		if _, err := s.redescribe(t.Context(), uint32(table.Handle)); err != nil {
			t.Fatal(err)
		}
	}
	change("ALTER TABLE t ALTER v SET NOT NULL, ADD w int DEFAULT 1")
	if err := fetch(); err != nil {
		t.Errorf("after a change that does not matter: %v", err)
	}
	change("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (w)")
	if err := fetch(); err == nil || !strings.Contains(err.Error(), "key has changed") {
		t.Errorf("with another key: %v", err)
	}
	change("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id)")
	pg.Exec(t, dsn, "ALTER TABLE t DROP COLUMN v")
	if err := fetch(); err == nil {
		t.Error("a column that is gone was fetched")
	}
	change("ALTER TABLE t ADD COLUMN v text")
	if err := fetch(); err == nil || !strings.Contains(err.Error(), "public.t") {
		t.Errorf("after the change was noticed: %v", err)
	}
	unknown := *table
	unknown.Handle = 1
	if _, _, err := s.Fetch(t.Context(), &unknown, []source.Cell{textCell("1")}, nil); err == nil {
		t.Error("a table that is not known was read")
	}
}
