// Package test holds what sees only the millrace binary and the databases on
// both of its sides: end-to-end, fault and load tests.
package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience bounds the wait for what must happen, on a busy machine too.
const patience = time.Minute

// A rig is a pipeline from a Postgres database of the test's own into a
// ClickHouse database of the test's own.
type rig struct {
	t      testing.TB
	name   string // of the pipeline, slot and publication: slots are the cluster's
	pg     *testenv.PG
	source string // DSN
	ch     *clickhouse
	dir    string // working directory, with the state file
	state  string
	binary string
	tables string            // --tables
	config string            // YAML of a configuration file, or ""
	with   map[string]string // --set
	env    []string          // MILLRACE_SEAM=…
	now    *process          // the last one that was started
}

var rigs atomic.Int64

// newRig makes a pipeline on the shared servers; statements set up its source.
func newRig(t testing.TB, tables string, statements ...string) *rig {
	t.Helper()
	return newRigOn(t, testenv.Postgres(t), sharedClickHouse(t), tables, statements...)
}

func newRigOn(t testing.TB, pg *testenv.PG, ch *clickhouse, tables string, statements ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{
		t: t, name: fmt.Sprintf("e2e_%d_%d", os.Getpid(), rigs.Add(1)), pg: pg, source: pg.Database(t), ch: ch,
		dir: dir, state: filepath.Join(dir, "state.db"), binary: testenv.Binary(t), tables: tables,
		with: map[string]string{"http.listen": "", "snapshot.workers": "2", "flush.interval": "50ms"},
	}
	r.exec(statements...)
	return r
}

// set adds settings, "flush.rows=10", or changes them.
func (r *rig) set(settings ...string) {
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		r.with[key] = value
	}
}

// command returns the arguments of a command of this pipeline.
func (r *rig) command(name string, more ...string) []string {
	args := []string{name, "--name", r.name, "--source", r.source, "--target", r.ch.dsn, "--state", r.state}
	for key, value := range r.with {
		args = append(args, "--set", key+"="+value)
	}
	if r.tables != "" {
		args = append(args, "--tables", r.tables)
	}
	if r.config != "" {
		path := filepath.Join(r.dir, "config.yaml")
		if err := os.WriteFile(path, []byte(r.config), 0o600); err != nil {
			r.t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	return append(args, more...)
}

// start begins a run.
func (r *rig) start(more ...string) *process {
	r.t.Helper()
	r.now = startProcess(r.t, r.binary, r.dir, r.env, r.command("run", more...)...)
	return r.now
}

// begin starts a run and returns when it has caught up.
func (r *rig) begin(more ...string) *process {
	r.t.Helper()
	p := r.start(more...)
	p.await("caught up")
	return p
}

// once runs until everything committed so far is copied.
func (r *rig) once(more ...string) *process {
	r.t.Helper()
	return r.start(append(more, "--once")...)
}

// settle waits until the slot says that everything committed so far needs not
// be kept any longer. From then on it must be in ClickHouse.
func (r *rig) settle() {
	r.t.Helper()
	// A message that is of no interest, behind all that is committed. The end
	// of the log would not do: it may lie inside a record, for long.
	end := r.value("SELECT pg_logical_emit_message(true, 'settle', '')")
	r.until("the slot confirms "+end, func() bool {
		r.alive()
		return r.value("SELECT confirmed_flush_lsn >= '"+end+"' FROM pg_replication_slots WHERE slot_name = '"+r.name+"'") == "t"
	})
}

// alive fails the test when the run has ended.
func (r *rig) alive() {
	r.t.Helper()
	if r.now.ended() {
		r.t.Fatalf("millrace has ended: %v\n%s", r.now.child.Err(), r.now.log.tail())
	}
}

// until polls for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	until(r.t, what, ok)
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	give := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(give) {
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
		<-tick.C
	}
}

// exec runs statements, each in a transaction of its own unless it has more.
func (r *rig) exec(statements ...string) {
	r.t.Helper()
	if len(statements) > 0 {
		r.pg.Exec(r.t, r.source, statements...)
	}
}

// transaction runs statements in one transaction.
func (r *rig) transaction(statements ...string) {
	r.t.Helper()
	r.exec("BEGIN;" + strings.Join(statements, ";") + ";COMMIT")
}

// connect opens a session on the source.
func (r *rig) connect() *pgx.Conn {
	r.t.Helper()
	conn, err := pgx.Connect(context.Background(), r.source)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// query returns rows of texts; nil is NULL.
func (r *rig) query(sql string) [][]*string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.source)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(ctx)
	result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	if result.Err != nil {
		r.t.Fatalf("Postgres: %v\nin: %s", result.Err, sql)
	}
	rows := make([][]*string, len(result.Rows))
	for i, row := range result.Rows {
		for _, cell := range row {
			var text *string
			if cell != nil {
				s := string(cell)
				text = &s
			}
			rows[i] = append(rows[i], text)
		}
	}
	return rows
}

// value returns the first column of the first row, "" for NULL or no row.
func (r *rig) value(sql string) string {
	r.t.Helper()
	rows := r.query(sql)
	if len(rows) == 0 || rows[0][0] == nil {
		return ""
	}
	return *rows[0][0]
}
