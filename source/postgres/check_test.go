package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// find returns the first finding of a level whose subject has a prefix.
func find(findings []source.Finding, level source.Level, subject string) *source.Finding {
	for i := range findings {
		if findings[i].Level == level && strings.HasPrefix(findings[i].Subject, subject) {
			return &findings[i]
		}
	}
	return nil
}

// mended provokes nothing itself: it runs the fix of a finding that must be
// there, and sees it gone.
func mended(t *testing.T, pg *testenv.PG, s *Source, adminDSN string, level source.Level, subject string) {
	t.Helper()
	f := find(s.Check(t.Context()), level, subject)
	if f == nil {
		t.Fatalf("no %v for %s in %+v", level, subject, s.Check(t.Context()))
	}
	mend(t, pg, adminDSN, f.Fix)
	if after := find(s.Check(t.Context()), level, subject); after != nil {
		t.Errorf("after %s: %+v", f.Fix, after)
	}
}

func TestCheckOfAGoodServer(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	role, roleDSN := newRole(t, pg, dsn)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`, `ALTER TABLE a OWNER TO `+role, `GRANT CREATE ON DATABASE `+databaseOf(t, dsn)+` TO `+role)
	s := newTestSource(t, roleDSN)
	before := s.Check(t.Context())
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ensurePublication(t.Context(), testConnect(t, s), tables); err != nil {
		t.Fatal(err)
	}
	repl := testReplication(t, s)
	if _, _, err := s.createSlot(t.Context(), repl); err != nil {
		t.Fatal(err)
	}
	for _, findings := range [][]source.Finding{before, s.Check(t.Context())} {
		for _, f := range findings {
			if f.Level == source.Fail {
				t.Errorf("%+v", f)
			}
		}
		for _, subject := range []string{"connection", "version", "wal_level", "wal_sender_timeout", "replication", "slot", "max_replication_slots", "publication", "tables"} {
			if find(findings, source.OK, subject) == nil {
				t.Errorf("no line for %s", subject)
			}
		}
	}
}

func TestCheckWithoutAConnection(t *testing.T) {
	s := newTestSource(t, testenv.Postgres(t).DSN("postgres"))
	s.cfg.DSN = fmt.Sprintf("postgres://u:hidden@127.0.0.1:%d/d", closedPort(t))
	findings := s.Check(t.Context())
	if len(findings) != 1 || findings[0].Level != source.Fail || findings[0].Fix == "" || strings.Contains(fmt.Sprint(findings), "hidden") {
		t.Errorf("got %+v", findings)
	}
	if strings.Contains(findings[0].Text, findings[0].Fix) {
		t.Errorf("the fix is in the text too: %+v", findings[0])
	}
}

func TestCheckPrivileges(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	role, roleDSN := newRole(t, pg, dsn)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`, `ALTER ROLE `+role+` NOREPLICATION`)
	s := newTestSource(t, roleDSN)
	mended(t, pg, s, dsn, source.Fail, "replication")
	mended(t, pg, s, dsn, source.Fail, "publication")
	pg.Exec(t, dsn, `REVOKE CREATE ON DATABASE `+databaseOf(t, dsn)+` FROM `+role)
	f := find(s.Check(t.Context()), source.Fail, "table public.a") // SELECT
	if f == nil {
		t.Fatal("no FAIL without SELECT")
	}
	mend(t, pg, dsn, f.Fix)
	mended(t, pg, s, dsn, source.Fail, "table public.a") // ownership
	if f := find(s.Check(t.Context()), source.Fail, ""); f != nil {
		t.Errorf("still %+v", f)
	}
}

// Settings that take a restart are given on the test server's command line,
// which wins over ALTER SYSTEM; what the files say is what a restart would take.
func TestCheckSettingsThatTakeARestart(t *testing.T) {
	pg := testenv.StartPostgres(t, "wal_level=replica", "max_wal_senders=0", "max_replication_slots=1", "archive_mode=off")
	dsn := pg.DSN("postgres")
	pg.Exec(t, dsn, `SELECT pg_create_physical_replication_slot('other')`)
	s := newTestSource(t, dsn)
	for setting, want := range map[string]string{"wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "11"} {
		f := find(s.Check(t.Context()), source.Fail, setting)
		if f == nil {
			t.Errorf("no FAIL for %s", setting)
			continue
		}
		mend(t, pg, dsn, f.Fix)
		var got string
		err := testConnect(t, s).QueryRow(t.Context(), `SELECT setting FROM pg_file_settings WHERE name = $1 ORDER BY seqno DESC LIMIT 1`, setting).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", setting, got, err, want)
		}
	}
}

func TestCheckSettingsThatTakeAReload(t *testing.T) {
	pg := testenv.StartPostgres(t)
	dsn := pg.DSN("postgres")
	s := newTestSource(t, dsn)
	mended(t, pg, s, dsn, source.Warn, "max_slot_wal_keep_size")
	for _, bad := range []struct{ setting, value string }{
		{"max_slot_wal_keep_size", "16MB"}, {"wal_sender_timeout", "0"}, {"wal_sender_timeout", "2s"},
	} {
		pg.Exec(t, dsn, fmt.Sprintf(`ALTER SYSTEM SET %s = '%s'`, bad.setting, bad.value), `SELECT pg_reload_conf()`)
		poll(t, bad.setting+" to be "+bad.value, func() bool { return find(s.Check(t.Context()), source.Warn, bad.setting) != nil })
		f := find(s.Check(t.Context()), source.Warn, bad.setting)
		mend(t, pg, dsn, f.Fix)
		poll(t, bad.setting+" to be mended", func() bool { return find(s.Check(t.Context()), source.OK, bad.setting) != nil })
	}
}

func TestCheckSlots(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	pg.Exec(t, dsn, `SELECT pg_create_logical_replication_slot('`+s.cfg.Slot+`', 'test_decoding')`)
	if f := find(s.Check(t.Context()), source.Fail, "slot"); f == nil || f.Fix == "" {
		t.Errorf("a slot of another plugin: %+v", f)
	}
	s.cfg.Slot = "Wrong-Name"
	if f := find(s.Check(t.Context()), source.Fail, "slot"); f == nil || f.Fix == "" {
		t.Errorf("a name that cannot be: %+v", f)
	}
}

func TestCheckPatterns(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	pg.Exec(t, dsn, `CREATE TABLE orders (id int PRIMARY KEY)`)
	s := newTestSource(t, dsn, "orders", "odrers", "pubilc.*", "!audit_*")
	findings := s.Check(t.Context())
	if f := find(findings, source.Fail, "tables"); f == nil || !strings.Contains(f.Text, `"odrers"`) || !strings.Contains(f.Text, `"public.orders"`) {
		t.Errorf("a table that does not exist: %+v", f)
	}
	var warned []string
	for _, f := range findings {
		if f.Level == source.Warn && f.Subject == "tables" {
			warned = append(warned, f.Text)
		}
	}
	if text := strings.Join(warned, "\n"); len(warned) != 2 || !strings.Contains(text, `"pubilc.*"`) || !strings.Contains(text, `"!audit_*"`) {
		t.Errorf("patterns without a match: %q", warned)
	}
	for _, patterns := range [][]string{{"none_*"}, {"a.["}} {
		s.cfg.Select.Patterns = patterns
		if f := find(s.Check(t.Context()), source.Fail, "tables"); f == nil {
			t.Errorf("%q: no FAIL", patterns)
		}
	}
}

func TestCheckTransactions(t *testing.T) {
	pg := testenv.StartPostgres(t)
	dsn := pg.DSN("postgres")
	pg.Exec(t, dsn, `CREATE TABLE a (id int)`, `BEGIN; INSERT INTO a VALUES (1); PREPARE TRANSACTION 'it''s prepared'`)
	s := newTestSource(t, dsn)
	idle := testConnect(t, s)
	if _, err := idle.Exec(t.Context(), `BEGIN; INSERT INTO public.a VALUES (2)`); err != nil {
		t.Fatal(err)
	}
	c := &checker{s: s, conn: testConnect(t, s)}
	if err := c.transactions(t.Context(), slotInfo{}, 0); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(c.findings)
	if len(c.findings) != 2 || !strings.Contains(text, fmt.Sprintf("process %d", idle.PgConn().PID())) || !strings.Contains(text, `"it's prepared"`) {
		t.Fatalf("got %+v", c.findings)
	}
	for _, f := range c.findings {
		mend(t, pg, dsn, f.Fix)
	}
	poll(t, "the transactions to end", func() bool {
		c.findings = nil
		if err := c.transactions(t.Context(), slotInfo{}, 0); err != nil {
			t.Fatal(err)
		}
		return len(c.findings) == 0
	})
	if f := find(s.Check(t.Context()), source.Warn, "transactions"); f != nil {
		t.Errorf("young transactions: %+v", f)
	}
}

func TestCheckForeignPublication(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s := newTestSource(t, dsn)
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`, `CREATE TABLE b (id int PRIMARY KEY)`,
		`CREATE PUBLICATION `+s.cfg.Publication+` FOR TABLE a WHERE (id > 1), TABLE b WITH (publish = 'insert')`)
	findings := s.Check(t.Context())
	if f := find(findings, source.Warn, "table public.a"); f == nil || !strings.Contains(f.Text, "(id > 1)") {
		t.Errorf("the row filter: %+v", f)
	}
	if f := find(findings, source.Warn, "table public.b"); f != nil {
		t.Errorf("what the publication leaves out is told for each table: %+v", f)
	}
	mended(t, pg, s, dsn, source.Warn, "publication")
}

func TestCheckOfAStandby(t *testing.T) {
	pg := testenv.StartPostgres(t)
	dsn := pg.DSN("postgres")
	pg.Exec(t, dsn, `CREATE TABLE a (id int PRIMARY KEY)`)
	s := newTestSource(t, dsn)
	restart(t, pg, s, "standby.signal")
	findings := s.Check(t.Context())
	if f := find(findings, source.Fail, "publication"); f == nil || !strings.Contains(f.Fix, "CREATE PUBLICATION") {
		t.Errorf("a standby cannot create a publication: %+v", findings)
	}
	if f := find(findings, source.Fail, "standby"); (f == nil) != (serverVersion(testConnect(t, s).PgConn()) >= 16) {
		t.Errorf("slots on standbys came with 16: %+v", findings)
	}
	tables, err := s.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ensurePublication(t.Context(), testConnect(t, s), tables); err == nil || !strings.Contains(hintOf(err), "primary") {
		t.Errorf("got %v", err)
	}
}

func TestCheckEncoding(t *testing.T) {
	pg := testenv.StartPostgres(t)
	pg.Exec(t, pg.DSN("postgres"), `CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'`)
	if f := find(newTestSource(t, pg.DSN("ascii")).Check(t.Context()), source.Warn, "encoding"); f == nil {
		t.Error("no warning")
	}
}

func TestCheckVersion(t *testing.T) {
	for version, want := range map[int]source.Level{13: source.Fail, 14: source.Warn, 15: source.OK, 18: source.OK, 19: source.Warn} {
		c := &checker{server: serverFacts{version: version}}
		if goesOn := c.version(); goesOn != (want != source.Fail) || c.findings[0].Level != want {
			t.Errorf("version %d: %+v", version, c.findings)
		}
	}
}

func TestCheckMinorVersion(t *testing.T) {
	for release, warned := range map[[2]int]bool{{15, 12}: true, {15, 13}: false, {17, 4}: true, {17, 5}: false, {18, 0}: false} {
		c := &checker{server: serverFacts{version: release[0], minor: release[1]}}
		c.version()
		if got := slices.ContainsFunc(c.findings, func(f source.Finding) bool { return strings.HasPrefix(f.Fix, "upgrade to") }); got != warned {
			t.Errorf("release %v: %+v", release, c.findings)
		}
	}
}
