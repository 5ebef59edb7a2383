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
	native, web, err := sharedClickHouse()
	if err != nil {
		t.Fatalf("ClickHouse: %v (in a checkout: make embedded)", err)
	}
	c := &CH{HTTP: web, native: native}
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

func query(base string, user *url.Userinfo, database, statement string) (string, error) {
	req, err := http.NewRequest(http.MethodPost, base+"/?database="+url.QueryEscape(database), strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	if password, ok := user.Password(); ok {
		req.SetBasicAuth(user.Username(), password)
	}
	resp, err := http.DefaultClient.Do(req)
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

// sharedClickHouse returns the server's native address and its HTTP URL.
var sharedClickHouse = func() func() (*url.URL, string, error) {
	var (
		once   sync.Once
		native *url.URL
		web    string
		err    error
	)
	return func() (*url.URL, string, error) {
		once.Do(func() { native, web, err = openClickHouse() })
		return native, web, err
	}
}()

func openClickHouse() (*url.URL, string, error) {
	if dsn := os.Getenv("MILLRACE_TEST_CLICKHOUSE"); dsn != "" {
		return parseServer(dsn)
	}
	dir, err := runDir()
	if err != nil {
		return nil, "", err
	}
	s, err := startEngine(filepath.Join(dir, "clickhouse"))
	if err != nil {
		return nil, "", err
	}
	atExit = append(atExit, func() { s.Kill() })
	native, err := url.Parse(s.DSN())
	if err != nil {
		return nil, "", err
	}
	native.Path = ""
	return native, s.HTTPURL(), nil
}

// parseServer reads MILLRACE_TEST_CLICKHOUSE.
func parseServer(dsn string) (*url.URL, string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, "", fmt.Errorf("read MILLRACE_TEST_CLICKHOUSE: %w", err)
	}
	port := u.Query().Get("http_port")
	if port == "" {
		port = "8123"
	}
	u.Path, u.RawQuery = "", ""
	if u.User == nil {
		u.User = url.UserPassword("default", "")
	}
	return u, "http://" + net.JoinHostPort(u.Hostname(), port), nil
}
