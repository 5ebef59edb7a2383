package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/millrace/millrace/internal/child"
)

// parentEnv makes the test binary start the shared servers, say which
// processes they are, and hang: a test process to kill.
const parentEnv = "TESTENV_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) == "" {
		Main(m)
	}
	p, err := sharedPostgres()
	if err == nil {
		_, err = sharedClickHouse()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(append(child.Of(os.Getpid()), child.Of(p.server.PID())...))
	select {}
}

func TestServersEndWithTheTestProcess(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"=1")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, word := range strings.Fields(strings.Trim(line, "[]\n")) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(line)
		}
		pids = append(pids, pid)
	}
	if len(pids) < 3 {
		t.Fatalf("processes %v: want two servers, and those of Postgres", pids)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as it says
	if err := child.WaitGone(pids); err != nil {
		t.Error(err)
	}
	sweep()
	dir := filepath.Join(os.TempDir(), runPrefix+strconv.Itoa(parent.Process.Pid))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
}

func TestClickHouseGivesEachTestADatabase(t *testing.T) {
	a, b := ClickHouse(t), ClickHouse(t)
	a.Query(t, "CREATE TABLE t (a Int32) ORDER BY a AS SELECT 1")
	b.Query(t, "CREATE TABLE t (a Int32) ORDER BY a AS SELECT 2")
	if got := a.Query(t, "SELECT a FROM t"); got != "1" {
		t.Errorf("the first database's table holds %s", got)
	}
	if got := b.Query(t, "SELECT a FROM t"); got != "2" {
		t.Errorf("the second database's table holds %s", got)
	}
	if got := b.Query(t, "SELECT name FROM system.users WHERE name = '"+User+"'"); got != User {
		t.Errorf("user %s is not there", User)
	}
}

func TestPostgresSurvivesStopAndKill(t *testing.T) {
	p := StartPostgres(t, "wal_sender_timeout=7s")
	dsn := p.Database(t)
	p.Exec(t, dsn, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)")
	p.Stop(t)
	p.Start(t)
	p.Exec(t, dsn, "INSERT INTO t VALUES (2)")
	p.Kill(t)
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Fatal("the killed server answers")
	}
	p.Start(t)
	var count int
	var timeout, level string
	row := connect(t, dsn).QueryRow(t.Context(),
		"SELECT count(*), current_setting('wal_sender_timeout'), current_setting('wal_level') FROM t")
	if err := row.Scan(&count, &timeout, &level); err != nil {
		t.Fatal(err)
	}
	if count != 2 || timeout != "7s" || level != "logical" {
		t.Errorf("%d rows, wal_sender_timeout %s, wal_level %s", count, timeout, level)
	}
}

func TestPostgresDropsADatabaseWithItsSlot(t *testing.T) {
	p := Postgres(t)
	t.Run("slot", func(t *testing.T) {
		connect(t, p.Database(t)).Exec(t.Context(), "SELECT pg_create_logical_replication_slot('left', 'pgoutput')")
	})
	var left int
	row := connect(t, p.DSN("postgres")).QueryRow(t.Context(),
		"SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_database WHERE datname LIKE 'test%')")
	if err := row.Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("%d slots and databases are left", left)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}
