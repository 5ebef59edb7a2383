package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

var update = flag.Bool("update", false, "capture testdata anew from a server")

// TestGoldenStream decodes what a server sent once, in text and in binary form,
// and compares it with what was decoded then and with pglogrepl's own parser.
func TestGoldenStream(t *testing.T) {
	for _, form := range []string{"text", "binary"} {
		t.Run(form, func(t *testing.T) {
			path := filepath.Join("testdata", form+".pgoutput")
			if *update {
				writeFile(t, path, frame(captureStream(t, form)))
			}
			messages := unframe(readFile(t, path))
			h := &transcript{}
			st := goldenStream(t, messages, h)
			for i, m := range messages {
				if err := st.copyData(t.Context(), m); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			if *update {
				writeFile(t, path+".txt", []byte(h.text()))
			}
			if diff := cmp.Diff(string(readFile(t, path+".txt")), h.text()); diff != "" {
				t.Errorf("-golden +decoded\n%s", diff)
			}
			if diff := cmp.Diff(slowly(t, messages), h.text()); diff != "" {
				t.Errorf("-pglogrepl +decoded\n%s", diff)
			}
			for _, part := range []string{"INSERT", "UPDATE", "DELETE", "TRUNCATE", "unchanged", "absent", "NULL", "UPDATE public.whole", "idle"} {
				if !strings.Contains(h.text(), part) {
					t.Errorf("the capture has no %q", part)
				}
			}
		})
	}
}

// goldenWork is what the captures hold.
var goldenWork = []string{
	"INSERT INTO one VALUES (1, 'first', 1.50, true, '2024-02-29 12:00:00+00', repeat('x', 3000), NULL), (2, '', -3, false, 'infinity', '', '{1,NULL,3}')",
	"UPDATE one SET b = 'second' WHERE a = 1",
	"UPDATE one SET a = 10 WHERE a = 1",
	"UPDATE one SET b = NULL WHERE a = 2",
	"BEGIN; INSERT INTO two VALUES ('k', 1); INSERT INTO one (a) VALUES (3); UPDATE two SET n = 2 WHERE k = 'k'; SAVEPOINT s; DELETE FROM two; ROLLBACK TO s; COMMIT",
	"INSERT INTO whole VALUES (1, repeat('y', 2500), 5)",
	"UPDATE whole SET n = n + 1",
	"DELETE FROM whole",
	"DELETE FROM one WHERE a = 10",
	"INSERT INTO ignored VALUES (1)",
	"ALTER TABLE two ADD CHECK (n < 100)", // describes it again
	"INSERT INTO two VALUES ('later', 3)",
	"TRUNCATE one, two",
	"INSERT INTO one (a, b) VALUES (7, 'last')",
}

const goldenColumns = "a int PRIMARY KEY, b text, c numeric(10,2), d bool, e timestamptz, f text, g int[]"

// captureStream returns the messages that a server sends for goldenWork.
func captureStream(t *testing.T, form string) [][]byte {
	t.Helper()
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, "CREATE TABLE one ("+goldenColumns+")", "ALTER TABLE one ALTER f SET STORAGE EXTERNAL",
		"CREATE TABLE two (k varchar(5) PRIMARY KEY, n int)", "CREATE TABLE ignored (id int PRIMARY KEY)",
		"CREATE TABLE whole (id int PRIMARY KEY, v text, n int)", "ALTER TABLE whole REPLICA IDENTITY FULL",
		"ALTER TABLE whole ALTER v SET STORAGE EXTERNAL")
	s, tables, from := testStart(t, dsn)
	pg.Exec(t, dsn, goldenWork...)
	conn, err := s.connectReplication(t.Context(), streamBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	args := s.pluginArgs(tables)
	if form == "text" {
		args = args[:2]
	}
	start := pglogrepl.LSN(from.Order)
	err = pglogrepl.StartReplication(t.Context(), conn, s.cfg.Slot, start, pglogrepl.StartReplicationOptions{Mode: pglogrepl.LogicalReplication, PluginArgs: args})
	if err != nil {
		t.Fatal(err)
	}
	var messages [][]byte
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(messages) == 0 || !bytes.Contains(messages[len(messages)-1], []byte("last")) {
		messages = append(messages, receive(ctx, t, conn.Frontend()))
	}
	messages = append(messages, receive(ctx, t, conn.Frontend())) // the commit
	err = pglogrepl.SendStandbyStatusUpdate(ctx, conn, pglogrepl.StandbyStatusUpdate{WALWritePosition: start, ReplyRequested: true})
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, dsn, "CREATE TABLE moves_on ()")
	for messages[len(messages)-1][0] != pglogrepl.PrimaryKeepaliveMessageByteID {
		messages = append(messages, receive(ctx, t, conn.Frontend()))
	}
	return messages
}

func receive(ctx context.Context, t *testing.T, from *pgproto3.Frontend) []byte {
	t.Helper()
	for {
		msg, err := from.Receive()
		if err != nil || ctx.Err() != nil {
			t.Fatal(err, ctx.Err())
		}
		if data, ok := msg.(*pgproto3.CopyData); ok {
			return bytes.Clone(data.Data)
		}
	}
}

// goldenStream returns a stream that knows the tables of captured messages,
// as their first Relation messages describe them.
func goldenStream(t testing.TB, messages [][]byte, h source.Handler) *stream {
	t.Helper()
	s := New(Config{DSN: "none://", Logger: slog.New(slog.DiscardHandler)})
	st := newStream(s, nil, nil, h, 0)
	st.same = func(context.Context, *table) (bool, error) { return true, nil }
	for _, m := range messages {
		r, ok := parse(t, m).(*pglogrepl.RelationMessage)
		if !ok || r.RelationName == "ignored" || st.known[r.RelationID] != nil {
			continue
		}
		st.known[r.RelationID] = relationTable(r)
	}
	return st
}

// relationTable is the table that a Relation message describes.
func relationTable(r *pglogrepl.RelationMessage) *table {
	info := &table{Table: &source.Table{Schema: r.Namespace, Name: r.RelationName, Handle: uint64(r.RelationID)}}
	for i, c := range r.Columns {
		info.Columns = append(info.Columns, source.Column{Name: c.Name})
		info.attributes = append(info.attributes, attribute{name: c.Name, typ: c.DataType, mod: c.TypeModifier})
		if c.Flags == 1 && (r.ReplicaIdentity != 'f' || i == 0) {
			info.Key = append(info.Key, i)
		}
	}
	return info
}

// parse returns the pgoutput message that pglogrepl reads, nil for a keepalive.
func parse(t testing.TB, data []byte) pglogrepl.Message {
	t.Helper()
	if data[0] != pglogrepl.XLogDataByteID {
		return nil
	}
	x, err := pglogrepl.ParseXLogData(data[1:])
	if err != nil {
		t.Fatal(err)
	}
	m, err := pglogrepl.Parse(x.WALData)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func frame(messages [][]byte) []byte {
	var b []byte
	for _, m := range messages {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m)))
		b = append(b, m...)
	}
	return b
}

// unframe undoes frame. What is left over at the end is a message too.
func unframe(b []byte) (messages [][]byte) {
	for len(b) >= 4 {
		n := min(int(binary.BigEndian.Uint32(b)), len(b)-4)
		messages = append(messages, b[4:4+n])
		b = b[4+n:]
	}
	return messages
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update captures it)", err)
	}
	return b
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
