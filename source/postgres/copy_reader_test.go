package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

const goldenCopy = "testdata/table.copy"

// goldenCopyTable is the table that was captured; without a server, since only
// the presence of decoders counts.
var goldenCopyTable = &source.Table{Schema: "public", Name: "captured", Columns: []source.Column{
	{Name: "id", Binary: int4Binary}, {Name: "v", Binary: rawBytes}, {Name: "i", Text: rawBytes}, {Name: "b", Binary: rawBytes},
}}

// TestGoldenCopy reads what a server sent once, cut at every byte.
func TestGoldenCopy(t *testing.T) {
	if *update {
		captureCopy(t)
	}
	data := readFile(t, goldenCopy)
	whole, err := readCopy(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(readFile(t, goldenCopy+".txt")), whole); diff != "" {
		t.Errorf("-golden +read\n%s", diff)
	}
	for i := range data {
		if cut, err := readCopy(t, data[:i], data[i:]); err != nil || cut != whole {
			t.Fatalf("cut at byte %d: %v\n%s", i, err, cmp.Diff(whole, cut))
		}
		if _, err := readCopy(t, data[:i]); err == nil {
			t.Fatalf("ended at byte %d, and was taken for whole", i)
		}
	}
	var single [][]byte
	for i := range data {
		single = append(single, data[i:i+1])
	}
	if cut, err := readCopy(t, single...); err != nil || cut != whole {
		t.Errorf("byte by byte: %v\n%s", err, cmp.Diff(whole, cut))
	}
}

func captureCopy(t *testing.T) {
	t.Helper()
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE captured (id int PRIMARY KEY, v text, i interval, b bytea)",
		`INSERT INTO captured VALUES (1, 'one', '1 day 02:03', '\x00ff'), (2, NULL, NULL, NULL), (3, '', '0', ''), (-4, repeat('x', 500), '-1 month', '\x50')`)
	s := newTestSource(t, dsn)
	var data bytes.Buffer
	if _, err := testConnect(t, s).PgConn().CopyTo(t.Context(), &data, s.copySQL(goldenCopyTable, source.Chunk{})); err != nil {
		t.Fatal(err)
	}
	writeFile(t, goldenCopy, data.Bytes())
	text, err := readCopy(t, data.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, goldenCopy+".txt", []byte(text))
}

// readCopy reads a COPY that comes in parts.
func readCopy(t testing.TB, parts ...[]byte) (string, error) {
	t.Helper()
	h := &transcript{}
	c := newCopyReader(t.Context(), goldenCopyTable, h)
	for _, p := range parts {
		if _, err := c.Write(bytes.Clone(p)); err != nil {
			return h.text(), err
		}
	}
	return h.text(), c.end()
}

func copyHeader() []byte { return append(bytes.Clone(copySignature), make([]byte, 8)...) }

// copyRow is a row of the captured table with its fields; nil is NULL.
func copyRow(fields ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(fields)))
	for _, f := range fields {
		if f == nil {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

var copyTrailer = []byte{0xff, 0xff}

func TestMalformedCopy(t *testing.T) {
	row := copyRow([]byte{0, 0, 0, 1}, nil, nil, nil)
	flags := copyHeader()
	flags[12] = 1 // with OIDs, as servers before 12 could
	for name, data := range map[string][]byte{
		"empty":           {},
		"text":            []byte("1\tone\t\\N\t\\N\n and so on"),
		"flags":           append(flags, copyTrailer...),
		"extension":       append(append(bytes.Clone(copySignature), 0, 0, 0, 0, 0xff, 0, 0, 0), copyTrailer...),
		"no end":          append(copyHeader(), row...),
		"other fields":    append(copyHeader(), copyRow(nil, nil)...),
		"negative fields": append(copyHeader(), 0xff, 0xfe),
		"negative length": append(copyHeader(), 0, 4, 0xff, 0xff, 0xff, 0xfe),
		"behind the end":  append(append(copyHeader(), copyTrailer...), row...),
	} {
		if text, err := readCopy(t, data); err == nil {
			t.Errorf("%s: read %s", name, text)
		}
	}
	extended := append(bytes.Clone(copySignature), 0, 0, 0, 0, 0, 0, 0, 3, 'e', 'x', 't')
	if text, err := readCopy(t, append(append(extended, row...), copyTrailer...)); err != nil || strings.Count(text, "INSERT") != 1 {
		t.Errorf("with an extension: %v, %s", err, text)
	}
}

func TestCopyEndsAtTheHandlersError(t *testing.T) {
	refusal := errors.New("refused")
	c := newCopyReader(t.Context(), goldenCopyTable, refuser{refusal})
	data := append(copyHeader(), copyRow(nil, nil, nil, nil)...)
	if _, err := c.Write(data); !errors.Is(err, refusal) || !errors.Is(c.refused, refusal) {
		t.Errorf("got %v, kept %v", err, c.refused)
	}
}

func TestCopiedRowsAllocateNothing(t *testing.T) {
	h := &quiet{}
	c := newCopyReader(t.Context(), goldenCopyTable, h)
	if _, err := c.Write(copyHeader()); err != nil {
		t.Fatal(err)
	}
	row := copyRow([]byte{0, 0, 0, 1}, []byte("text"), nil, []byte{})
	half := len(row) / 2
	for name, parts := range map[string][][]byte{"whole": {row}, "in halves": {row[:half], row[half:]}} {
		allocs := testing.AllocsPerRun(1000, func() {
			for _, p := range parts {
				if _, err := c.Write(p); err != nil {
					t.Fatal(err)
				}
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations for a row", name, allocs)
		}
	}
	if h.rows != 2002 {
		t.Errorf("%d rows came through", h.rows)
	}
}

func BenchmarkCopiedRow(b *testing.B) {
	columns := make([]source.Column, 8)
	fields := make([][]byte, 8)
	for i := range columns {
		columns[i].Binary, fields[i] = int4Binary, []byte{0, 0, 0, byte(i)}
	}
	c := newCopyReader(b.Context(), &source.Table{Columns: columns}, &quiet{})
	if _, err := c.Write(copyHeader()); err != nil {
		b.Fatal(err)
	}
	row := copyRow(fields...)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(row); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzCopy reads a COPY whole and cut in two places: both tell the same.
func FuzzCopy(f *testing.F) {
	row := copyRow([]byte{0, 0, 0, 1}, []byte("text"), nil, []byte{})
	f.Add(append(append(copyHeader(), row...), copyTrailer...), uint16(3), uint16(20))
	f.Add(append(copyHeader(), row[:9]...), uint16(0), uint16(25))
	f.Fuzz(func(t *testing.T, data []byte, i, j uint16) {
		at := min(int(i), len(data))
		to := min(at+int(j), len(data))
		whole, err := readCopy(t, data)
		cut, cutErr := readCopy(t, data[:at], data[at:to], data[to:])
		if whole != cut || (err == nil) != (cutErr == nil) {
			t.Errorf("whole %v %q\ncut at %d and %d: %v %q", err, whole, at, to, cutErr, cut)
		}
	})
}
