package postgres

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/millrace/millrace/source"
)

// pagesOf reads the pages of chunks back and fails when they leave a gap or
// overlap. It returns the first page of each.
func pagesOf(t *testing.T, chunks []source.Chunk) []int64 {
	t.Helper()
	if len(chunks) == 0 || chunks[0].From != "" || chunks[len(chunks)-1].To != "" {
		t.Fatalf("the chunks are not open at both ends: %+v", chunks)
	}
	first := []int64{0}
	for i, c := range chunks[1:] {
		if c.From != chunks[i].To {
			t.Fatalf("chunk %d ends at %q, the next begins at %q", i, chunks[i].To, c.From)
		}
		var page int64
		if _, err := fmt.Sscanf(c.From, "(%d,0)", &page); err != nil || page <= first[i] || page > math.MaxUint32 {
			t.Fatalf("chunk %d begins at %q after page %d: %v", i+1, c.From, first[i], err)
		}
		first = append(first, page)
	}
	return first
}

func TestCutCoversEveryPageOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for range 300 {
		pages := r.Int64N(1 << r.Int64N(33))
		l := leaf{name: "part", pages: int32(r.Int64N(1 << r.Int64N(31))), tuples: float32(r.Int64N(1<<r.Int64N(40)) - 1)}
		chunks := cut(l, pages, 1+int(r.Int64N(1<<r.Int64N(30))))
		first := pagesOf(t, chunks)
		if len(first) > maxChunks {
			t.Fatalf("%d pages make %d chunks", pages, len(first))
		}
		if last := first[len(first)-1]; last > 0 && last >= pages {
			t.Fatalf("the last chunk of %d pages begins at %d", pages, last)
		}
		for _, c := range chunks {
			if c.Part != "part" || c.Rows < 0 {
				t.Fatalf("chunk %+v", c)
			}
		}
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		name        string
		leaf        leaf
		pages       int64
		rows, count int
		estimate    int64 // of the first chunk
	}{
		{"empty", leaf{}, 0, 1000, 1, 0},
		{"never counted", leaf{tuples: -1}, 100, 600, 10, 600},
		{"counted", leaf{pages: 100, tuples: 10_000}, 100, 1000, 10, 1000},
		{"grown since", leaf{pages: 100, tuples: 10_000}, 1000, 1000, 100, 1000},
		{"a page has more rows than a chunk", leaf{pages: 10, tuples: 1000}, 10, 1, 10, 100},
		{"counted when empty", leaf{pages: 10, tuples: 0}, 1000, 600, 100, 600},
		{"counted when nearly empty", leaf{pages: 1000, tuples: 1}, 1000, 100, 10, 100},
		{"smaller than a chunk", leaf{pages: 3, tuples: 30}, 3, 1000, 1, 30},
	} {
		chunks := cut(tt.leaf, tt.pages, tt.rows)
		pagesOf(t, chunks)
		if len(chunks) != tt.count || chunks[0].Rows != tt.estimate {
			t.Errorf("%s: %d chunks, the first of %d rows, want %d of %d", tt.name, len(chunks), chunks[0].Rows, tt.count, tt.estimate)
		}
	}
}

func TestCopySQL(t *testing.T) {
	s := newTestSource(t, "postgres://none/none")
	described := &source.Table{Schema: "s", Name: `t"x`, Handle: 7, Columns: []source.Column{
		{Name: "id", Binary: rawBytes}, {Name: `a"b`, Text: rawBytes},
	}}
	for _, tt := range []struct {
		chunk source.Chunk
		where string
	}{
		{source.Chunk{}, ` FROM ONLY "s"."t""x") TO STDOUT`},
		{source.Chunk{Part: `"s"."p"`, From: "(1,0)"}, ` FROM ONLY "s"."p" WHERE ctid >= '(1,0)'::tid) TO`},
		{source.Chunk{Part: `"s"."p"`, From: "(1,0)", To: "(2,0)"}, ` WHERE ctid >= '(1,0)'::tid AND ctid < '(2,0)'::tid) TO`},
		{source.Chunk{To: "(2,0)"}, ` WHERE ctid < '(2,0)'::tid) TO`},
	} {
		sql := s.copySQL(described, tt.chunk)
		if !strings.Contains(sql, tt.where) || !strings.HasPrefix(sql, `COPY (SELECT "id", CASE WHEN "a""b" `) {
			t.Errorf("%+v: %s", tt.chunk, sql)
		}
	}
	for filter, want := range map[string]string{"a > 1 OR b": " WHERE ctid < '(2,0)'::tid AND (a > 1 OR b)) TO", "": " WHERE ctid < '(2,0)'::tid) TO"} {
		s.tables[7] = &table{filter: filter}
		if sql := s.copySQL(described, source.Chunk{To: "(2,0)"}); !strings.Contains(sql, want) {
			t.Errorf("filter %q: %s", filter, sql)
		}
	}
}
