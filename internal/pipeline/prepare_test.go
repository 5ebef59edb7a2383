package pipeline

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/source"
)

// A new identity of the log raises the epoch, and an old state file is told by
// it.
func TestEpochRises(t *testing.T) {
	l := newLine(t, "a")
	l.chunks["a"] = [][]string{{"1 x", "2 x"}}
	l.once("")
	old, err := os.ReadFile(l.state)
	if err != nil {
		t.Fatal(err)
	}
	l.id.Log = "2"
	l.commit("a 1 y")
	l.once("")
	l.wants("a", "1 y, 2 x")
	if got := l.ch.Query(t, "SELECT id, bitShiftRight(_version, 56), bitAnd(_version, 0xFFFFFFFFFFFFFF) FROM a FINAL ORDER BY id"); got != "1\t1\t110\n2\t0\t0" {
		t.Errorf("versions %q", got)
	}
	saved, _ := l.kept()
	if saved.Epoch != 1 || saved.Identity != l.id {
		t.Errorf("saved %v", saved)
	}
	l.once("") // known by now
	if saved, _ := l.kept(); saved.Epoch != 1 {
		t.Errorf("epoch %d", saved.Epoch)
	}

	l.id.Log = "1"
	if err := os.WriteFile(l.state, old, 0o600); err != nil {
		t.Fatal(err)
	}
	l.once("rows of epoch 1, the state file is at epoch 0")
}

func TestIdentityRefused(t *testing.T) {
	l := newLine(t, "a")
	l.once("")
	l.identify = func() error { return errors.New("another server") }
	l.once("another server")
}

func TestNoMoreEpochs(t *testing.T) {
	l := newLine(t, "a")
	l.once("")
	store, err := position.Open(l.state, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Save(position.Saved{Position: at(100), Identity: position.Identity{Log: "0"}, Epoch: 255}); err != nil {
		t.Fatal(err)
	}
	store.Close()
	l.once("no room for more")
}

// Without its state file nobody knows which rows a target has.
func TestLostState(t *testing.T) {
	l := newLine(t, "a", "b")
	l.chunks["b"] = [][]string{{"1 x"}}
	l.once("")
	if err := os.Remove(l.state); err != nil {
		t.Fatal(err)
	}
	l.begins = nil
	l.once("table public.b: target table")
	l.wantsCalls(&l.begins)
	l.wants("b", "1 x")
}

func TestReplacedTarget(t *testing.T) {
	for name, statements := range map[string][]string{
		"gone":     {"DROP TABLE a"},
		"replaced": {"CREATE TABLE x AS a", "EXCHANGE TABLES a AND x"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t, "a")
			l.once("")
			for _, s := range statements {
				l.ch.Query(t, s)
			}
			l.commit("a 1 x")
			l.once("gone or was replaced")
			l.wantsSaved(100)
			l.wantsState("a", position.Copied)
		})
	}
}

// A followed table that can be replicated no more misses its changes from then
// on: that must not be forgotten when it is well again.
func TestFollowedTableHasAProblem(t *testing.T) {
	l := newLine(t, "a", "b")
	l.once("")
	l.tables[1].Problem = errors.New("no key")
	l.commit("a 1 x", "b 1 x")
	l.named = true
	l.once("table public.b: no key")
	l.wantsState("b", position.Copied)
	l.named = false
	l.once("some tables failed: public.b")
	l.wants("a", "1 x")
	l.wantsState("b", position.Failed)
	l.tables[1].Problem = nil
	l.once("some tables failed: public.b")
}

func TestNewTableHasAProblem(t *testing.T) {
	l := newLine(t, "a", "b")
	l.tables[1].Problem = errors.New("no key")
	l.once("some tables failed: public.b")
	l.wantsState("b", "")
	l.tables[1].Problem = nil
	l.chunks["b"] = [][]string{{"1 x"}}
	l.once("")
	l.wants("b", "1 x")
	l.tables[0].Problem, l.tables[1].Problem = errors.New("no key"), errors.New("no key")
	l.once("no selected table can be replicated")
}

func TestDeselectedTable(t *testing.T) {
	l := newLine(t, "a", "b")
	l.chunks["b"] = [][]string{{"1 x"}}
	l.once("")
	both := l.tables
	l.tables = both[:1]
	l.named = true
	l.tables[0].Problem = errors.New("no key")
	l.once("no key")
	l.wantsState("b", position.Copied) // a start that is refused forgets nothing
	l.tables[0].Problem = nil
	l.once("")
	l.wantsState("b", "")
	l.wants("b", "1 x")
	l.tables = both
	l.once("has rows, but the state file knows nothing of them")
}

// A table whose columns change while it is followed stops.
func TestShapeChanges(t *testing.T) {
	l := newLine(t, "a", "b")
	l.once("")
	l.commit("a 1 x", "b 1 x")
	l.reshape = map[string]*source.Table{"b": newTable("b")}
	l.reshape["b"].Columns[1].Native = "varchar(10)"
	l.once("some tables failed: public.b")
	l.wants("a", "1 x")
	l.wants("b", "")
	l.wantsSaved(110)
}

// A column that was dropped and added again while nobody looked has other
// values than those that were copied.
func TestColumnTakesTheNameOfAnother(t *testing.T) {
	l := newLine(t, "a", "b")
	l.tables[0].Columns[1].ID, l.tables[1].Columns[1].ID = 2, 2
	l.once("")
	l.commit("a 1 x", "b 1 x")
	l.tables[1].Columns[1].ID = 3
	l.once("some tables failed: public.b")
	l.wants("a", "1 x")
	l.wants("b", "")
	if _, kept := l.kept(); !strings.Contains(kept["public.b"].Error, `column "v" was dropped and added again`) {
		t.Errorf("the state file says %q", kept["public.b"].Error)
	}
}

// A table that was dropped and created again has other rows than those that
// were copied.
func TestTableTakesTheNameOfAnother(t *testing.T) {
	l := newLine(t, "a", "b")
	l.tables[0].Handle, l.tables[1].Handle = 1, 2
	l.once("")
	l.commit("a 1 x", "b 1 x")
	l.tables[1].Handle = 3
	l.once("some tables failed: public.b")
	l.wants("a", "1 x")
	l.wants("b", "")
	if _, kept := l.kept(); !strings.Contains(kept["public.b"].Error, "another table has taken its name") {
		t.Errorf("the state file says %q", kept["public.b"].Error)
	}
}

func TestPlansRefuse(t *testing.T) {
	target, err := clickhouse.Open(t.Context(), clickhouse.Config{DSN: testenv.ClickHouse(t).DSN("")})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	tables := []*source.Table{newTable("a"), newTable("b"), newTable("c")}
	tables[2].Problem = errors.New("no key")
	_, err = Plans(tables, func(*source.Table) mapper.Options { return mapper.Options{Target: "one"} }, target)
	if err == nil || !strings.Contains(err.Error(), "tables public.a and public.b would both go to one") {
		t.Errorf("error %v", err)
	}
}

// A table that comes while the others are followed is copied and followed.
func TestTableComes(t *testing.T) {
	if testing.Short() {
		t.Skip("looking for new tables takes its time")
	}
	l := newLine(t, "a")
	err := l.background(func(p *Pipeline) {
		l.until("streaming", p.Ready)
		l.chunks["b"] = [][]string{{"1 x", "2 x"}} // as it will be found
		l.come(newTable("b"))
		l.commit("a 1 x", "b 2 x")
		l.until("b streams", func() bool { return l.stateOf(p, "b") == web.Streaming })
		l.commit("a 2 x", "b 3 x")
	})
	if err != nil {
		t.Fatal(err)
	}
	l.wants("a", "1 x, 2 x")
	l.wants("b", "1 x, 2 x, 3 x")
	l.wantsSaved(120)
}

// A table whose name another one takes while it is followed stops.
func TestTableIsReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("looking for new tables takes its time")
	}
	l := newLine(t, "a", "b")
	l.tables[0].Handle, l.tables[1].Handle = 1, 2
	err := l.background(func(p *Pipeline) {
		l.until("streaming", p.Ready)
		l.replace(1, 3)
		l.until("b stops", func() bool { return l.stateOf(p, "b") == web.Failed })
		l.commit("a 1 x", "b 1 x")
	})
	if err != nil {
		t.Fatal(err)
	}
	l.wants("a", "1 x")
	l.wants("b", "")
}
