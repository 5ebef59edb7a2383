package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/source"
)

const (
	oldestVersion  = 14
	newestVersion  = 18
	oldTransaction = time.Hour
	minWALKept     = 1 << 10 // MB
	minSenderWait  = 10 * time.Second
)

// A checker gathers findings.
type checker struct {
	s        *Source
	conn     *pgx.Conn
	findings []source.Finding
	server   serverFacts
}

func (c *checker) ok(subject, text string, args ...any) {
	c.findings = append(c.findings, source.Finding{Level: source.OK, Subject: subject, Text: fmt.Sprintf(text, args...)})
}

func (c *checker) warn(subject, fix, text string, args ...any) {
	c.findings = append(c.findings, source.Finding{Level: source.Warn, Subject: subject, Text: fmt.Sprintf(text, args...), Fix: fix})
}

func (c *checker) fail(subject, fix, text string, args ...any) {
	c.findings = append(c.findings, source.Finding{Level: source.Fail, Subject: subject, Text: fmt.Sprintf(text, args...), Fix: fix})
}

// failure adds an error, with its hint for a fix.
func (c *checker) failure(subject string, err error) {
	var hint *source.HintError
	if !errors.As(err, &hint) {
		c.fail(subject, "", "%v", err)
		return
	}
	// What was wrapped around the hint belongs to the text.
	c.fail(subject, hint.Hint, "%s", strings.Replace(err.Error(), hint.Error(), hint.Err.Error(), 1))
}

// serverFacts are what the server says of itself and of our role.
type serverFacts struct {
	version       int
	minor         int
	role          string
	database      string
	encoding      string
	walLevel      string
	standby       bool
	feedback      string // hot_standby_feedback
	slotsMax      int
	slotsUsed     int
	walKept       int64 // max_slot_wal_keep_size, MB
	senderTimeout time.Duration
	mayCreate     bool // in the database
}

// Check implements source.Source.
func (s *Source) Check(ctx context.Context) []source.Finding {
	c := &checker{s: s}
	conn, err := s.connect(ctx)
	if err != nil {
		c.failure("connection", err)
		return c.findings
	}
	defer conn.Close(context.WithoutCancel(ctx))
	c.conn = conn
	if err := c.run(ctx); err != nil {
		c.failure("catalog", err)
	}
	return c.findings
}

func (c *checker) run(ctx context.Context) (err error) {
	if c.server, err = readServer(ctx, c.conn); err != nil {
		return err
	}
	c.ok("connection", "database %q as %q", c.server.database, c.server.role)
	if !c.version() {
		return nil
	}
	c.settings()
	c.replication(ctx)
	slot, err := c.s.readSlot(ctx, c.conn)
	if err != nil {
		return err
	}
	c.slot(slot)
	if err := c.transactions(ctx, slot, oldTransaction); err != nil {
		return err
	}
	return c.tables(ctx)
}

func readServer(ctx context.Context, conn *pgx.Conn) (f serverFacts, err error) {
	f.version = serverVersion(conn.PgConn())
	var millis int64
	err = conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int % 100, current_user, current_database(), getdatabaseencoding(), current_setting('wal_level'),
		       pg_is_in_recovery(), current_setting('hot_standby_feedback'),
		       current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
		       coalesce((SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), -1),
		       (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_sender_timeout'),
		       has_database_privilege(current_database(), 'CREATE')`).
		Scan(&f.minor, &f.role, &f.database, &f.encoding, &f.walLevel, &f.standby, &f.feedback,
			&f.slotsMax, &f.slotsUsed, &f.walKept, &millis, &f.mayCreate)
	f.senderTimeout = time.Duration(millis) * time.Millisecond
	if err != nil {
		return f, fmt.Errorf("read the server's settings: %w", classify(err))
	}
	return f, nil
}

// wholeSince holds the minor releases that tell transactions which are running
// of an ALTER PUBLICATION (release notes of May 2025). Others go on by what was
// published when they began, even after the new table's copy was taken.
var wholeSince = map[int]int{14: 18, 15: 13, 16: 9, 17: 5}

// version reports whether there is any use in looking further.
func (c *checker) version() bool {
	switch v := c.server.version; {
	case v < oldestVersion:
		c.fail("version", fmt.Sprintf("upgrade to Postgres %d or later", oldestVersion), "Postgres %d is too old", v)
		return false
	case v > newestVersion:
		c.warn("version", "", "Postgres %d is newer than what millrace was tested with, %d", v, newestVersion)
	case v == oldestVersion:
		c.warn("version", "", "Postgres %d works; from 15 on publications have row filters and column lists", v)
	default:
		c.ok("version", "Postgres %d", v)
	}
	if minor := wholeSince[c.server.version]; c.server.minor < minor {
		c.warn("version", fmt.Sprintf("upgrade to %d.%d", c.server.version, minor),
			"Postgres %d.%d may leave out changes of a table that is added while a transaction writes to it", c.server.version, c.server.minor)
	}
	if c.server.encoding == "SQL_ASCII" {
		c.warn("encoding", "", "the database is SQL_ASCII: its text may not be UTF-8, and is copied byte by byte")
	}
	return true
}

// settings looks at the server's configuration.
func (c *checker) settings() {
	f := c.server
	if f.walLevel != "logical" {
		c.fail("wal_level", "ALTER SYSTEM SET wal_level = 'logical'; then restart the server", "it is %s, so the log does not hold rows", f.walLevel)
	} else {
		c.ok("wal_level", "logical")
	}
	switch {
	case f.walKept < 0:
		c.warn("max_slot_wal_keep_size", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf()",
			"there is no limit: while millrace is down, the server keeps its log until the disk is full")
	case f.walKept < minWALKept:
		c.warn("max_slot_wal_keep_size", "ALTER SYSTEM SET max_slot_wal_keep_size = '64GB'; SELECT pg_reload_conf()",
			"%d MB of log are kept at most: a short stop of millrace loses the slot", f.walKept)
	default:
		c.ok("max_slot_wal_keep_size", "%d MB", f.walKept)
	}
	switch {
	case f.senderTimeout == 0:
		c.warn("wal_sender_timeout", "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
			"it is off: after a crash of millrace the slot stays in use until TCP notices")
	case f.senderTimeout < minSenderWait:
		c.warn("wal_sender_timeout", "ALTER SYSTEM SET wal_sender_timeout = '60s'; SELECT pg_reload_conf()",
			"%v is short: a slow network ends the connection", f.senderTimeout)
	default:
		c.ok("wal_sender_timeout", "%v", f.senderTimeout)
	}
	if !f.standby {
		return
	}
	if f.version < 16 {
		c.fail("standby", "point source.dsn at the primary, or upgrade to Postgres 16", "this server is a standby, and logical slots on one came with Postgres 16")
		return
	}
	c.warn("standby", "on the primary, run SELECT pg_log_standby_snapshot() while the slot is being created", "this server is a standby: creating a slot waits for the primary")
	if f.feedback != "on" {
		c.warn("hot_standby_feedback", "ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf()", "it is off: the primary's VACUUM may make the slot invalid")
	}
}

// replication opens a replication session: servers differ in what allows it.
func (c *checker) replication(ctx context.Context) {
	repl, err := c.s.connectReplication(ctx, 4096)
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		_ = repl.Close(ctx)
		c.ok("replication", "role %q may replicate", c.server.role)
	case errors.As(err, &pgErr) && isSendersFull(pgErr):
		c.fail("max_wal_senders", "ALTER SYSTEM SET max_wal_senders = 20; then restart the server", "all are taken")
	default:
		c.failure("replication", err)
	}
}

func (c *checker) slot(slot slotInfo) {
	subject := fmt.Sprintf("slot %q", c.s.cfg.Slot)
	free := c.server.slotsMax - c.server.slotsUsed
	more := fmt.Sprintf("ALTER SYSTEM SET max_replication_slots = %d; then restart the server", c.server.slotsMax+10)
	if err := checkSlotName(c.s.cfg.Slot); err != nil {
		c.failure(subject, err)
		return
	}
	if slot.exists {
		switch err := slot.usable(c.s.cfg.Slot); {
		case err != nil:
			c.failure(subject, err)
		case slot.active:
			c.ok(subject, "read by server process %d, confirmed up to %s", slot.activePID, slot.confirmed)
		default:
			c.ok(subject, "confirmed up to %s, WAL %s", slot.confirmed, slot.walStatus)
		}
	} else {
		c.ok(subject, "not there yet; run creates it")
	}
	switch {
	case free <= 0 && !slot.exists:
		c.fail("max_replication_slots", more, "all %d are taken", c.server.slotsMax)
	case free <= 0:
		c.warn("max_replication_slots", more, "all %d are taken: adding a table takes one more for a while", c.server.slotsMax)
	default:
		c.ok("max_replication_slots", "%d of %d are free", free, c.server.slotsMax)
	}
}

// transactions names those that hold up the creation of the slot.
func (c *checker) transactions(ctx context.Context, slot slotInfo, older time.Duration) error {
	list, err := oldTransactions(ctx, c.conn, older)
	if err != nil {
		return err
	}
	holds := "adding a table waits for its end"
	if !slot.exists {
		holds = "creating the slot waits for its end"
	}
	for _, t := range list {
		c.warn("transactions", t.end(), "%s is %v old: %s", t, t.age.Round(time.Second), holds)
	}
	return nil
}
