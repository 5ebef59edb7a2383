package test

import "testing"

// A table whose columns change stops alone, and a resync brings it back.
func TestChangedColumnsStopTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		says   string
		target string // what mends the target table
	}{
		"added":     {"ALTER TABLE b ADD COLUMN n int DEFAULT 5", "its columns changed", "ALTER TABLE b ADD COLUMN n Nullable(Int32) AFTER v"},
		"replaced":  {"ALTER TABLE b DROP COLUMN v, ADD COLUMN v text DEFAULT 'new'", "its columns changed", ""},
		"retyped":   {"ALTER TABLE b ALTER COLUMN v TYPE varchar(10)", "its columns changed", ""},
		"forgotten": {"ALTER TABLE b DROP COLUMN v", "its columns changed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "public.a,public.b", "CREATE TABLE a (id int PRIMARY KEY, v text)", "CREATE TABLE b (id int PRIMARY KEY, v text)",
				"INSERT INTO b VALUES (1, 'old')")
			r.begin()
			r.exec("INSERT INTO a VALUES (1, 'x')", "INSERT INTO b VALUES (2, 'log')")
			r.settle()
			r.exec(c.change, "INSERT INTO b (id) VALUES (3)", "INSERT INTO a VALUES (2, 'y')")
			r.now.await(c.says)
			r.settle()
			r.equal("a")
			if n := r.ch.query("SELECT count() FROM b FINAL"); n != "2" {
				t.Errorf("b has %s rows, want the 2 from before", n)
			}
			r.now.stop()
			if c.target != "" {
				r.ch.query(c.target)
			}
			r.once().wantExit(1, "public.b")
			r.run("resync", "public.b").wantExit(0)
			r.begin()
			r.exec("INSERT INTO b (id) VALUES (4)", "INSERT INTO a VALUES (3, 'z')")
			r.settle()
			r.equal("a", "b")
		})
	}
}

// A column that takes another's name while nobody looks is noticed too.
func TestColumnReplacedMeanwhile(t *testing.T) {
	r := newRig(t, "public.a,public.b", "CREATE TABLE a (id int PRIMARY KEY, v text)", "CREATE TABLE b (id int PRIMARY KEY, v text)",
		"INSERT INTO b VALUES (1, 'old')")
	r.begin().stop()
	r.exec("ALTER TABLE b DROP COLUMN v, ADD COLUMN v text DEFAULT 'new'")
	r.once().wantExit(1, "dropped and added again", "resync public.b")
	r.run("resync", "public.b").wantExit(0)
	r.once().wantExit(0)
	r.equal("a", "b")
}
