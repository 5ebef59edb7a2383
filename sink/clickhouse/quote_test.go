package clickhouse

import (
	"crypto/rand"
	"strconv"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/mapper"
)

// hostile are names that a source allows, and texts that a comment may hold.
var hostile = []string{
	"quo'te", `quo"te`, "back`tick", `back\slash`, `\`, "`", "``", `\'`, "人間失格", "new\nline", "tab\tand\x01",
	"table", "SELECT", "a b", "semi;colon--", "{brace}", "?", "$1", "Ünï", "percent%20", "slash/", strings.Repeat("x", 63), strings.Repeat("人", 21),
}

func TestQuote(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Ident("a"), "`a`"},
		{Ident("back`tick"), "`back\\`tick`"},
		{Ident(`back\slash`), "`back\\\\slash`"},
		{Literal("quo'te"), `'quo\'te'`},
		{Literal(`\'`), `'\\\''`},
		{idents([]string{"a", "b`"}), "`a`, `b\\``"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

// Every name is created, described, inserted under and read back.
func TestHostileNames(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		p := plan("columns")
		cols := own(t, 1, 1)
		for i, name := range hostile {
			p.Columns = append(p.Columns, mapper.Field{Name: name, Type: "Int32", Comment: name})
			cols = append(cols, col(t, name, "Int32", i64(int64(i))))
		}
		p.OrderBy = nil
		for i := range p.Columns {
			p.OrderBy = append(p.OrderBy, i)
		}
		p.Comment = strings.Join(hostile, " ")
		create(t, target, p)
		if exists, err := target.Check(t.Context(), p); !exists || err != nil {
			t.Errorf("check: %v, %v", exists, err)
		}
		if err := target.Insert(t.Context(), p.Target, rand.Text(), cols); err != nil {
			t.Fatal(err)
		}
		var name, comment proto.ColStr
		err := target.Select(t.Context(), "SELECT name, comment FROM system.columns WHERE database = "+Literal(ch.Database)+
			" AND table = 'columns' ORDER BY position LIMIT "+strconv.Itoa(len(hostile)),
			proto.Results{{Data: &name}, {Data: &comment}}, func(rows int) error {
				for i := range rows {
					if name.Row(i) != hostile[i] || comment.Row(i) != hostile[i] {
						t.Errorf("column %q with comment %q, want %q", name.Row(i), comment.Row(i), hostile[i])
					}
				}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range hostile {
			var got proto.ColInt32
			err := target.Select(t.Context(), "SELECT "+Ident(name)+" FROM "+target.Name(p.Target), proto.Results{{Data: &got}}, func(int) error {
				if got[0] != int32(i) {
					t.Errorf("column %q holds %d, want %d", name, got[0], i)
				}
				return nil
			})
			if err != nil {
				t.Errorf("column %q: %v", name, err)
			}
		}
	})
}

func TestHostileTables(t *testing.T) {
	ch := testenv.ClickHouse(t)
	target := open(t, ch.DSN(""))
	for _, name := range hostile {
		p := plan(name, "id Int32")
		create(t, target, p)
		if err := target.Insert(t.Context(), name, rand.Text(), append(own(t, 1, 1), col(t, "id", "Int32", i64(1)))); err != nil {
			t.Errorf("table %q: %v", name, err)
		}
		if has, err := target.HasRows(t.Context(), name); !has || err != nil {
			t.Errorf("table %q: %v, %v", name, has, err)
		}
	}
}
