package sourcetest

import (
	"errors"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

var tableTests = map[string]func(*bench){
	"shape":               shape,
	"without a key":       withoutKey,
	"that do not exist":   unknownSelection,
	"are all in order":    checkFindsNothing,
	"belong to a log":     identity,
	"of the log's server": anotherServer,
}

func shape(b *bench) {
	b.exec("CREATE TABLE b (second {int} NOT NULL, v {text}, first {int} NOT NULL, w {text} NOT NULL, PRIMARY KEY (first, second))",
		"CREATE TABLE a (id {int} NOT NULL PRIMARY KEY)",
		"CREATE TABLE not_ours (id {int} NOT NULL PRIMARY KEY)")
	b.open("a", "b*")
	type column struct {
		name     string
		nullable bool
	}
	want := map[string][]column{
		"a": {{"id", false}},
		"b": {{"second", false}, {"v", true}, {"first", false}, {"w", false}},
	}
	got := make(map[string][]column)
	for name, t := range b.tables() {
		for i := range t.Columns {
			c := &t.Columns[i]
			got[name] = append(got[name], column{c.Name, c.Nullable})
			if c.Text == nil && c.Binary == nil || c.Native == "" {
				b.Errorf("column %s.%s: no decoder or no native type", name, c.Name)
			}
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(column{})); diff != "" {
		b.Error(diff)
	}
	if key := b.tables()["b"].Key; !slices.Equal(key, []int{2, 0}) {
		b.Errorf("the key of b is %v, want first, second", key)
	}
}

func withoutKey(b *bench) {
	b.exec("CREATE TABLE keyless (v {text})")
	b.open()
	tables, err := b.src.Tables(b.ctx)
	b.must(err)
	if len(tables) != 1 || tables[0].Problem == nil || hint(tables[0].Problem) == "" {
		b.Fatalf("a table without key is taken, or left out without a hint: %+v", tables)
	}
	failed := slices.ContainsFunc(b.src.Check(b.ctx), func(f source.Finding) bool {
		return f.Level == source.Fail && f.Fix != "" && strings.Contains(f.Subject+f.Text, "keyless")
	})
	if !failed {
		b.Error("check says nothing of it")
	}
}

func unknownSelection(b *bench) {
	b.createTable("orders")
	b.open("ordres", "orders")
	tables, err := b.src.Tables(b.ctx)
	b.must(err)
	if len(tables) != 2 {
		b.Fatalf("two names select %d tables", len(tables))
	}
	for _, t := range tables {
		switch {
		case t.Name == "orders" && t.Problem != nil:
			b.Errorf("%s: %v", t, t.Problem)
		case t.Name == "ordres" && (t.Problem == nil || !strings.Contains(t.Problem.Error(), "orders")):
			b.Errorf("a table that does not exist has the problem %v, which does not name the nearest", t.Problem)
		}
	}
}

func checkFindsNothing(b *bench) {
	b.createTable("t")
	b.open()
	findings := b.src.Check(b.ctx)
	if len(findings) == 0 {
		b.Error("check says nothing")
	}
	for _, f := range findings {
		if f.Level == source.Fail {
			b.Errorf("%s: %s (%s)", f.Subject, f.Text, f.Fix)
		}
	}
	if left := b.base.Leftovers(b.T); len(left) > 0 {
		b.Errorf("check left %q on the server", left)
	}
}

func identity(b *bench) {
	b.createTable("t")
	_, from := b.start()
	id, continued, err := b.src.Identify(b.ctx, nil)
	b.must(err)
	if continued || id == (position.Identity{}) {
		b.Errorf("the log is %+v, continued: %v", id, continued)
	}
	again, continued, err := b.src.Identify(b.ctx, &position.Saved{Position: from, Identity: id})
	b.must(err)
	if !continued || again != id {
		b.Errorf("the log was %+v, is %+v; continued: %v", id, again, continued)
	}
}

func anotherServer(b *bench) {
	b.createTable("t")
	_, from := b.start()
	id, _, err := b.src.Identify(b.ctx, nil)
	b.must(err)
	id.Server = "7000000000000000000"
	if _, _, err = b.src.Identify(b.ctx, &position.Saved{Position: from, Identity: id}); hint(err) == "" {
		b.Errorf("the log of another server is taken, or refused without a hint: %v", err)
	}
}

// hint returns what an error advises, "" when nothing.
func hint(err error) string {
	var h *source.HintError
	if errors.As(err, &h) {
		return h.Hint
	}
	return ""
}
