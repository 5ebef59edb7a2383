package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// parentEnv makes the test binary start an engine on a folder, say so, and
// hang: a parent to kill.
const parentEnv = "EMBEDDED_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		s, err := Start(context.Background(), Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		select {}
	}
	os.Exit(m.Run())
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill() })
	return s
}

func ask(t *testing.T, s *Server, statement string) string {
	t.Helper()
	var b strings.Builder
	if err := Query(t.Context(), s.HTTPURL(), statement, "TabSeparated", &b); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func TestServerAnswersOnBothPorts(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir(), Users: map[string]User{"reader": {Password: "a<b&c"}}})
	ask(t, s, "CREATE DATABASE shop")
	ask(t, s, "CREATE TABLE shop.t (a Int32) ORDER BY a AS SELECT number FROM numbers(3)")

	for _, dsn := range []string{
		s.DSN(),
		fmt.Sprintf("clickhouse://reader:a%%3Cb%%26c@127.0.0.1:%d/shop", s.Config().TCPPort),
	} {
		options, err := clickhouse.ParseDSN(dsn)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := clickhouse.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var count uint64
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM shop.t").Scan(&count); err != nil {
			t.Fatalf("%s: %v", options.Auth.Username, err)
		}
		if count != 3 {
			t.Errorf("%s sees %d rows, want 3", options.Auth.Username, count)
		}
	}
}

func TestDataSurvives(t *testing.T) {
	for name, end := range map[string]func(*Server) error{"stop": (*Server).Stop, "kill": (*Server).Kill} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Config{Dir: t.TempDir()})
			ask(t, s, "CREATE TABLE t (a Int32) ENGINE = ReplacingMergeTree ORDER BY a")
			ask(t, s, "INSERT INTO t SELECT number FROM numbers(1000)")
			if err := end(s); err != nil {
				t.Fatal(err)
			}
			again := start(t, s.Config())
			if again.DSN() != s.DSN() {
				t.Errorf("it moved from %s to %s", s.DSN(), again.DSN())
			}
			if got := ask(t, again, "SELECT count() FROM t"); got != "1000" {
				t.Errorf("%s rows, want 1000", got)
			}
		})
	}
}

func TestFolderInUseIsRefused(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	_, err := Start(t.Context(), Config{Dir: s.Config().Dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	if !strings.Contains(err.Error(), "process "+strconv.Itoa(s.PID())) {
		t.Errorf("%q does not name process %d", err, s.PID())
	}
	if got := ask(t, s, "SELECT 1"); got != "1" {
		t.Errorf("the first engine answers %q", got)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Start(t.Context(), Config{Dir: t.TempDir(), HTTPPort: l.Addr().(*net.TCPAddr).Port})
	if err == nil || !strings.Contains(err.Error(), "HTTP port") || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
}

func TestFindSeesOnlyARunningEngine(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	url, err := Find(s.Config().Dir)
	if err != nil || url != s.HTTPURL() {
		t.Errorf("got %q, %v, want %q", url, err, s.HTTPURL())
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if url, err := Find(s.Config().Dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %q, %v, want ErrNotRunning", url, err)
	}
}

func TestStopDoesNotWaitForAQuery(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	ended := make(chan error, 1)
	go func() {
		ended <- Query(context.Background(), s.HTTPURL(),
			"SELECT sleepEachRow(1) FROM numbers(600) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0",
			"Null", io.Discard)
	}()
	poll(t, "the query to run", func() bool {
		return ask(t, s, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'") == "1"
	})
	begin := time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > graceEOF+graceTerm {
		t.Errorf("it took %v", took)
	}
	if <-ended == nil {
		t.Error("the query has ended well")
	}
}

func TestServerOutlivesItsClients(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	for i := range 300 {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(s.Config().TCPPort)))
		if err != nil {
			t.Fatalf("%v: %v", err, s.Err())
		}
		if i%2 == 0 {
			fmt.Fprint(conn, "\x00\x05hal") // a hello, cut off
		}
		if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // RST, not FIN
			t.Fatal(err)
		}
		conn.Close()
	}
	if err := s.ping(t.Context()); err != nil {
		t.Errorf("%v: %v", err, s.Err())
	}
}

func TestDeathIsReported(t *testing.T) {
	s := start(t, Config{Dir: t.TempDir()})
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the engine is not reported")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
}

func TestEngineEndsWithItsParent(t *testing.T) {
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(output, &pid); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as it says
	again := start(t, Config{Dir: dir})
	if again.PID() == pid {
		t.Fatal("the process is the same")
	}
	poll(t, "the orphan to end", func() bool {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		return err != nil || strings.Contains(string(text), ") Z ")
	})
}

// A binary on PATH gets the command line of `clickhouse local`.
func TestBinaryOnPathIsPreferred(t *testing.T) {
	engine, err := Locate()
	if err != nil {
		t.Fatal(err)
	}
	if len(engine.Args) > 0 {
		t.Skip("there is one on PATH, which all other tests run")
	}
	bin := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = local ] || exit 3\nshift\nexec " + engine.Path + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, binaryName), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if got := ask(t, start(t, Config{Dir: t.TempDir()}), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}

// poll waits for a condition.
func poll(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !met() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}
