package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pglogrepl"

	"github.com/millrace/millrace/source"
)

// A quiet handler does nothing.
type quiet struct{ rows int }

func (*quiet) Schema(context.Context, *source.Table) error { return nil }
func (*quiet) Commit(context.Context, source.Commit) error { return nil }
func (h *quiet) Row(context.Context, *source.Row) error {
	h.rows++
	return nil
}

// message builds a pgoutput message in its envelope.
type message struct{ bytes.Buffer }

func newMessage(kind byte) *message {
	m := new(message)
	m.WriteByte(pglogrepl.XLogDataByteID)
	m.Write(make([]byte, 24))
	m.WriteByte(kind)
	return m
}

func (m *message) put(values ...any) *message {
	for _, v := range values {
		if s, ok := v.(string); ok {
			m.WriteString(s)
		} else if err := binary.Write(m, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	return m
}

func beginMessage(lsn uint64) []byte { return newMessage('B').put(lsn, int64(0), int32(1)).Bytes() }
func commitMessage(lsn uint64) []byte {
	return newMessage('C').put(byte(0), lsn, lsn+8, int64(0)).Bytes()
}

// wide is a table of n columns, keyed by the first, and what describes it.
func wide(n int) (*table, []byte) {
	const oid = 4711
	t := &table{Table: &source.Table{Schema: "public", Name: "wide", Handle: oid, Key: []int{0}}}
	m := newMessage('R').put(uint32(oid), "public\x00wide\x00", byte('d'), int16(n))
	for i := range n {
		name, key := fmt.Sprintf("c%d", i), byte(0)
		if i == 0 {
			key = 1
		}
		t.Columns = append(t.Columns, source.Column{Name: name})
		t.attributes = append(t.attributes, attribute{name: name, typ: oidInt4, mod: -1})
		m.put(key, name+"\x00", uint32(oidInt4), int32(-1))
	}
	return t, m.Bytes()
}

// insertMessage is an insert of n columns of 4 bytes.
func insertMessage(n int) []byte {
	m := newMessage('I').put(uint32(4711), byte('N'), int16(n))
	for i := range n {
		m.put(byte('b'), int32(4), int32(i))
	}
	return m.Bytes()
}

// inTransaction returns a stream inside a transaction, which knows a table of
// n columns.
func inTransaction(t testing.TB, n int, h source.Handler) *stream {
	t.Helper()
	st := goldenStream(t, nil, h)
	info, relation := wide(n)
	st.known[4711] = info
	for _, m := range [][]byte{beginMessage(1), relation} {
		if err := st.copyData(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

func TestRowsAllocateNothing(t *testing.T) {
	h := &quiet{}
	st := inTransaction(t, 8, h)
	update := newMessage('U').put(uint32(4711), byte('K'), int16(8), byte('t'), int32(1), "1", "nnnnnnn", byte('N'), int16(8), byte('t'), int32(1), "2", "nuunnnn").Bytes()
	for name, m := range map[string][]byte{"insert": insertMessage(8), "update": update} {
		ctx := t.Context()
		allocs := testing.AllocsPerRun(1000, func() {
			if err := st.copyData(ctx, m); err != nil {
				t.Fatal(err)
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

func BenchmarkInsert(b *testing.B) {
	st := inTransaction(b, 8, &quiet{})
	m := insertMessage(8)
	ctx := b.Context()
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		if err := st.copyData(ctx, m); err != nil {
			b.Fatal(err)
		}
	}
}

// What a server cannot have sent is an error that says so.
func TestMalformedMessages(t *testing.T) {
	outside := []byte{'x'}
	for name, m := range map[string][]byte{
		"empty":                 {},
		"unknown envelope":      {'x', 1, 2},
		"empty envelope":        newMessage('I').Bytes()[:25],
		"unknown kind":          newMessage('?').Bytes(),
		"begin in transaction":  beginMessage(9),
		"short begin":           beginMessage(9)[:40],
		"short commit":          commitMessage(9)[:40],
		"short keepalive":       {pglogrepl.PrimaryKeepaliveMessageByteID, 0, 0},
		"unknown relation":      newMessage('I').put(uint32(1), byte('N'), int16(0)).Bytes(),
		"truncate of unknown":   newMessage('T').put(uint32(1), byte(0), uint32(1)).Bytes(),
		"short truncate":        newMessage('T').put(uint32(math.MaxUint32), byte(0), uint32(4711)).Bytes(),
		"delete without old":    newMessage('D').put(uint32(4711), byte('N')).Bytes(),
		"insert without new":    newMessage('I').put(uint32(4711), byte('X')).Bytes(),
		"other columns":         newMessage('I').put(uint32(4711), byte('N'), int16(3), "nnn").Bytes(),
		"negative columns":      newMessage('I').put(uint32(4711), byte('N'), int16(-1)).Bytes(),
		"unknown form":          newMessage('I').put(uint32(4711), byte('N'), int16(2), "nz").Bytes(),
		"negative length":       newMessage('I').put(uint32(4711), byte('N'), int16(2), "nt", int32(-1)).Bytes(),
		"length beyond the end": newMessage('I').put(uint32(4711), byte('N'), int16(2), "nb", int32(9), "12345678").Bytes(),
		"short relation":        newMessage('R').put(uint32(4711), "public\x00wide").Bytes(),
		"relation cut off":      newMessage('R').put(uint32(4711), "public\x00wide\x00", byte('d'), int16(math.MaxInt16), byte(0), "c\x00").Bytes(),
		"no columns":            newMessage('R').put(uint32(4711), "public\x00wide\x00", byte('d'), int16(-1)).Bytes(),
		"outside":               outside,
	} {
		h := &quiet{}
		st := inTransaction(t, 2, h)
		if name == "outside" {
			if err := st.copyData(t.Context(), commitMessage(1)); err != nil {
				t.Fatal(err)
			}
			m = insertMessage(2)
		}
		if err := st.copyData(t.Context(), m); err == nil || h.rows > 0 && name != "short truncate" {
			t.Errorf("%s: got %v and %d rows", name, err, h.rows)
		}
	}
}

// A handler's error is handed on as it is; one of decoding says where it was.
func TestHandlerErrorIsNotDressed(t *testing.T) {
	refusal := errors.New("refused")
	st := inTransaction(t, 2, refuser{refusal})
	if err := st.copyData(t.Context(), insertMessage(2)); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	st = inTransaction(t, 2, &quiet{})
	if err := st.copyData(t.Context(), insertMessage(3)); err == nil || !strings.Contains(err.Error(), "pgoutput message after 0/0") {
		t.Errorf("got %v", err)
	}
}

type refuser struct{ err error }

func (refuser) Schema(context.Context, *source.Table) error   { return nil }
func (r refuser) Commit(context.Context, source.Commit) error { return r.err }
func (r refuser) Row(context.Context, *source.Row) error      { return r.err }

// An announcement of much that does not come takes little memory.
func TestMessagesAllocateWhatTheyHold(t *testing.T) {
	for name, m := range map[string][]byte{
		"columns":  newMessage('R').put(uint32(4711), "public\x00wide\x00", byte('d'), int16(math.MaxInt16)).put(bytes.Repeat([]byte{0}, 100)).Bytes(),
		"truncate": newMessage('T').put(uint32(math.MaxUint32), byte(0)).Bytes(),
		"length":   newMessage('I').put(uint32(4711), byte('N'), int16(2), "t", int32(math.MaxInt32)).Bytes(),
	} {
		st := inTransaction(t, 2, &quiet{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := st.copyData(t.Context(), m)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<16 {
			t.Errorf("%s: %d bytes of message took %d bytes, error %v", name, len(m), took, err)
		}
	}
}

// FuzzMessages feeds a message to a stream inside a transaction, which knows
// the captures' relations, and then another.
func FuzzMessages(f *testing.F) {
	var prelude [][]byte
	for _, form := range []string{"text", "binary"} {
		for _, m := range unframe(readFile(f, "testdata/"+form+".pgoutput")) {
			if len(m) < 300 { // small seeds are quick to minimize
				f.Add(m, commitMessage(1))
			}
			if _, ok := parse(f, m).(*pglogrepl.RelationMessage); ok && form == "text" {
				prelude = append(prelude, m)
			}
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		h := &inspector{t: t}
		st := goldenStream(t, prelude, h)
		for _, m := range append([][]byte{beginMessage(1)}, prelude...) {
			if err := st.copyData(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range [][]byte{first, second} {
			if st.copyData(t.Context(), m) != nil {
				return
			}
		}
	})
}

// An inspector is a handler that reads all it is given.
type inspector struct {
	t    *testing.T
	last *source.Table
}

func (i *inspector) Schema(_ context.Context, t *source.Table) error {
	i.last = t
	return nil
}

func (i *inspector) Commit(context.Context, source.Commit) error { return nil }

func (i *inspector) Row(_ context.Context, r *source.Row) error {
	for _, cells := range [][]source.Cell{r.Old, r.New} {
		if len(cells) != 0 && len(cells) != len(r.Table.Columns) {
			i.t.Fatalf("%d cells for %d columns", len(cells), len(r.Table.Columns))
		}
		for _, cell := range cells {
			if (cell.Kind == source.Text || cell.Kind == source.Binary) != (cell.Bytes != nil) {
				i.t.Fatalf("cell of kind %d with bytes %v", cell.Kind, cell.Bytes)
			}
		}
	}
	if i.last == nil {
		i.t.Fatal("a row before any table")
	}
	return nil
}
