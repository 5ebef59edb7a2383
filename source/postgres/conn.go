package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millrace/millrace/source"
)

const connectTimeout = 15 * time.Second // where the DSN names none

// pins are the settings that every session of ours has, whatever the server,
// the database, the role or the DSN say. Those that shape output make a value
// read the same in the snapshot and in the log. Without jit, since catalogs of
// thousands of tables look costly to the planner and take milliseconds. The
// server is to notice a client that vanished within the minute, and not keep
// its locks for the two hours that are usual.
var pins = map[string]string{
	"TimeZone":                            "UTC",
	"DateStyle":                           "ISO, MDY",
	"IntervalStyle":                       "postgres",
	"extra_float_digits":                  "3",
	"lc_monetary":                         "C",
	"bytea_output":                        "hex",
	"client_encoding":                     "UTF8",
	"search_path":                         "", // pg_catalog only
	"row_security":                        "off",
	"jit":                                 "off",
	"standard_conforming_strings":         "on",
	"statement_timeout":                   "0",
	"lock_timeout":                        "0",
	"idle_in_transaction_session_timeout": "0",
	"tcp_keepalives_idle":                 "30",
	"tcp_keepalives_interval":             "10",
	"tcp_keepalives_count":                "3",
	"idle_session_timeout":                "0",
}

// config reads the DSN and pins the settings.
func (s *Source) config() (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(s.cfg.DSN)
	if err != nil {
		// The parser's own message may quote a password.
		return nil, source.WithHint(errors.New("source.dsn is not a Postgres connection string"),
			"write it as postgres://user:password@host:5432/database, with %XX for special characters of the password")
	}
	for name := range c.RuntimeParams {
		for pin := range pins {
			if strings.EqualFold(name, pin) {
				delete(c.RuntimeParams, name)
			}
		}
	}
	for pin, value := range pins {
		c.RuntimeParams[pin] = value
	}
	c.RuntimeParams["application_name"] = "millrace " + s.cfg.Name
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	c.DialFunc = dialer.DialContext
	return c, nil
}

// connect opens an ordinary session.
func (s *Source) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return nil, connectError(&c.Config, err)
	}
	return conn, pinLater(ctx, conn.PgConn())
}

// pinLater pins what only newer servers know.
func pinLater(ctx context.Context, conn *pgconn.PgConn) error {
	if serverVersion(conn) < 17 {
		return nil
	}
	if _, err := conn.Exec(ctx, "SET transaction_timeout = 0").ReadAll(); err != nil {
		closeConn(conn)
		return fmt.Errorf("set transaction_timeout: %w", classify(err))
	}
	return nil
}

// connectReplication opens a session that takes replication commands and SQL
// of the simple protocol. Its messages are read readBuffer bytes at a time, so
// that one system call fetches many.
func (s *Source) connectReplication(ctx context.Context, readBuffer int) (*pgconn.PgConn, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["replication"] = "database"
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readBuffer), w)
	}
	conn, err := pgconn.ConnectConfig(ctx, &c.Config)
	if err != nil {
		return nil, connectError(&c.Config, err)
	}
	return conn, pinLater(ctx, conn)
}

// connectError says where a connection was tried and why it failed, and
// classifies the error.
func connectError(c *pgconn.Config, err error) error {
	cause := err
	var connect *pgconn.ConnectError
	var netErr *net.OpError
	var dnsErr *net.DNSError
	var pgErr *pgconn.PgError
	switch {
	case errors.As(err, &pgErr):
		return fmt.Errorf("connect to %s: %w", address(c), authHint(c, pgErr))
	case errors.As(err, &netErr):
		cause = netErr
	case errors.As(err, &dnsErr): // it is in there once for each attempt
		cause = dnsErr
	case errors.As(err, &connect):
		cause = connect.Unwrap()
	}
	err = classify(fmt.Errorf("connect to %s: %w", address(c), cause))
	if errors.Is(err, source.ErrDisconnected) {
		return source.WithHint(err, "is the server running, and are the host and the port of source.dsn right?")
	}
	return err
}

func address(c *pgconn.Config) string {
	return fmt.Sprintf("%s, database %q, user %q", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database, c.User)
}

// authHint classifies what the server said instead of letting us in.
func authHint(c *pgconn.Config, err *pgconn.PgError) error {
	role := pgx.Identifier{c.User}.Sanitize()
	switch {
	case err.Code == "28P01":
		return source.WithHint(err, "check the user and the password in source.dsn")
	case err.Code == "28000" && err.Routine == "ClientAuthentication":
		return source.WithHint(err, fmt.Sprintf("add a line such as `host %s %s samenet scram-sha-256` to pg_hba.conf, then run SELECT pg_reload_conf()", c.Database, c.User))
	case err.Code == "28000":
		return source.WithHint(err, fmt.Sprintf("CREATE ROLE %[1]s LOGIN REPLICATION PASSWORD '…', or ALTER ROLE %[1]s LOGIN if there is one", role))
	case err.Code == "3D000":
		return source.WithHint(err, "check the database in source.dsn")
	case err.Code == "42501" && c.RuntimeParams["replication"] != "":
		return source.WithHint(err, fmt.Sprintf("ALTER ROLE %s REPLICATION", role))
	case err.Code == "42501":
		return source.WithHint(err, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", pgx.Identifier{c.Database}.Sanitize(), role))
	case isSendersFull(err):
		return source.WithHint(lost{err}, "raise max_wal_senders and restart the server")
	}
	return classify(err)
}

// isSendersFull tells the lack of WAL senders from that of connections, which
// share a code; the setting's name is in every language's message.
func isSendersFull(err *pgconn.PgError) bool {
	return err.Code == "53300" && strings.Contains(err.Message, "max_wal_senders")
}

// lockPipeline makes this session the only one that works with the slot, for
// as long as it lasts.
func (s *Source) lockPipeline(ctx context.Context, conn *pgx.Conn) error {
	h := fnv.New64a()
	h.Write([]byte("millrace slot " + s.cfg.Slot)) // a hash takes everything
	key := int64(h.Sum64())
	var locked bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&locked); err != nil {
		return fmt.Errorf("lock slot %q: %w", s.cfg.Slot, classify(err))
	}
	if locked {
		return nil
	}
	var pid int32
	var name string
	err := conn.QueryRow(ctx, `
		SELECT l.pid, coalesce(a.application_name, '')
		FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
		  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		  AND l.classid::bigint << 32 | l.objid::bigint = $1`, key).Scan(&pid, &name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("find who holds slot %q: %w", s.cfg.Slot, classify(err))
	}
	return source.WithHint(
		fmt.Errorf("another millrace works with slot %q already (server process %d, %q)", s.cfg.Slot, pid, name),
		"stop it, or give this pipeline a name or a source.slot of its own")
}

// serverVersion returns the server's major version.
func serverVersion(conn *pgconn.PgConn) int {
	text := conn.ParameterStatus("server_version") // "15.4 (Debian …)", "18beta1"
	digits := 0
	for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
		digits++
	}
	major, _ := strconv.Atoi(text[:digits]) // 0 for a server that is none
	return major
}

// quote returns a qualified name as SQL writes it.
func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal returns a string constant as SQL and replication commands write it.
func literal(text string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), "'", "''") + "'"
}
