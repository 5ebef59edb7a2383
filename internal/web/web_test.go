package web

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func exampleStatus() Status {
	return Status{
		Pipeline: "shop",
		State:    Snapshot,
		Source:   SourceStatus{Kind: "postgres", Position: "0/16B3748", Latest: "0/16B4000", LagBytes: 2232, LagSeconds: 0.25},
		Tables: []TableStatus{
			{Source: "public.orders", Target: "orders", State: Streaming, SnapshotRows: 10, SnapshotTotal: 10, Inserts: 3, Updates: 2, Deletes: 1},
			{Source: "public.items", Target: "items", State: Snapshot, SnapshotRows: 500, SnapshotTotal: 1000, DeadLetters: 4},
			{Source: "public.bad", Target: "bad", State: Failed, SnapshotTotal: -1, Error: "column \"a\": no"},
		},
	}
}

func newTestServer(t *testing.T, ready bool) *httptest.Server {
	t.Helper()
	registry := prometheus.NewRegistry()
	rows := prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_test_rows_total", Help: "Rows."})
	registry.MustRegister(rows)
	rows.Add(42)
	s := httptest.NewServer(New(Config{
		Status:   exampleStatus,
		Ready:    func() bool { return ready },
		Registry: registry,
		Logger:   slog.New(slog.DiscardHandler),
	}).Handler())
	t.Cleanup(s.Close)
	return s
}

func request(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestRoutes(t *testing.T) {
	ready, starting := newTestServer(t, true), newTestServer(t, false)
	for _, c := range []struct {
		server      *httptest.Server
		method      string
		path        string
		code        int
		contentType string
		body        string // contained
	}{
		{ready, "GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
		{ready, "HEAD", "/healthz", 200, "text/plain; charset=utf-8", ""},
		{ready, "GET", "/readyz", 200, "text/plain; charset=utf-8", "ready\n"},
		{starting, "GET", "/readyz", 503, "text/plain; charset=utf-8", "not ready\npublic.items: snapshot\n"},
		{starting, "GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
		{ready, "GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "millrace_test_rows_total 42\n"},
		{ready, "GET", "/status", 200, "application/json", `"pipeline":"shop"`},
		{ready, "GET", "/", 200, "text/html; charset=utf-8", "<!doctype html>"},
		{ready, "GET", "/favicon.ico", 404, "application/json", `{"error":"not found`},
		{ready, "GET", "/status/x", 404, "application/json", `{"error":"not found`},
		{ready, "POST", "/status", 405, "application/json", `{"error":"only GET and HEAD are allowed"}`},
		{ready, "DELETE", "/", 405, "application/json", `{"error":"only GET and HEAD are allowed"}`},
		{ready, "OPTIONS", "/metrics", 405, "application/json", `{"error":"only GET and HEAD are allowed"}`},
	} {
		resp, body := request(t, c.method, c.server.URL+c.path)
		if resp.StatusCode != c.code || resp.Header.Get("Content-Type") != c.contentType || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: %d %q %q; want %d %q %q", c.method, c.path,
				resp.StatusCode, resp.Header.Get("Content-Type"), body, c.code, c.contentType, c.body)
		}
		if c.method == "HEAD" && body != "" {
			t.Errorf("HEAD %s has a body: %q", c.path, body)
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
			"Content-Security-Policy": contentSecurityPolicy,
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s %s: header %s is %q, want %q", c.method, c.path, header, got, want)
			}
		}
	}
}

func TestStatusJSONIsThePublishedForm(t *testing.T) {
	got, err := json.Marshal(Status{
		Pipeline: "p", State: Streaming,
		Source: SourceStatus{"postgres", "0/1", "0/2", 1, 0.5},
		Tables: []TableStatus{{"public.a", "a", Failed, 1, 2, 3, 4, 5, 6, "e"}},
	})
	const want = `{"pipeline":"p","state":"streaming",` +
		`"source":{"kind":"postgres","position":"0/1","latest":"0/2","lag_bytes":1,"lag_seconds":0.5},` +
		`"tables":[{"source":"public.a","target":"a","state":"failed","snapshot_rows":1,"snapshot_total":2,` +
		`"inserts":3,"updates":4,"deletes":5,"dead_letters":6,"error":"e"}]}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s (%v)", got, want, err)
	}
	if got, _ := json.Marshal(Status{}); !strings.Contains(string(got), `"tables":[]`) {
		t.Errorf("a status without tables has no list: %s", got)
	}
}

func TestWriteTable(t *testing.T) {
	s := exampleStatus()
	s.Tables[2].Source = "public.bad\x1b[31m"
	var b strings.Builder
	if err := s.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	const want = `pipeline  shop, snapshot
source    postgres at 0/16B3748 of 0/16B4000, 2.2 KiB and 0.2 s behind

SOURCE                TARGET  STATE      SNAPSHOT    INSERTS  UPDATES  DELETES  DEAD LETTERS
public.orders         orders  streaming  10          3        2        1        0
public.items          items   snapshot   500 (50 %)  0        0        0        4
"public.bad\x1b[31m"  bad     failed     0           0        0        0        0

"public.bad\x1b[31m": column "a": no
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 30: "5.0 GiB", 1 << 62: "4096.0 PiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
	for s, want := range map[float64]string{0: "0.0 s", 59.94: "59.9 s", 3725: "1h2m5s"} {
		if got := secondsText(s); got != want {
			t.Errorf("secondsText(%g) = %q, want %q", s, got, want)
		}
	}
}

// run starts a server on a free port, and returns what stops it.
func run(t *testing.T) (address string, stop func() error) {
	t.Helper()
	s := New(Config{
		Listen: "127.0.0.1:0", Status: exampleStatus, Ready: func() bool { return true },
		Registry: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s.Addr(), func() error { cancel(); return <-done }
}

func TestRunAndFetch(t *testing.T) {
	address, stop := run(t)
	got, err := Fetch(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if got.Pipeline != "shop" || len(got.Tables) != 3 || got.Tables[2].Error != `column "a": no` {
		t.Errorf("fetched %+v", got)
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v after its context ended", err)
	}

	_, err = Fetch(t.Context(), address)
	if err == nil || !strings.HasPrefix(err.Error(), "no millrace answers at "+address+": ") {
		t.Errorf("Fetch of a stopped server: %v", err)
	}
}

func TestRunStopsWithAConnectionOpen(t *testing.T) {
	address, stop := run(t)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\n"); err != nil { // and never the rest
		t.Fatal(err)
	}
	begin := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if d := time.Since(begin); d > shutdownTimeout+3*time.Second {
		t.Errorf("stopping took %s", d)
	}
}

func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()

	err = New(Config{Listen: address}).Run(t.Context())
	want := "http.listen: " + address + ` is in use by another process; set http.listen to a free address, or to "" for none`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := New(Config{}).Run(t.Context()); err != nil {
		t.Errorf("Run without an address: %v", err)
	}
	if err := New(Config{Listen: "127.0.0.1:70000"}).Listen(); err == nil || !strings.HasPrefix(err.Error(), "http.listen: ") {
		t.Errorf("port 70000: %v", err)
	}
}

func TestFetchErrors(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<html>")
	}))
	defer other.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()

	for listen, want := range map[string]string{
		"":                             `http.listen: is "", so no status is served`,
		"8090":                         `http.listen: "8090" is no address of the form host:port`,
		other.Listener.Addr().String(): "what listens at " + other.Listener.Addr().String() + " is no millrace: read /status: ",
		missing.Listener.Addr().String(): "what listens at " + missing.Listener.Addr().String() +
			` is no millrace: /status answers "404 Not Found"`,
	} {
		if _, err := Fetch(t.Context(), listen); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Fetch(%q): %v; want %s", listen, err, want)
		}
	}
}

func TestReachable(t *testing.T) {
	for host, want := range map[string]string{
		"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "10.0.0.7": "10.0.0.7", "db.internal": "db.internal",
	} {
		if got := reachable(host); got != want {
			t.Errorf("reachable(%q) = %q, want %q", host, got, want)
		}
	}
}

// The page must stay within its own policy: no handler attributes, no markup
// made of data, nothing from elsewhere.
func TestDashboardIsSelfContained(t *testing.T) {
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick=", " onload=", "http://", "https://", "//cdn", " src="} {
		if strings.Contains(dashboardHTML, bad) {
			t.Errorf("the dashboard contains %q", bad)
		}
	}
	if strings.Count(dashboardHTML, "<script>") != 1 || strings.Count(dashboardHTML, "<style>") != 1 {
		t.Error("the policy allows one script and one style")
	}
	if strings.Contains(contentSecurityPolicy, "unsafe") {
		t.Error("the policy is open: " + contentSecurityPolicy)
	}
}
