package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/source"
)

// The pins hold on both kinds of sessions, whatever database, role and DSN say.
func TestSessionsArePinned(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	database := databaseOf(t, dsn)
	role, roleDSN := newRole(t, pg, dsn)
	for setting, value := range map[string]string{
		"TimeZone": "Asia/Tokyo", "DateStyle": "SQL, DMY", "IntervalStyle": "iso_8601", "extra_float_digits": "0",
		"bytea_output": "escape", "statement_timeout": "7", "lock_timeout": "7", "row_security": "on", "search_path": "public",
		"standard_conforming_strings": "off", "idle_in_transaction_session_timeout": "7", "jit": "on",
	} {
		pg.Exec(t, dsn, fmt.Sprintf("ALTER DATABASE %s SET %s = '%s'", database, setting, value))
		pg.Exec(t, dsn, fmt.Sprintf("ALTER ROLE %s SET %s = '%s'", role, setting, value))
	}
	s := newTestSource(t, roleDSN+"?timezone=Asia/Tokyo&statement_timeout=9&application_name=x")
	ordinary := testConnect(t, s)
	repl, err := s.connectReplication(t.Context(), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer repl.Close(context.Background())
	show := func(conn *pgconn.PgConn, setting string) string {
		t.Helper()
		results, err := conn.Exec(t.Context(), "SHOW "+setting).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return string(results[0].Rows[0][0])
	}
	want := map[string]string{"application_name": "millrace " + database}
	for pin, value := range pins {
		want[pin] = value
	}
	for setting, value := range want {
		if got := show(ordinary.PgConn(), setting); got != value {
			t.Errorf("ordinary session: %s is %q, want %q", setting, got, value)
		}
		if got := show(repl, setting); got != value {
			t.Errorf("replication session: %s is %q, want %q", setting, got, value)
		}
	}
}

func TestConnectErrors(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	role, roleDSN := newRole(t, pg, dsn)
	pg.Exec(t, dsn, "CREATE ROLE "+role+"_weak LOGIN", "CREATE ROLE "+role+"_full LOGIN CONNECTION LIMIT 0", "CREATE ROLE "+role+"_locked",
		"REVOKE CONNECT ON DATABASE "+databaseOf(t, dsn)+" FROM public")
	for _, tt := range []struct {
		name, dsn, text, hint string
		disconnected          bool
		replication           bool
	}{
		{name: "refused", dsn: fmt.Sprintf("postgres://u:hidden@127.0.0.1:%d/d", closedPort(t)), text: "refused", hint: "is the server running", disconnected: true},
		{name: "no such host", dsn: "postgres://u:hidden@millrace.invalid/d", text: "millrace.invalid", hint: "is the server running", disconnected: true},
		{name: "no database", dsn: pg.DSN("no_such"), text: `database "no_such" does not exist`, hint: "check the database"},
		{name: "no role", dsn: asRole(t, dsn, "no_such"), text: `role "no_such" does not exist`, hint: `CREATE ROLE "no_such" LOGIN`},
		{name: "no login", dsn: asRole(t, dsn, role+"_locked"), text: "not permitted to log in", hint: "LOGIN"},
		{name: "no connect", dsn: roleDSN, text: "permission denied", hint: `GRANT CONNECT ON DATABASE`},
		{name: "no replication", dsn: asRole(t, pg.DSN("postgres"), role+"_weak"), text: "to start", hint: "ALTER ROLE", replication: true},
		{name: "full", dsn: asRole(t, pg.DSN("postgres"), role+"_full"), text: "too many connections", disconnected: true},
		{name: "malformed", dsn: "postgres://u:hidden@host:port/d", text: "source.dsn", hint: "write it as"},
		{name: "malformed, of the other form", dsn: "host=x password=hid'den port=y hidden", text: "source.dsn", hint: "write it as"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestSource(t, pg.DSN("postgres"))
			s.cfg.DSN = tt.dsn
			var err error
			if tt.replication {
				_, err = s.connectReplication(t.Context(), 4096)
			} else {
				_, err = s.connect(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), tt.text) || !strings.Contains(hintOf(err), tt.hint) {
				t.Fatalf("got %v (hint %q), want %q with hint %q", err, hintOf(err), tt.text, tt.hint)
			}
			if got := errors.Is(err, source.ErrDisconnected); got != tt.disconnected {
				t.Errorf("%v: disconnected is %v, want %v", err, got, tt.disconnected)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line", err)
			}
			if strings.Contains(err.Error(), "hid") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestAuthenticationErrors(t *testing.T) {
	hba := filepath.Join(t.TempDir(), "pg_hba.conf")
	rules := "host all postgres all trust\nhost all guarded all scram-sha-256\n"
	if err := os.WriteFile(hba, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(hba); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755) // the server runs as somebody else
	}
	pg := testenv.StartPostgres(t, "hba_file="+hba)
	dsn := pg.DSN("postgres")
	pg.Exec(t, dsn, "CREATE ROLE guarded LOGIN PASSWORD 'right'", "CREATE ROLE barred LOGIN")
	for role, want := range map[string]string{"guarded:wrong": "check the user and the password", "barred": "pg_hba.conf"} {
		s := newTestSource(t, strings.Replace(dsn, "postgres@", role+"@", 1))
		_, err := s.connect(t.Context())
		if err == nil || !strings.Contains(hintOf(err), want) || errors.Is(err, source.ErrDisconnected) {
			t.Errorf("%s: got %v, want the hint %q", role, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "wrong") {
			t.Errorf("the password is in %q", err)
		}
	}
}

func TestLossOfASessionIsDisconnected(t *testing.T) {
	pg := testenv.StartPostgres(t)
	s := newTestSource(t, pg.DSN("postgres"))
	for name, end := range map[string]func(pid uint32){
		"terminated": func(pid uint32) { pg.Exec(t, s.cfg.DSN, fmt.Sprintf("SELECT pg_terminate_backend(%d, 5000)", pid)) },
		"killed":     func(uint32) { pg.Kill(t); pg.Start(t) },
		"stopped":    func(uint32) { pg.Stop(t); pg.Start(t) },
	} {
		conn := testConnect(t, s)
		end(conn.PgConn().PID())
		for range 2 { // the second finds the connection closed
			_, err := conn.Exec(t.Context(), "SELECT 1")
			if err = classify(err); !errors.Is(err, source.ErrDisconnected) {
				t.Errorf("%s: %v is not disconnected", name, err)
			}
		}
	}
}

func TestClassify(t *testing.T) {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, &pgconn.PgError{Code: "08006"}, &pgconn.PgError{Code: "57P03"}, &pgconn.PgError{Code: "40001", SeverityUnlocalized: "FATAL"}} {
		if got := classify(fmt.Errorf("read: %w", err)); !errors.Is(got, source.ErrDisconnected) || !errors.Is(got, err) || got.Error() != "read: "+err.Error() {
			t.Errorf("classify(%v) = %v", err, got)
		}
	}
	for _, err := range []error{nil, context.Canceled, errors.New("other"), &pgconn.PgError{Code: "40001", SeverityUnlocalized: "ERROR"}, &pgconn.PgError{Code: "42P01"}} {
		if got := classify(err); got != err { //nolint:errorlint // the very same
			t.Errorf("classify(%v) = %v", err, got)
		}
	}
}

func TestLockPipeline(t *testing.T) {
	pg := testenv.Postgres(t)
	dsn := pg.Database(t)
	s, other := newTestSource(t, dsn), newTestSource(t, dsn)
	first, second := testConnect(t, s), testConnect(t, other)
	if err := s.lockPipeline(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	err := other.lockPipeline(t.Context(), second)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(first.PgConn().PID())) || hintOf(err) == "" {
		t.Errorf("the second: %v, want the first's process named", err)
	}
	other.cfg.Slot += "_2"
	if err := other.lockPipeline(t.Context(), second); err != nil {
		t.Errorf("another slot: %v", err)
	}
	other.cfg.Slot = s.cfg.Slot
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	poll(t, "the lock to be free", func() bool { return other.lockPipeline(t.Context(), second) == nil })
}

func TestQuoting(t *testing.T) {
	s := newTestSource(t, testenv.Postgres(t).DSN("postgres"))
	conn := testConnect(t, s)
	for _, text := range []string{"", "a", "it's", `back\slash'`, "'; DROP TABLE x; --", "人間失格"} {
		var got string
		if err := conn.QueryRow(t.Context(), "SELECT "+literal(text)).Scan(&got); err != nil || got != text {
			t.Errorf("literal(%q) reads %q, %v", text, got, err)
		}
	}
	if got, want := quote(`a"b`, "c.d"), `"a""b"."c.d"`; got != want {
		t.Errorf("quote: %s, want %s", got, want)
	}
}
