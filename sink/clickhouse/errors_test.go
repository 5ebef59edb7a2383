package clickhouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

func isRetry(err error) bool {
	var r *sink.RetryError
	return errors.As(err, &r)
}

func isTable(err error, table string) bool {
	var e *sink.TableError
	return errors.As(err, &e) && e.Table == table && e.Hint != ""
}

func isHinted(err error) bool {
	var h *source.HintError
	return errors.As(err, &h)
}

func TestClassify(t *testing.T) {
	const retried, table, hinted, plain = "retry", "table", "hinted", "plain"
	raised := func(code int) error { return fmt.Errorf("insert: %w", &ServerError{Code: proto.Error(code)}) }
	for _, c := range []struct {
		err  error
		want string
	}{
		{raised(252), retried},
		{raised(164), retried},
		{raised(210), retried},
		{raised(209), retried},
		{raised(32), retried},
		{raised(241), retried},
		{raised(202), retried},
		{raised(159), retried},
		{raised(242), retried},
		{raised(999), retried},
		{raised(236), retried},
		{raised(394), retried},
		{raised(425), retried},
		{raised(319), retried},
		{raised(285), retried},
		{raised(745), retried},
		{raised(16), table},
		{raised(20), table},
		{raised(47), table},
		{raised(53), table},
		{raised(60), table},
		{raised(81), table},
		{raised(349), table},
		{raised(469), table},
		{raised(497), table},
		{raised(516), hinted},
		{raised(192), hinted},
		{raised(396), plain},
		{raised(62), plain},
		{raised(115), plain},
		{raised(54321), plain},
		{io.EOF, retried},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), retried},
		{net.ErrClosed, retried},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, retried},
		{syscall.ECONNRESET, retried},
		{syscall.EPIPE, retried},
		{&net.DNSError{Name: "nowhere"}, retried},
		{context.DeadlineExceeded, retried},
		{&statusError{status: 502}, retried},
		{&statusError{status: 429}, retried},
		{&statusError{status: 403}, hinted},
		{&statusError{status: 404}, plain},
		{errors.New("something else"), plain},
	} {
		got := plain
		switch err := classify(t.Context(), "t", c.err); {
		case isRetry(err):
			got = retried
		case isTable(err, "t"):
			got = table
		case isHinted(err):
			got = hinted
		case !errors.Is(err, c.err):
			t.Errorf("%v became %v", c.err, err)
		}
		if got != c.want {
			t.Errorf("%v is %s, want %s", c.err, got, c.want)
		}
	}
	if err := classify(t.Context(), "t", nil); err != nil {
		t.Errorf("nil became %v", err)
	}
}

func TestClassifyCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := classify(ctx, "t", net.ErrClosed); err != context.Canceled { //nolint:errorlint // as it is
		t.Errorf("got %v", err)
	}
}

func TestHTTPException(t *testing.T) {
	for _, c := range []struct {
		status            int
		header, text, err string
	}{
		{404, "60", "Code: 60. DB::Exception: Table d.t does not exist. (UNKNOWN_TABLE) (version 26.7.2.1 (official build))\n", "Table d.t does not exist. (code 60, UNKNOWN_TABLE)"},
		{500, "", "Code: 252. DB::Exception: Too many parts (version 26.7.2.1)", "Too many parts (code 252, TOO_MANY_PARTS)"},
		{403, "516", "", " (code 516, AUTHENTICATION_FAILED)"},
		{502, "", "<html>bad gateway</html>", "HTTP status 502 Bad Gateway: <html>bad gateway</html>"},
		{200, "0", "", "HTTP status 200 OK: "},
	} {
		if err := httpException(c.status, c.header, c.text); err.Error() != c.err {
			t.Errorf("got  %s\nwant %s", err, c.err)
		}
	}
}

func TestInsertErrors(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		ch.Query(t, "CREATE TABLE t (id Int32, n Int32, CONSTRAINT c CHECK n < 10) ENGINE = ReplacingMergeTree ORDER BY id")
		insert := func(table string, cols ...proto.InputColumn) error {
			return target.Insert(t.Context(), table, rand.Text(), cols)
		}
		for what, err := range map[string]error{
			"missing":  insert("missing", col(t, "id", "Int32", i64(1))),
			"column":   insert("t", col(t, "id", "Int32", i64(1)), col(t, "missing", "Int32", i64(1))),
			"null":     insert("t", col(t, "id", "Int32", i64(1)), col(t, "n", "Nullable(Int32)", nil)),
			"type":     insert("t", col(t, "id", "Int32", i64(1)), col(t, "n", "Array(Int32)", list(i64(1)))),
			"violated": insert("t", col(t, "id", "Int32", i64(1)), col(t, "n", "Int32", i64(11))),
		} {
			table := "t"
			if what == "missing" {
				table = what
			}
			if !isTable(err, table) || !strings.Contains(err.Error(), table) {
				t.Errorf("%s: %v", what, err)
			}
		}
		want(t, ch, "SELECT count() FROM t", "0")
		// The connection is none the worse for it.
		if err := insert("t", col(t, "id", "Int32", i64(1)), col(t, "n", "Int32", i64(1))); err != nil {
			t.Error(err)
		}
	})
}

func TestTooManyParts(t *testing.T) {
	eachWire(t, func(t *testing.T, _ *testenv.CH, target *Target) {
		p := plan("t", "id Int32")
		p.Settings = map[string]string{"parts_to_throw_insert": "2", "parts_to_delay_insert": "1", "max_delay_to_insert": "1"}
		create(t, target, p)
		if err := target.exec(t.Context(), "t", "SYSTEM STOP MERGES "+target.Name("t")); err != nil {
			t.Fatal(err)
		}
		var err error
		for i := 0; i < 5 && err == nil; i++ {
			err = target.Insert(t.Context(), "t", fmt.Sprint(i), append(own(t, 1, 1), col(t, "id", "Int32", i64(1))))
		}
		if code, _ := exceptionCode(err); code != proto.ErrTooManyParts || !isRetry(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	ch := testenv.ClickHouse(t)
	for _, c := range []struct {
		dsn, says string
		retry     bool
	}{
		{"clickhouse://u:hunter2@127.0.0.1:1/d", "is ClickHouse running", true},
		{"http://u:hunter2@127.0.0.1:1/d", "is ClickHouse running", true},
		{"clickhouse://u:hunter2@" + answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n") + "/d", "not a native port", false},
		{"clickhouse://u:hunter2@" + answering(t, "") + "/d", "the native port", true},
		{httpDSN(t, ch) + "?no_such_setting=1", "no_such_setting", false},
		{ch.DSN("") + "?no_such_setting=1", "no_such_setting", false},
	} {
		_, err := Open(t.Context(), Config{DSN: c.dsn})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") || isRetry(err) != c.retry {
			t.Errorf("%s: %v", c.dsn, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{DSN: ch.DSN("")}); !errors.Is(err, context.Canceled) || isRetry(err) {
		t.Errorf("cancelled: %v", err)
	}
}

// answering is an address where whatever is sent gets one answer.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// The embedded engine does not survive a login that it refuses on its native
// port, hence a server for each of these alone.
func TestRefusedLogin(t *testing.T) {
	for name, says := range map[string]string{"native": "user and password", "http": "user and password", "http to the native port": "not an HTTP port"} {
		t.Run(name, func(t *testing.T) {
			server := testenv.StartClickHouse(t, t.TempDir())
			u, err := url.Parse(server.DSN())
			if err != nil {
				t.Fatal(err)
			}
			if name == "http" {
				if u, err = url.Parse(server.HTTPURL()); err != nil {
					t.Fatal(err)
				}
			} else if name != "native" {
				u.Scheme = "http"
			}
			u.User = url.UserPassword(testenv.User, "hunter2")
			_, err = Open(t.Context(), Config{DSN: u.String()})
			if !isHinted(err) || isRetry(err) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The connection breaks at some byte of an insert: the rows may have arrived.
func TestConnectionBreaks(t *testing.T) {
	ch := testenv.ClickHouse(t)
	for _, dsn := range []string{ch.DSN(""), httpDSN(t, ch)} {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(u.Scheme, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			clients := make(chan net.Conn, 100)
			forward(t, l, u.Host, func(c net.Conn) { clients <- c })
			u.Host = l.Addr().String()
			target := open(t, u.String())
			create(t, target, plan("t_"+u.Scheme, "id Int32"))
			for len(clients) > 0 {
				(<-clients).Close()
			}
			// Idle connections are dead now: one error at most, then all is well.
			insert := func() error {
				return target.Insert(t.Context(), "t_"+u.Scheme, rand.Text(), append(own(t, 1, 1), col(t, "id", "Int32", i64(1))))
			}
			if err := insert(); err != nil && !isRetry(err) {
				t.Errorf("on a dead connection: %v", err)
			}
			if err := insert(); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

func TestServerIsKilled(t *testing.T) {
	dir := t.TempDir()
	server := testenv.StartClickHouse(t, dir)
	for _, dsn := range []string{server.DSN() + "/d", "http://" + strings.TrimPrefix(server.HTTPURL(), "http://") + "/d"} {
		target := open(t, dsn)
		create(t, target, plan("t", "id Int32"))
		errs := make(chan error)
		started := make(chan struct{})
		go func() {
			for i := 0; ; i++ {
				err := target.Insert(context.Background(), "t", fmt.Sprint(i), append(own(t, 1000, 1), col(t, "id", "Int32", repeat(1000, func(i int) value { return i64(int64(i)) })...)))
				if i == 0 {
					close(started)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
		<-started
		server.Kill()
		if err := <-errs; !isRetry(err) {
			t.Errorf("while it dies: %v", err)
		}
		if _, err := target.HasRows(t.Context(), "t"); !isRetry(err) {
			t.Errorf("after its death: %v", err)
		}
		server = testenv.RestartClickHouse(t, server)
		if has, err := target.HasRows(t.Context(), "t"); !has || err != nil {
			t.Errorf("after its return: %v, %v", has, err)
		}
	}
}

func TestCancelInsert(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		// A materialized view that sleeps keeps the insert waiting.
		ch.Query(t, "CREATE TABLE t (id Int32) ENGINE = ReplacingMergeTree ORDER BY id")
		ch.Query(t, "CREATE MATERIALIZED VIEW v ENGINE = Null AS SELECT sleepEachRow(3) FROM t")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := target.Insert(ctx, "t", rand.Text(), []proto.InputColumn{col(t, "id", "Int32", i64(1))})
		if err != context.DeadlineExceeded || time.Since(start) > 2*time.Second { //nolint:errorlint // as it is
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}
