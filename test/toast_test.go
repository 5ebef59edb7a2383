package test

import (
	"fmt"
	"strings"
	"testing"
)

// Values of 100 kB that do not compress: Postgres logs them only when they are
// set. One statement is one message of the log at least, so that tiny parts cut
// the transactions at every place.
var toastSteps = []struct {
	name       string
	statements []string
}{
	{"after start", []string{"UPDATE doc SET n = n + 1"}},
	{"key change", []string{"UPDATE doc SET id = 11 WHERE id = 1", "UPDATE doc SET n = n + 1 WHERE id = 11"}},
	{"two keys swapped", []string{
		"UPDATE doc SET id = -1 WHERE id = 2", "UPDATE doc SET id = 2 WHERE id = 3", "UPDATE doc SET id = 3 WHERE id = -1",
	}},
	{"moved, and the key used again", []string{
		"UPDATE doc SET id = 14 WHERE id = 4", "INSERT INTO doc VALUES (4, 40, noise(90), 'four')", "UPDATE doc SET n = n + 1 WHERE id IN (4, 14)",
	}},
	{"moved upon a key that was left", []string{
		"DELETE FROM doc WHERE id = 5", "UPDATE doc SET id = 5, n = 0 WHERE id = 6", "INSERT INTO doc VALUES (6, 6, 'short', NULL)",
	}},
	{"ring of three", []string{
		"UPDATE doc SET id = -7 WHERE id = 7", "UPDATE doc SET id = 7 WHERE id = 8", "UPDATE doc SET n = n + 1 WHERE id = 7",
		"UPDATE doc SET id = 8 WHERE id = 9", "UPDATE doc SET id = 9 WHERE id = -7", "UPDATE doc SET n = n + 1 WHERE id IN (8, 9)",
	}},
	{"set, touched, moved", []string{
		"UPDATE doc SET body = noise(95) WHERE id = 10", "UPDATE doc SET n = n + 1 WHERE id = 10",
		"UPDATE doc SET id = 20 WHERE id = 10", "UPDATE doc SET id = 10 WHERE id = 20", "UPDATE doc SET n = n + 1 WHERE id = 10",
	}},
	{"to NULL and back", []string{
		"UPDATE doc SET note = NULL WHERE id = 3", "UPDATE doc SET n = n + 1 WHERE id = 3",
		"UPDATE doc SET id = 33 WHERE id = 3", "UPDATE doc SET note = noise(99) WHERE id = 33", "UPDATE doc SET n = n + 1 WHERE id = 33",
	}},
	{"swapped twice", []string{
		"UPDATE doc SET id = -1 WHERE id = 2", "UPDATE doc SET id = 2 WHERE id = 11", "UPDATE doc SET id = 11 WHERE id = -1",
		"UPDATE doc SET id = -1 WHERE id = 2", "UPDATE doc SET id = 2 WHERE id = 11", "UPDATE doc SET id = 11 WHERE id = -1",
		"UPDATE doc SET n = n + 1",
	}},
	{"emptied and filled", []string{
		"UPDATE doc SET n = n + 1", "TRUNCATE doc", "INSERT INTO doc SELECT i, i, noise(100), noise(50) FROM generate_series(1, 12) i",
		"UPDATE doc SET id = id + 100 WHERE id < 4", "UPDATE doc SET n = n + 1",
	}},
}

const toastSchema = `CREATE TABLE doc (id int PRIMARY KEY, n int, body text, note text);
	ALTER TABLE doc ALTER body SET STORAGE EXTERNAL, ALTER note SET STORAGE EXTERNAL;
	CREATE FUNCTION noise(kb int) RETURNS text LANGUAGE sql VOLATILE AS
	$$ SELECT string_agg(md5(random()::text), '') FROM generate_series(1, kb * 32) $$;
	INSERT INTO doc SELECT i, i, noise(100), noise(10) FROM generate_series(1, 10) i`

// After each step the run is killed and all steps so far are read once more,
// on top of what is there.
func TestUntouchedLongValuesSurvive(t *testing.T) {
	for _, rows := range []int{1, 3, 250000} {
		t.Run(fmt.Sprintf("flush.rows=%d", rows), func(t *testing.T) {
			r := newRig(t, "", toastSchema)
			r.set(fmt.Sprintf("flush.rows=%d", rows))
			r.begin().kill()
			start := r.mark()
			r.start()
			for _, step := range toastSteps {
				r.transaction(step.statements...)
				r.settle()
				r.compareStep(step.name)
				r.now.kill()
				r.replay(start)
				r.start()
				r.settle()
				r.compareStep(step.name + ", repeated")
			}
			// And statement by statement, each a transaction.
			for _, step := range toastSteps {
				r.exec(step.statements...)
			}
			r.settle()
			r.compareStep("in transactions of their own")
			r.now.kill()
			r.replay(start)
			r.begin()
			r.settle()
			r.compareStep("in transactions of their own, repeated")
		})
	}
}

// Kills inside a transaction that is written in parts, which the next run
// cuts at other places.
func TestLongValuesAcrossPartsCutOff(t *testing.T) {
	r := newRig(t, "", toastSchema)
	r.binary = seamBinary(t)
	r.begin().stop()
	for i, step := range toastSteps {
		r.exec("TRUNCATE doc; INSERT INTO doc SELECT i, i, noise(100), noise(10) FROM generate_series(1, 10) i")
		r.begin().stop()
		r.transaction(append([]string{"UPDATE doc SET n = -n"}, step.statements...)...)
		for at := 1; at < 40; at += 3 {
			r.set(fmt.Sprintf("flush.rows=%d", 1+(at+i)%4))
			r.env = []string{fmt.Sprintf("MILLRACE_SEAM=written:%d", at)}
			r.start("--once")
			if r.now.exit() == 0 {
				break
			}
		}
		r.env = nil
		r.begin()
		r.settle()
		r.compareStep(step.name)
		r.now.stop()
	}
}

func (r *rig) compareStep(name string) {
	r.t.Helper()
	r.equal("doc")
	if r.t.Failed() {
		r.t.Fatalf("at step %q", name)
	}
}

// With REPLICA IDENTITY FULL the log has all old values; a text column's
// neighbour without a binary form makes all of them come as text.
func TestLongValuesWithWholeOldRows(t *testing.T) {
	for _, form := range []string{"binary", "text"} {
		t.Run(form, func(t *testing.T) {
			schema := toastSchema
			if form == "text" {
				schema = strings.Replace(schema, "body text, note text)", "body text, note text, span interval DEFAULT '1 day')", 1)
			}
			r := newRig(t, "", schema, "ALTER TABLE doc REPLICA IDENTITY FULL")
			r.set("flush.rows=2")
			r.begin().await("format=" + form)
			for _, step := range toastSteps {
				r.transaction(step.statements...)
			}
			r.settle()
			r.equal("doc")
		})
	}
}
