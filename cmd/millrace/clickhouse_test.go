package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/sink/embedded"
)

func runClickHouse(ctx context.Context, args ...string) (string, error) {
	cmd := newClickHouseCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

func TestClickHouseRunsUntilItIsToldToEnd(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	type result struct {
		out string
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := runClickHouse(ctx, "--path", dir, "--tcp-port", "0", "--http-port", "0")
		ended <- result{out, err}
	}()
	var url string
	for deadline := time.Now().Add(time.Minute); url == ""; {
		if url, _ = embedded.Find(dir); time.Now().After(deadline) {
			t.Fatal("no engine runs")
		}
		<-time.After(20 * time.Millisecond)
	}

	// A second command asks the engine that runs.
	got, err := runClickHouse(t.Context(), "--path", dir, "--query", "SELECT tcpPort() AS port")
	if err != nil {
		t.Fatal(err)
	}
	header, port, _ := strings.Cut(strings.TrimSpace(got), "\n")
	if header != "port" {
		t.Errorf("the result begins with %q", header)
	}

	cancel()
	r := <-ended
	if r.err != nil {
		t.Error(r.err)
	}
	for _, want := range []string{dir, "clickhouse://default:@127.0.0.1:" + port + "/default", url + "/play"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in the output:\n%s", want, r.out)
		}
	}
	if _, err := embedded.Find(dir); !errors.Is(err, embedded.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}

func TestClickHouseQueryStartsAnEngine(t *testing.T) {
	dir := t.TempDir()
	if _, err := runClickHouse(t.Context(), "--path", dir, "--query", "CREATE TABLE t (a Int8) ORDER BY a AS SELECT 7"); err != nil {
		t.Fatal(err)
	}
	got, err := runClickHouse(t.Context(), "--path", dir, "--query", "SELECT a FROM t")
	if err != nil || got != "a\n7\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := runClickHouse(t.Context(), "--path", dir, "--query", "SELEC 1"); err == nil || !strings.Contains(err.Error(), "Syntax error") {
		t.Errorf("got %v, want the engine's own words", err)
	}
}

func TestClickHouseRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{nil, exitUsage, "--path is missing"},
		{[]string{"--path", t.TempDir(), "--tcp-port", "70000"}, exitUsage, "--tcp-port 70000"},
		{[]string{"--path", t.TempDir(), "--http-port", taken}, exitFailed, taken},
	} {
		_, err := runClickHouse(t.Context(), c.args...)
		if exitCode(err) != c.code || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v: exit code %d, %v", c.args, exitCode(err), err)
		}
	}
}
