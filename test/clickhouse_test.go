package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/sink/embedded"
)

// A clickhouse is a database that millrace writes to.
type clickhouse struct {
	t        testing.TB
	dsn      string
	http     string
	user     *url.Userinfo
	database string
}

// sharedClickHouse makes a database on the shared server.
func sharedClickHouse(t testing.TB) *clickhouse {
	t.Helper()
	c := testenv.ClickHouse(t)
	u, err := url.Parse(c.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	return &clickhouse{t: t, dsn: c.DSN(""), http: c.HTTP, user: u.User, database: c.Database}
}

// ownClickHouse starts a server that the test may kill.
func ownClickHouse(t testing.TB) (*clickhouse, *embedded.Server) {
	t.Helper()
	s := testenv.StartClickHouse(t, t.TempDir())
	u, err := url.Parse(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/own"
	return &clickhouse{t: t, dsn: u.String(), http: s.HTTPURL(), user: u.User, database: "own"}, s
}

// query runs a statement and returns tab-separated text.
func (c *clickhouse) query(statement string) string {
	c.t.Helper()
	text, err := c.try(statement)
	if err != nil {
		c.t.Fatalf("ClickHouse: %v\nin: %s", err, statement)
	}
	return text
}

// bare keeps no connection, which would hold up a server's end.
var bare = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (c *clickhouse) try(statement string) (string, error) {
	// The database is named by the statements or by a header: it may not be
	// there yet.
	req, err := http.NewRequest(http.MethodPost, c.http+"/?database="+url.QueryEscape(c.database), strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	if password, ok := c.user.Password(); ok {
		req.SetBasicAuth(c.user.Username(), password)
	}
	resp, err := bare.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", resp.Status, body)
	}
	return strings.TrimSuffix(string(body), "\n"), nil
}

// rows runs a SELECT of one column of type Array(Nullable(String)).
func (c *clickhouse) rows(sql string) [][]*string {
	c.t.Helper()
	text := c.query(sql + " FORMAT JSONCompactEachRow")
	var rows [][]*string
	for line := range strings.Lines(text) {
		var row [][]*string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			c.t.Fatalf("ClickHouse answers %q: %v", line, err)
		}
		rows = append(rows, row[0])
	}
	return rows
}
