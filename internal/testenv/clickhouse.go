package testenv

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// User and Password log in to a ClickHouse that testenv started, beside
// default, which has no password.
const (
	User     = "tester"
	Password = "p@ss:w/rd"

	// Reader has no password, and may only read.
	Reader = "reader"
)

// A CH is a database of a test's own on a ClickHouse server.
type CH struct {
	Database string
	HTTP     string // the server's base URL, without credentials

	native *url.URL
}

var databases atomic.Int64

// ClickHouse creates a database on the shared server; it is dropped when the
// test ends.
func ClickHouse(t testing.TB) *CH {
	t.Helper()
	server, err := sharedClickHouse()
	if err != nil {
		t.Fatalf("ClickHouse: %v (in a checkout: make embedded)", err)
	}
	c := &CH{HTTP: server.http, native: server.native}
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	c.Query(t, "CREATE DATABASE "+name)
	c.Database = name
	t.Cleanup(func() { c.Query(t, "DROP DATABASE IF EXISTS "+name) })
	return c
}

// DSN names a database of the server over the native protocol; "" is the
// test's own.
func (c *CH) DSN(database string) string {
	if database == "" {
		database = c.Database
	}
	return c.native.JoinPath(database).String()
}

// Query runs a statement in the test's database and returns what it gives, as
// tab-separated text without the last line break. An error ends the test.
func (c *CH) Query(t testing.TB, statement string) string {
	t.Helper()
	text, err := query(c.HTTP, c.native.User, c.Database, statement)
	if err != nil {
		t.Fatalf("ClickHouse: %v\nin: %s", err, statement)
	}
	return text
}

// client keeps no connection: an idle one holds up a server's orderly end.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func query(base string, user *url.Userinfo, database, statement string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, base+"/?database="+url.QueryEscape(database), strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	if password, ok := user.Password(); ok {
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(body), "\n")
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, text)
	}
	return text, nil
}

// An endpoint is where a server is.
type endpoint struct {
	native *url.URL // without a database
	http   string
}

var sharedClickHouse = sync.OnceValues(func() (endpoint, error) {
	if dsn := os.Getenv("MILLRACE_TEST_CLICKHOUSE"); dsn != "" {
		return parseServer(dsn)
	}
	dir, err := runDir()
	if err != nil {
		return endpoint{}, err
	}
	s, err := startEngine(filepath.Join(dir, "clickhouse"))
	if err != nil {
		return endpoint{}, err
	}
	onExit(func() { s.Kill() })
	native, err := url.Parse(s.DSN())
	if err != nil {
		return endpoint{}, err
	}
	native.Path = ""
	return endpoint{native, s.HTTPURL()}, nil
})

// parseServer reads MILLRACE_TEST_CLICKHOUSE.
func parseServer(dsn string) (endpoint, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return endpoint{}, fmt.Errorf("read MILLRACE_TEST_CLICKHOUSE: %w", err)
	}
	port := u.Query().Get("http_port")
	if port == "" {
		port = "8123"
	}
	u.Path, u.RawQuery = "", ""
	if u.User == nil {
		u.User = url.UserPassword("default", "")
	}
	return endpoint{u, "http://" + net.JoinHostPort(u.Hostname(), port)}, nil
}
