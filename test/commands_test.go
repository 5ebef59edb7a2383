package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
)

// command runs a command of the pipeline to its end.
func (r *rig) run(name string, more ...string) *process {
	r.t.Helper()
	p := startProcess(r.t, r.binary, r.dir, r.env, r.command(name, more...)...)
	p.exit()
	return p
}

const oneTable = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')"

func TestSourceThatDoesNotLetUsIn(t *testing.T) {
	pg := testenv.StartPostgres(t, "password_encryption=scram-sha-256")
	r := newRigOn(t, pg, sharedClickHouse(t), "", oneTable)
	r.exec("CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'right'", "CREATE ROLE reader LOGIN PASSWORD 'right'")
	// Before the line that trusts everybody.
	hba := r.value("SHOW hba_file")
	text, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	line := "host all cdc,reader 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(hba, append([]byte(line), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.exec("SELECT pg_reload_conf()")
	r.until("the password counts", func() bool {
		return r.value("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256'") == "1"
	})
	as := func(user, password string) {
		u, err := url.Parse(r.source)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(user, password)
		r.source = u.String()
	}
	admin := r.source
	defer func() { r.source = admin }()

	as("cdc", "wr0ng-secret")
	r.start().wantExit(1, "password authentication failed", "source.dsn")
	p := r.run("check")
	p.wantExit(1)
	for _, said := range []string{r.now.log.String(), p.log.String(), p.out.String()} {
		if strings.Contains(said, "wr0ng-secret") {
			t.Errorf("the password is printed:\n%s", said)
		}
	}
	as("reader", "right")
	r.start().wantExit(1, "ALTER ROLE", "REPLICATION")
	as("cdc", "right")
	r.start().wantExit(1, "public.t", "GRANT")
	if p := r.run("check"); p.exit() != 1 || !p.out.has("FAIL") || !p.out.has("GRANT") {
		t.Errorf("check says:\n%s", p.out)
	}
	r.source = admin
	r.exec("GRANT SELECT ON t TO cdc", "ALTER TABLE t OWNER TO cdc", fmt.Sprintf("GRANT CREATE ON DATABASE %s TO cdc", r.value("SELECT current_database()")))
	as("cdc", "right")
	if p := r.run("check"); p.exit() != 0 || p.out.has("FAIL") {
		t.Errorf("check says:\n%s", p.out)
	}
	r.once().wantExit(0)
	r.source = admin
	r.equal("t")
}

func TestTargetThatDoesNotLetUsIn(t *testing.T) {
	r := newRig(t, "", oneTable)
	right := r.ch.dsn
	u, err := url.Parse(right)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(testenv.User, "wr0ng-secret")
	r.ch.dsn = u.String()
	p := r.start()
	p.wantExit(1, "target")
	if p.log.has("wr0ng-secret") {
		t.Errorf("the password is printed:\n%s", p.log)
	}
	u.User = url.User("nobody_at_all")
	r.ch.dsn = u.String()
	r.start().wantExit(1, "nobody_at_all")
	r.ch.dsn = right
	r.once().wantExit(0)
	r.equal("t")
}

func TestWrongUsageEndsWith2(t *testing.T) {
	r := newRig(t, "", oneTable)
	r.config = "sorce: {dsn: x}\n"
	r.start().wantExit(2, "sorce", "source")
	r.config = "flush: {intervall: 1s}\n"
	r.start().wantExit(2, "flush.intervall", "flush.interval")
	r.config = ""
	r.env = []string{"MILLRACE_FLUSH_ROW=3"}
	r.start().wantExit(2, "MILLRACE_FLUSH_ROW", "MILLRACE_FLUSH_ROWS")
	r.env = nil
	startProcess(t, r.binary, r.dir, nil, "run").wantExit(2, "source.dsn", "target.dsn")
	startProcess(t, r.binary, r.dir, nil, "rum").wantExit(2, "run")
	r.start("--onze").wantExit(2, "--once")
}

func TestSecondProcessIsRefused(t *testing.T) {
	r := newRig(t, "", oneTable)
	first := r.begin()
	r.start().wantExit(1, "in use", r.state)
	// Another state file does not help: the slot is taken.
	kept, target := r.state, r.ch
	r.state, r.ch = r.state+".other", sharedClickHouse(t)
	r.start().wantExit(1, "another millrace")
	r.state, r.ch, r.now = kept, target, first
	r.exec("INSERT INTO t VALUES (2, 'two')")
	r.settle()
	r.equal("t")
	// A state file of another pipeline.
	first.stop()
	name := r.name
	r.name += "_other"
	r.start().wantExit(1, name, r.name)
}

func TestSlotDroppedUnderUs(t *testing.T) {
	r := newRig(t, "", oneTable)
	r.begin()
	r.settle()
	r.exec("SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE slot_name = " + literal(r.name) + "; SELECT pg_drop_replication_slot(" + literal(r.name) + ")")
	r.now.wantExit(1, r.name, "is gone", "hint")
	r.start().wantExit(1, r.name, "is gone")
}

func TestTargetTableGone(t *testing.T) {
	r := newRig(t, "", oneTable, "CREATE TABLE u (id int PRIMARY KEY)")
	r.begin()
	r.settle()
	r.ch.query("DROP TABLE t SYNC")
	r.exec("INSERT INTO t VALUES (2, 'two')", "INSERT INTO u VALUES (2)")
	r.now.await("table failed")
	r.exec("INSERT INTO t VALUES (3, 'three')", "INSERT INTO u VALUES (3)")
	r.settle()
	r.equal("u")
	r.now.stop()
	r.once().wantExit(1, "public.t", "resync")
	r.equal("u")

	// Before a start.
	s := newRig(t, "", oneTable)
	s.once().wantExit(0)
	s.ch.query("DROP TABLE t SYNC")
	s.once().wantExit(1, "public.t", "gone")
	// In its place, another one.
	s.ch.query("CREATE TABLE t (id Int32, v Nullable(String), _version UInt64, _is_deleted UInt8) ENGINE = ReplacingMergeTree(_version, _is_deleted) ORDER BY id")
	s.once().wantExit(1, "public.t", "replaced")
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t, "", oneTable)
	r.set("http.listen=" + l.Addr().String())
	r.start().wantExit(2, l.Addr().String(), "http.listen")
}

func TestStatusCheckAndPlan(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	r := newRig(t, "", oneTable, "CREATE TABLE u (id int PRIMARY KEY, amount numeric(12, 2))")
	r.set("http.listen=" + address)
	p := r.run("plan")
	p.wantExit(0)
	for _, want := range []string{"`t`", "`amount` Nullable(Decimal(12, 2))", "ORDER BY (`id`)", "ReplacingMergeTree(`_version`, `_is_deleted`)"} {
		if !p.out.has(want) && !p.out.has(strings.ReplaceAll(want, "`", "")) {
			t.Errorf("the plan lacks %s:\n%s", want, p.out)
		}
	}
	if n := r.ch.query("SELECT count() FROM system.tables WHERE database = currentDatabase()"); n != "0" {
		t.Error("plan created something")
	}
	if p := r.run("check"); p.exit() != 0 || !p.out.has("ok") || p.out.has("FAIL") {
		t.Errorf("check says:\n%s", p.out)
	}
	if n := r.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = " + literal(r.name)); n != "0" {
		t.Error("check created a slot")
	}
	if _, err := os.Stat(filepath.Join(r.dir, "state.db")); err == nil {
		t.Error("check or plan created the state file")
	}
	if p := r.run("status"); p.exit() == 0 {
		t.Error("status of nothing is fine")
	}
	r.begin()
	r.exec("INSERT INTO t VALUES (2, 'two')", "UPDATE t SET v = 'zwei' WHERE id = 2", "DELETE FROM t WHERE id = 1")
	r.settle()
	var status struct {
		Pipeline, State string
		Tables          []struct {
			Source, State             string
			Inserts, Updates, Deletes int64
			Rows                      int64 `json:"snapshot_rows"`
		}
	}
	r.until("the counts are in", func() bool {
		p := r.run("status", "--json")
		p.wantExit(0)
		if err := json.Unmarshal([]byte(p.out.String()), &status); err != nil {
			t.Fatalf("%v in %s", err, p.out)
		}
		return len(status.Tables) == 2 && status.Tables[0].Deletes > 0
	})
	got := status.Tables[0]
	if status.Pipeline != r.name || status.State != "streaming" || got.Source != "public.t" || got.State != "streaming" ||
		got.Rows != 1 || got.Inserts != 1 || got.Updates != 1 || got.Deletes != 1 {
		t.Errorf("the status is %+v", status)
	}
}
