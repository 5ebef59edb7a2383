package mapper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/mapper/column"
	"github.com/millrace/millrace/source"
)

// asPrice takes "1.00" and the like, and "NaN".
func asPrice(cell []byte, to source.Appender) error {
	if string(cell) == "NaN" {
		return to.Special(source.NaN)
	}
	whole, fraction, _ := strings.Cut(string(cell), ".")
	var n source.Number
	if _, err := fmt.Sscan(whole+fraction, &n.Coef[0]); err != nil {
		return err
	}
	n.Scale = len(fraction)
	return to.Decimal(&n)
}

// items is a table with a key of two columns, one of them a number whose text
// may differ where the value does not.
func items() *source.Table {
	return &source.Table{
		Schema: "public", Name: "items", Key: []int{0, 1},
		Columns: []source.Column{
			{Name: "price", Native: "numeric(9,2)", Type: source.Type{Kind: source.Decimal, Precision: 9, Scale: 2}, Text: asPrice, Binary: asPrice},
			{Name: "code", Native: "text", Type: source.Type{Kind: source.String}, Text: asBytes},
			{Name: "discount", Native: "numeric(9,2)", Type: source.Type{Kind: source.Decimal, Precision: 9, Scale: 2}, Nullable: true, Text: asPrice},
			{Name: "big", Native: "text", Type: source.Type{Kind: source.String}, Nullable: true, Text: asBytes},
			{Name: "bigger", Native: "text", Type: source.Type{Kind: source.String}, Text: asBytes},
		},
	}
}

// cells makes text cells; "~" is NULL, "=" Unchanged and "-" Absent.
func cells(values ...string) []source.Cell {
	list := make([]source.Cell, len(values))
	for i, v := range values {
		switch v {
		case "~":
			list[i].Kind = source.Null
		case "=":
			list[i].Kind = source.Unchanged
		case "-":
			list[i].Kind = source.Absent
		default:
			list[i] = source.Cell{Kind: source.Text, Bytes: []byte(v)}
		}
	}
	return list
}

func newBlock(t testing.TB, p *Plan, misfit MisfitFunc) *Block {
	t.Helper()
	if misfit == nil {
		misfit = fits
	}
	b, err := NewBlock(p, 3, misfit)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const testEpoch = 3 << 56

// insert, update and remove are rows of items of version 7.
func insert(values ...string) *source.Row {
	return &source.Row{Op: source.Insert, Version: 7, New: cells(values...)}
}

func update(old, new []source.Cell) *source.Row {
	return &source.Row{Op: source.Update, Version: 7, Old: old, New: new}
}

func remove(old ...string) *source.Row {
	return &source.Row{Op: source.Delete, Version: 7, Old: cells(old...)}
}

func add(t testing.TB, b *Block, rows ...*source.Row) {
	t.Helper()
	for _, r := range rows {
		if err := b.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

// sent returns the rows of a block as they are sent: "price code discount big
// bigger", behind a "-" for tombstones. It checks the versions.
func sent(t testing.TB, b *Block) []string {
	t.Helper()
	rows := b.Rows()
	lines := make([]string, rows)
	var words [][]string
	for _, in := range b.Input() {
		if in.Data.Rows() != rows {
			t.Fatalf("column %s has %d rows of %d", in.Name, in.Data.Rows(), rows)
		}
		var buf proto.Buffer
		in.Data.EncodeColumn(&buf)
		words = append(words, values(t, in, buf.Buf, rows))
	}
	for row := range rows {
		n := len(b.Plan.Columns)
		if words[n+1][row] == "1" {
			lines[row] = "- "
		}
		var line []string
		for c := range n {
			line = append(line, words[c][row])
		}
		lines[row] += strings.Join(line, " ")
		if want := fmt.Sprint(uint64(testEpoch + 7)); words[n][row] != want {
			t.Errorf("row %d has version %s, want %s", row, words[n][row], want)
		}
	}
	return lines
}

// values decodes a column.
func values(t testing.TB, in proto.InputColumn, data []byte, rows int) []string {
	t.Helper()
	typ := string(in.Data.Type())
	words := make([]string, rows)
	nulls := make([]byte, rows)
	if inner, ok := strings.CutPrefix(typ, "Nullable("); ok {
		typ, nulls, data = inner, data[:rows], data[rows:]
	}
	for row := range rows {
		switch {
		case strings.HasPrefix(typ, "Decimal(9"):
			words[row] = fmt.Sprint(int32(binary.LittleEndian.Uint32(data)))
			data = data[4:]
		case strings.HasPrefix(typ, "String"):
			size, n := binary.Uvarint(data)
			words[row] = fmt.Sprintf("%q", data[n:n+int(size)])
			data = data[n+int(size):]
		case typ == "UInt64", strings.HasPrefix(typ, "DateTime64"):
			words[row] = fmt.Sprint(binary.LittleEndian.Uint64(data))
			data = data[8:]
		case typ == "UInt8":
			words[row] = fmt.Sprint(data[0])
			data = data[1:]
		default:
			t.Fatalf("column of type %s", typ)
		}
		if nulls[row] != 0 {
			words[row] = "NULL"
		}
	}
	return words
}

func TestBlockRows(t *testing.T) {
	key := func(price, code string) []source.Cell { return cells(price, code, "-", "-", "-") }
	tests := map[string]struct {
		rows []*source.Row
		want []string
	}{
		"insert": {
			[]*source.Row{insert("1.00", "a", "~", "b", "c")},
			[]string{`100 "a" NULL "b" "c"`},
		},
		"delete": {
			[]*source.Row{remove("1.00", "a", "-", "-", "-")},
			[]string{`- 100 "a" NULL NULL ""`},
		},
		"delete with the whole old row": {
			[]*source.Row{remove("1.00", "a", "2", "b", "c")},
			[]string{`- 100 "a" NULL NULL ""`},
		},
		"update": {
			[]*source.Row{update(nil, cells("1.00", "a", "2", "~", "c"))},
			[]string{`100 "a" 200 NULL "c"`},
		},
		"update with the same old key": {
			[]*source.Row{update(key("1.00", "a"), cells("1.00", "a", "2", "~", "c"))},
			[]string{`100 "a" 200 NULL "c"`},
		},
		"a key that is written otherwise": {
			[]*source.Row{update(key("1.0", "a"), cells("1.00", "a", "2", "~", "c"))},
			[]string{`100 "a" 200 NULL "c"`},
		},
		"a key of another case": {
			[]*source.Row{update(key("1.00", "a"), cells("1.00", "A", "2", "~", "c"))},
			[]string{`- 100 "a" NULL NULL ""`, `100 "A" 200 NULL "c"`},
		},
		"a new key": {
			[]*source.Row{update(key("1.00", "a"), cells("2.00", "a", "2", "~", "c"))},
			[]string{`- 100 "a" NULL NULL ""`, `200 "a" 200 NULL "c"`},
		},
		"a swap of keys": {
			[]*source.Row{
				update(key("1", "a"), cells("3", "a", "1", "~", "")),
				update(key("2", "a"), cells("1", "a", "2", "~", "")),
				update(key("3", "a"), cells("2", "a", "1", "~", "")),
			},
			[]string{
				`- 100 "a" NULL NULL ""`, `300 "a" 100 NULL ""`,
				`- 200 "a" NULL NULL ""`, `100 "a" 200 NULL ""`,
				`- 300 "a" NULL NULL ""`, `200 "a" 100 NULL ""`,
			},
		},
		"one key column of two is told": {
			[]*source.Row{update(cells("-", "a", "-", "-", "-"), cells("1", "b", "2", "~", ""))},
			[]string{`- 100 "a" NULL NULL ""`, `100 "b" 200 NULL ""`},
		},
		"unchanged, and the old row tells": {
			[]*source.Row{update(cells("1", "a", "2", "b", "c"), cells("1", "=", "3", "=", "="))},
			[]string{`100 "a" 300 "b" "c"`},
		},
		"unchanged was NULL": {
			[]*source.Row{update(cells("1", "a", "2", "~", "c"), cells("2", "a", "3", "=", "="))},
			[]string{`- 100 "a" NULL NULL ""`, `200 "a" 300 NULL "c"`},
		},
	}
	p := plan(t, items(), Options{})
	reused := newBlock(t, p, nil)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			add(t, reused, test.rows...)
			if diff := cmp.Diff(test.want, sent(t, reused)); diff != "" {
				t.Error(diff)
			}
			reused.Reset()
		})
	}
}

func TestBlockOrdersByOtherColumns(t *testing.T) {
	table := items()
	table.OldRow = true
	p := plan(t, table, Options{OrderBy: []string{"bigger", "price", "code"}})
	b := newBlock(t, p, nil)
	add(t, b,
		update(cells("1", "a", "2", "b", "c"), cells("1", "a", "2", "b", "d")),
		update(cells("1", "a", "2", "b", "d"), cells("1", "a", "3", "b", "=")),
		remove("1", "a", "2", "b", "d"))
	want := []string{
		`- 100 "a" NULL NULL "c"`, `100 "a" 200 "b" "d"`,
		`100 "a" 300 "b" "d"`,
		`- 100 "a" NULL NULL "d"`,
	}
	if diff := cmp.Diff(want, sent(t, b)); diff != "" {
		t.Error(diff)
	}
}

// Whole old rows may be turned off while a table is followed.
func TestBlockMissesOldValues(t *testing.T) {
	table := items()
	table.OldRow = true
	p := plan(t, table, Options{OrderBy: []string{"bigger", "price", "code"}})
	absent := cells("2", "a", "-", "-", "-")
	for name, old := range map[string][]source.Cell{"no old row": nil, "old key only": absent} {
		err := newBlock(t, p, nil).Append(update(old, cells("1", "a", "2", "b", "d")))
		if err == nil || !strings.Contains(err.Error(), "column bigger") || !strings.Contains(err.Error(), "REPLICA IDENTITY FULL") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlockIsAsBeforeAfterAnError(t *testing.T) {
	p := plan(t, items(), Options{})
	old := cells("1", "a", "-", "-", "-")
	for name, test := range map[string]struct {
		row  *source.Row
		want string
	}{
		"first column":              {insert("x", "a", "1", "b", "c"), "column price (numeric(9,2) to Decimal(9, 2))"},
		"last column":               {insert("1", "a", "1", "b", "~"), "column bigger (text to String): NULL"},
		"old key":                   {update(cells("1", "~", "-", "-", "-"), cells("1", "b", "1", "=", "c")), "column code"},
		"new key":                   {update(old, cells("1", "~", "1", "=", "c")), "column code"},
		"row behind its tombstone":  {update(old, cells("1", "b", "1", "=", "~")), "column bigger"},
		"row that keeps its key":    {update(cells("1.0", "a", "-", "-", "-"), cells("1", "a", "1", "=", "~")), "column bigger"},
		"unchanged key":             {update(nil, cells("1", "=", "1", "=", "c")), "column code (text to String): the log does not give its value"},
		"key that does not fit":     {insert("12345678.99", "a", "1", "=", "c"), "a key value has more digits"},
		"old key that does not fit": {remove("NaN", "a", "-", "-", "-"), "a key value is not a finite number"},
		"form without decoder": {
			&source.Row{Op: source.Insert, New: append(cells("1", "a", "1", "b"), source.Cell{Kind: source.Binary})}, "no decoder",
		},
		"truncate": {&source.Row{Op: source.Truncate}, "TRUNCATE is no change of a row"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBlock(t, p, nil)
			add(t, b, insert("9", "z", "1", "b", "c"), update(nil, cells("8", "z", "1", "=", "=")))
			rows, pending, size := sent(t, b), len(b.Pending()), b.Bytes()
			err := b.Append(test.row)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one with %q", err, test.want)
			}
			if diff := cmp.Diff(rows, sent(t, b)); diff != "" {
				t.Error(diff)
			}
			if len(b.Pending()) != pending || b.Bytes() != size {
				t.Errorf("%d rows wait, %d bytes; before %d and %d", len(b.Pending()), b.Bytes(), pending, size)
			}
			inserts, updates, deletes := b.Changes()
			if inserts != 1 || updates != 1 || deletes != 0 {
				t.Errorf("counted %d %d %d", inserts, updates, deletes)
			}
			add(t, b, insert("7", "y", "1", "b", "c"))
			if got := sent(t, b); got[len(got)-1] != `700 "y" 100 "b" "c"` {
				t.Errorf("the row after it is %s", got[len(got)-1])
			}
		})
	}
}

// errOfValue hides in errors what must not be in messages.
func TestErrorsNameNoValue(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	err := b.Append(insert("12345678.99", "secret", "1", "b", "~"))
	var ve *ValueError
	if !errors.As(err, &ve) || ve.Column != "price" {
		t.Fatalf("error %v", err)
	}
	if strings.Contains(err.Error(), "12345678") {
		t.Errorf("error %q tells the value", err)
	}
}

func TestMisfits(t *testing.T) {
	p := plan(t, items(), Options{})
	var told []string
	b := newBlock(t, p, func(_ *Plan, f *Field, m *source.Misfit) error {
		told = append(told, f.Name+" "+m.Reason)
		return nil
	})
	add(t, b,
		insert("1", "a", "NaN", "b", "c"),
		update(cells("1", "a", "-", "-", "-"), cells("2", "a", "NaN", "b", "c")),
		update(cells("1.0", "a", "-", "-", "-"), cells("1", "a", "12345678.901", "b", "c")))
	want := []string{
		"discount is not a finite number",
		"discount is not a finite number",
		"discount has more digits than the target type holds",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	if n := len(b.Letters()); n != 3 {
		t.Errorf("%d letters", n)
	}
	if got := sent(t, b)[0]; got != `100 "a" NULL "b" "c"` {
		t.Errorf("row %s", got)
	}
	stop := errors.New("policy")
	b = newBlock(t, p, func(*Plan, *Field, *source.Misfit) error { return stop })
	if err := b.Append(insert("1", "a", "NaN", "b", "c")); !errors.Is(err, stop) || b.Rows() != 0 || len(b.Letters()) != 0 {
		t.Errorf("error %v, %d rows, %d letters", err, b.Rows(), len(b.Letters()))
	}
}

// A decoder may tell where in a value the misfit is.
func TestWrappedMisfit(t *testing.T) {
	table := items()
	table.Columns[2].Text = func(cell []byte, to source.Appender) error {
		if err := asPrice(cell, to); err != nil {
			return fmt.Errorf("element 1: %w", err)
		}
		return nil
	}
	b := newBlock(t, plan(t, table, Options{}), nil)
	add(t, b, insert("1", "a", "NaN", "b", "c"))
	if got := sent(t, b)[0]; got != `100 "a" NULL "b" "c"` {
		t.Errorf("row %s", got)
	}
}

func TestPending(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	key := []byte("a")
	row := update(nil, cells("1", "a", "2", "=", "c"))
	row.New[1].Bytes = key
	add(t, b,
		insert("9", "z", "1", "b", "c"),
		row,
		update(cells("1", "a", "-", "-", "-"), cells("2.0", "a", "2", "=", "=")),
		update(cells("2", "a", "-", "-", "-"), cells("2.0", "=", "2", "b", "=")))
	key[0] = 'x' // the receive buffer is used again
	want := []Pending{
		{Row: 1, Old: -1, Columns: []int{3}, Key: cells("1", "a"), Version: testEpoch + 7},
		{Row: 3, Old: 2, Columns: []int{3, 4}, Key: cells("2.0", "a"), Version: testEpoch + 7},
		{Row: 4, Old: -1, Columns: []int{4}, Key: cells("2.0", "a"), Version: testEpoch + 7},
	}
	if diff := cmp.Diff(want, b.Pending()); diff != "" {
		t.Error(diff)
	}
	if !b.Deleted(2) || b.Deleted(3) || b.Version(3) != testEpoch+7 {
		t.Error("row 2 is no tombstone, or row 3 is one")
	}
	if !bytes.Equal(b.Key(nil, 3), b.Key(nil, 4)) || bytes.Equal(b.Key(nil, 2), b.Key(nil, 3)) {
		t.Error("keys are not told apart")
	}
	b.Reset()
	if len(b.Pending()) != 0 {
		t.Error("rows wait in an empty block")
	}
}

// Resolve puts another column in place: what is sent and what is added
// afterwards must be in that one.
func TestResolve(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	values, err := column.New("Nullable(String)")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"x", "y"} {
		if err := values.Append(cells(v)[0], asBytes); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		add(t, b, insert("1", "a", "1", "b", "c"), update(nil, cells("2", "a", "1", "=", "c")), update(nil, cells("3", "a", "1", "=", "c")))
		err := b.Resolve(3, func(row int) (*column.Column, int, bool) { return values, 1, row == 1 })
		if err != nil {
			t.Fatal(err)
		}
		b.Resolved()
		add(t, b, insert("4", "a", "1", "d", "c"))
		want := []string{`100 "a" 100 "b" "c"`, `200 "a" 100 "y" "c"`, `300 "a" 100 NULL "c"`, `400 "a" 100 "d" "c"`}
		if diff := cmp.Diff(want, sent(t, b)); diff != "" {
			t.Error(diff)
		}
		if len(b.Pending()) != 0 {
			t.Error("rows still wait")
		}
		b.Reset()
	}
}

// Values that are waited for take memory only later, which must be reckoned
// with: with a guess first, then by what they were.
func TestBytesOfAwaitedValues(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	waiting := update(nil, cells("2", "a", "1", "=", "c"))
	add(t, b, waiting)
	if b.Bytes() < firstAwaited {
		t.Errorf("%d bytes with a value that is waited for", b.Bytes())
	}
	values, err := column.New("Nullable(String)")
	if err != nil {
		t.Fatal(err)
	}
	large := source.Cell{Kind: source.Text, Bytes: make([]byte, 1<<20)}
	if err := values.Append(large, asBytes); err != nil {
		t.Fatal(err)
	}
	if err := b.Resolve(3, func(int) (*column.Column, int, bool) { return values, 0, true }); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	add(t, b, waiting)
	if b.Bytes() < 1<<20 {
		t.Errorf("%d bytes after values of a megabyte", b.Bytes())
	}
}

func TestMetadata(t *testing.T) {
	p := plan(t, items(), Options{Metadata: []Metadata{CommitTime, LogPosition}})
	b := newBlock(t, p, nil)
	row := insert("1", "a", "1", "b", "c")
	row.Time = 1_700_000_000_123_456
	for range 2 {
		if err := b.Append(insert("1", "a", "1", "b", "~")); err == nil {
			t.Fatal("a NULL went into a column that takes none")
		}
		add(t, b, row)
		in := b.Input()
		for i, want := range map[int]string{7: "1700000000123456", 8: "7"} {
			var buf proto.Buffer
			in[i].Data.EncodeColumn(&buf)
			if got := values(t, in[i], buf.Buf, 1)[0]; got != want {
				t.Errorf("%s is %s, want %s", in[i].Name, got, want)
			}
		}
		if in[7].Name != "_commit_time" || in[8].Name != "_position" {
			t.Errorf("columns %s and %s", in[7].Name, in[8].Name)
		}
		b.Reset()
	}
}

func TestDecode(t *testing.T) {
	b := newBlock(t, plan(t, items(), Options{}), nil)
	to, err := column.New("Decimal(9, 2)")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []source.CellKind{source.Text, source.Binary} {
		if err := b.Decode(new(Pending), 0, source.Cell{Kind: kind, Bytes: []byte("1.5")}, to); err != nil {
			t.Error(err)
		}
	}
	if to.Rows() != 2 {
		t.Errorf("%d values", to.Rows())
	}
}

// A value that was fetched and does not fit is told of like one from the log.
func TestDecodeMisfit(t *testing.T) {
	p := plan(t, items(), Options{})
	i := slices.IndexFunc(p.Columns, func(f Field) bool { return f.Name == "discount" })
	nan := source.Cell{Kind: source.Text, Bytes: []byte("NaN")}
	row := &Pending{Key: cells("1", "a"), Version: 7, Time: 9}
	to, err := column.New(p.Columns[i].Type)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	b := newBlock(t, p, func(*Plan, *Field, *source.Misfit) error { told++; return nil })
	if err := b.Decode(row, i, nan, to); err != nil || told != 1 || len(b.Letters()) != 1 {
		t.Fatalf("error %v, told %d times, letters %+v", err, told, b.Letters())
	}
	if l := b.Letters()[0]; l.Column != "discount" || l.Value != "NaN" || l.Key != "1, a" || l.Version != 7 || l.Time != 9 {
		t.Errorf("letter %+v", l)
	}
	stop := errors.New("policy")
	b = newBlock(t, p, func(*Plan, *Field, *source.Misfit) error { return stop })
	if err := b.Decode(row, i, nan, to); !errors.Is(err, stop) || len(b.Letters()) != 0 {
		t.Errorf("error %v, letters %+v", err, b.Letters())
	}
}
