package sink_test

import (
	"testing"
	"testing/synctest"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// Dead letters are written behind their block and before the position.
func TestLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.fails["insert "+sink.DeadLetters] = []error{errBusy, nil}
		f.tables["a"].Columns[1].Text = func(cell []byte, to source.Appender) error {
			if string(cell) == "huge" {
				return to.Uint(1 << 63)
			}
			return asInt(cell, to)
		}
		f.row("a 1").add("a", source.Insert, text("2"), text("huge"), null()).commit()
		flusher := s.flusher(1)
		must(t, f.flush(t.Context(), flusher))
		want := []string{"insert a 1 2", "insert _millrace_dead_letters fails", "insert _millrace_dead_letters", "save 1", "ack 1", "flushed"}
		if got := s.list(); len(got) != len(want) || got[0] != want[0] {
			t.Errorf("events %q, want %q", got, want)
		}
		tokens := s.tokens["insert "+sink.DeadLetters]
		if block := s.tokens["insert a 1 2"][0]; len(tokens) != 2 || tokens[0] != tokens[1] || tokens[0] == block {
			t.Errorf("tokens %q, of the block %q", tokens, block)
		}
		f.row("a 3").commit()
		s.events = nil
		must(t, f.flush(t.Context(), flusher))
		wants(t, s, "insert a 3", "save 2", "ack 2", "flushed")
	})
}

// A letter says where the value was and what it was.
func TestLetterColumns(t *testing.T) {
	var columns []proto.InputColumn
	synctest.Test(t, func(t *testing.T) {
		s, f := newScript(), newFeed(t)
		s.watch = func(table string, c []proto.InputColumn) {
			if table == sink.DeadLetters {
				columns = c
			}
		}
		f.tables["a"].Columns[1].Text = func(_ []byte, to source.Appender) error { return to.Uint(1 << 63) }
		f.add("a", source.Insert, text("2"), text("huge"), null()).commit()
		must(t, f.flush(t.Context(), s.flusher(1)))
	})
	want := map[string]string{
		"table": "public.a", "column": "n", "key": "2", "value": "huge",
		"reason": "has more digits than the target type holds",
	}
	for _, c := range columns {
		if text, ok := c.Data.(*proto.ColStr); ok && text.Row(0) != want[c.Name] {
			t.Errorf("%s is %q, want %q", c.Name, text.Row(0), want[c.Name])
		}
		if c.Data.Rows() != 1 {
			t.Errorf("%s has %d rows", c.Name, c.Data.Rows())
		}
	}
	if len(columns) != 7 {
		t.Errorf("%d columns", len(columns))
	}
}
