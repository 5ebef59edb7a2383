package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/source"
)

const (
	plugin     = "pgoutput"
	walRemoved = "wal_removed" // pg_replication_slots.invalidation_reason

	slotPatience = 2 * time.Second // before we look what a new slot waits for
	slotLook     = 5 * time.Second // between two looks
)

// startOver is the way out when the log that continues the copy is gone.
const startOver = "run `millrace resync --all` to copy everything again, and start anew"

// slotInfo is what pg_replication_slots says of our slot.
type slotInfo struct {
	exists    bool
	active    bool
	activePID int32
	slotType  string // logical or physical
	plugin    string
	database  string
	here      bool // of the database that we are connected to
	temporary bool
	twoPhase  bool
	confirmed pglogrepl.LSN // the consumer has everything up to here
	restart   pglogrepl.LSN // WAL is kept from here on
	walStatus string        // reserved, extended, unreserved or lost
	// invalidation says why the slot cannot be read any more; "" while it can.
	invalidation string
}

// readSlot reads the state of our slot.
func (s *Source) readSlot(ctx context.Context, conn *pgx.Conn) (slotInfo, error) {
	// As JSON, since later versions have more columns.
	var text []byte
	err := conn.QueryRow(ctx, `
		SELECT (to_jsonb(s) || jsonb_build_object('here', database IS NOT DISTINCT FROM current_database()))::text
		FROM pg_replication_slots s WHERE slot_name = $1`, s.cfg.Slot).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return slotInfo{}, nil
	}
	if err != nil {
		return slotInfo{}, fmt.Errorf("read slot %q: %w", s.cfg.Slot, classify(err))
	}
	info, err := parseSlot(text)
	if err != nil {
		return slotInfo{}, fmt.Errorf("read slot %q: %w", s.cfg.Slot, err)
	}
	return info, nil
}

// parseSlot reads a row of pg_replication_slots.
func parseSlot(text []byte) (slotInfo, error) {
	var row struct {
		SlotType     string `json:"slot_type"`
		Plugin       string `json:"plugin"`
		Database     string `json:"database"`
		Here         bool   `json:"here"`
		Temporary    bool   `json:"temporary"`
		Active       bool   `json:"active"`
		ActivePID    int32  `json:"active_pid"`
		Restart      string `json:"restart_lsn"`
		Confirmed    string `json:"confirmed_flush_lsn"`
		WALStatus    string `json:"wal_status"`
		TwoPhase     bool   `json:"two_phase"`
		Conflicting  bool   `json:"conflicting"`         // since 16
		Invalidation string `json:"invalidation_reason"` // since 17
	}
	if err := json.Unmarshal(text, &row); err != nil {
		return slotInfo{}, err
	}
	info := slotInfo{
		exists: true, active: row.Active, activePID: row.ActivePID, slotType: row.SlotType,
		plugin: row.Plugin, database: row.Database, here: row.Here, temporary: row.Temporary, twoPhase: row.TwoPhase,
		walStatus: row.WALStatus, invalidation: row.Invalidation,
	}
	switch {
	case info.invalidation != "":
	case row.WALStatus == "lost":
		info.invalidation = walRemoved
	case row.Conflicting:
		info.invalidation = "conflict with recovery"
	}
	var err error
	if row.Restart != "" {
		if info.restart, err = pglogrepl.ParseLSN(row.Restart); err != nil {
			return slotInfo{}, err
		}
	}
	if row.Confirmed != "" {
		if info.confirmed, err = pglogrepl.ParseLSN(row.Confirmed); err != nil {
			return slotInfo{}, err
		}
	}
	return info, nil
}

// usable returns an error when the pipeline cannot go on with the slot,
// whatever the position. That somebody reads it now is none of its business.
func (i slotInfo) usable(slot string) error {
	if !i.exists {
		return source.WithHint(fmt.Errorf("slot %q is gone, and with it the server's promise to keep the log", slot), startOver)
	}
	if err := i.foreign(slot); err != nil {
		return err
	}
	switch i.invalidation {
	case "":
		return nil
	case walRemoved:
		return source.WithHint(fmt.Errorf("slot %q is lost: it needed more WAL than max_slot_wal_keep_size allows, and changes are gone", slot),
			"raise max_slot_wal_keep_size, then "+startOver)
	default:
		return source.WithHint(fmt.Errorf("slot %q is invalid (%s), and changes are gone", slot, i.invalidation), startOver)
	}
}

// foreign says why a slot cannot be this pipeline's.
func (i slotInfo) foreign(slot string) error {
	var err error
	switch {
	case i.slotType != "logical":
		err = fmt.Errorf("slot %q is a %s one", slot, i.slotType)
	case i.plugin != plugin:
		err = fmt.Errorf("slot %q decodes with %s, not with %s", slot, i.plugin, plugin)
	case !i.here:
		err = fmt.Errorf("slot %q belongs to database %q", slot, i.database)
	case i.temporary:
		err = fmt.Errorf("slot %q is a temporary one of another session", slot)
	case i.twoPhase:
		err = fmt.Errorf("slot %q decodes prepared transactions", slot)
	default:
		return nil
	}
	return source.WithHint(err, "set source.slot to another name")
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

func checkSlotName(name string) error {
	if slotName.MatchString(name) {
		return nil
	}
	return source.WithHint(fmt.Errorf("%q cannot be the name of a slot", name), "set source.slot to at most 63 of a-z, 0-9 and _")
}

// createSlot creates our slot. It waits for the transactions that are running,
// which may be long. The snapshot stands at the slot's consistent point, and
// can be imported while repl is open and idle.
func (s *Source) createSlot(ctx context.Context, repl *pgconn.PgConn) (consistent pglogrepl.LSN, snapshot string, err error) {
	if err := checkSlotName(s.cfg.Slot); err != nil {
		return 0, "", err
	}
	r, err := s.newSlot(ctx, repl, s.cfg.Slot, false)
	if hasCode(err, "42710") { // duplicate object
		return 0, "", source.WithHint(err, fmt.Sprintf(
			"it stands at a position that the state file does not know: if that file was moved, point state at it; otherwise SELECT pg_drop_replication_slot(%s), remove the target tables and start again", literal(s.cfg.Slot)))
	}
	if err != nil {
		return 0, "", err
	}
	consistent, err = pglogrepl.ParseLSN(r.ConsistentPoint)
	if err != nil {
		return 0, "", fmt.Errorf("create slot %q: %w", s.cfg.Slot, err)
	}
	return consistent, r.SnapshotName, nil
}

// waitOut waits until every transaction that was running has ended, and
// returns a snapshot that sees them all. It can be imported while repl is open
// and idle; the temporary slot behind it goes when repl is closed.
func (s *Source) waitOut(ctx context.Context, repl *pgconn.PgConn) (snapshot string, err error) {
	r, err := s.newSlot(ctx, repl, fmt.Sprintf("millrace_wait_%d", repl.PID()), true)
	return r.SnapshotName, err
}

// newSlot creates a slot, and tells the log what it waits for.
func (s *Source) newSlot(ctx context.Context, repl *pgconn.PgConn, name string, temporary bool) (pglogrepl.CreateReplicationSlotResult, error) {
	watch, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watchSlot(watch, name, repl.PID())
	}()
	r, err := pglogrepl.CreateReplicationSlot(ctx, repl, name, plugin, pglogrepl.CreateReplicationSlotOptions{
		Temporary: temporary, SnapshotAction: "EXPORT_SNAPSHOT", Mode: pglogrepl.LogicalReplication,
	})
	stop()
	<-done
	if err != nil {
		err = fmt.Errorf("create slot %q: %w", name, classify(err))
		if hasCode(err, "55000") { // prerequisite: wal_level
			err = source.WithHint(err, "ALTER SYSTEM SET wal_level = 'logical', then restart the server")
		}
	}
	return r, err
}

// watchSlot logs which transactions the creation of a slot waits for, as they
// change, until ctx ends.
func (s *Source) watchSlot(ctx context.Context, name string, creator uint32) {
	timer := time.NewTimer(slotPatience)
	defer timer.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.WithoutCancel(ctx))
		}
	}()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(slotLook)
		}
		if conn == nil || conn.IsClosed() {
			// Without a connection nothing is told; the creation itself fails if it must.
			if conn, _ = s.connect(ctx); conn == nil {
				continue
			}
		}
		oldest, err := oldTransactions(ctx, conn, 0)
		if err != nil || len(oldest) == 0 || oldest[0].String() == last {
			continue
		}
		last = oldest[0].String()
		s.log.Info("slot waits for transactions that began before it",
			"slot", name, "oldest", last, "age", oldest[0].age.Round(time.Second), "transactions", len(oldest), "session", creator)
	}
}

// A transaction holds up the creation of slots, and the cleaning of tables.
type transaction struct {
	pid   int32  // of its session; 0 for a prepared one
	gid   string // of a prepared one
	user  string
	app   string
	state string
	age   time.Duration
}

// String names the transaction, not its text, which may hold secrets.
func (t transaction) String() string {
	if t.gid != "" {
		return fmt.Sprintf("prepared transaction %q of %q", t.gid, t.user)
	}
	return fmt.Sprintf("process %d of %q (%q, %s)", t.pid, t.user, t.app, t.state)
}

// end is the statement that ends the transaction.
func (t transaction) end() string {
	if t.gid != "" {
		return "ROLLBACK PREPARED " + literal(t.gid)
	}
	return fmt.Sprintf("SELECT pg_terminate_backend(%d)", t.pid)
}

// oldTransactions returns the running transactions that have written and are
// older than some age; the oldest first. For those of other roles our role
// knows the age only if it is a member of pg_read_all_stats; without, it is 0.
func oldTransactions(ctx context.Context, conn *pgx.Conn, older time.Duration) ([]transaction, error) {
	// A transaction that has written holds a lock on its own number.
	rows, err := conn.Query(ctx, `
		WITH writers AS (
			SELECT DISTINCT pid FROM pg_locks
			WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted AND pid <> pg_backend_pid()
		), t AS (
			SELECT w.pid, '' AS gid, coalesce(a.usename::text, '') AS usr, coalesce(a.application_name, '') AS app, coalesce(a.state, '') AS state,
			       coalesce(clock_timestamp() - a.xact_start, '0') AS age
			FROM writers w LEFT JOIN pg_stat_activity a ON a.pid = w.pid
			UNION ALL
			SELECT 0, gid, owner, '', 'prepared', clock_timestamp() - prepared FROM pg_prepared_xacts
		)
		SELECT pid, gid, usr, app, state, extract(epoch FROM age)::float8
		FROM t WHERE age >= make_interval(secs => $1) ORDER BY age DESC, pid`, older.Seconds())
	if err != nil {
		return nil, fmt.Errorf("read running transactions: %w", classify(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t transaction, err error) {
		var seconds float64
		err = row.Scan(&t.pid, &t.gid, &t.user, &t.app, &t.state, &seconds)
		t.age = time.Duration(seconds * float64(time.Second))
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("read running transactions: %w", classify(err))
	}
	return list, nil
}
