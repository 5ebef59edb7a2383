package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millrace/millrace/source"
)

// lost marks an error as source.ErrDisconnected and leaves its text alone.
type lost struct{ error }

func (l lost) Is(target error) bool { return target == source.ErrDisconnected }
func (l lost) Unwrap() error        { return l.error }

// classify marks errors after which a new connection may do better, so that
// they match source.ErrDisconnected, and gives others the hint they deserve.
// An error that came of the caller's own cancellation is left as it is.
func classify(err error) error {
	if err == nil || errors.Is(err, source.ErrDisconnected) || errors.Is(err, context.Canceled) {
		return err
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return classifyServer(err, pgErr)
	}
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed) {
		return lost{err}
	}
	return err
}

// classifyServer goes by the manual's appendix "PostgreSQL Error Codes".
func classifyServer(err error, pgErr *pgconn.PgError) error {
	var hinted *source.HintError
	switch code := pgErr.Code; {
	case code == "57P01", code == "57P02", code == "57P03": // shut down, crashed, starting
		return lost{err}
	case strings.HasPrefix(code, "08"): // connection exceptions
		return lost{err}
	case code == "53300": // too many connections
		return lost{err}
	case code == "40001" && pgErr.SeverityUnlocalized == "FATAL": // conflict with recovery, on a standby
		return lost{err}
	case code == "55006": // slot in use: the sender of a session that died ends within wal_sender_timeout
		return source.WithHint(lost{err}, "if it goes on, find the process in pg_replication_slots.active_pid and end what it serves")
	case errors.As(err, &hinted):
		return err
	case code == "42501":
		return source.WithHint(err, "millrace check names the privilege that is missing")
	case code == "25006": // read-only transaction
		return source.WithHint(err, "if this server is a standby, create the publication on its primary; otherwise see default_transaction_read_only")
	case code == "53400": // configuration limit: replication slots
		return source.WithHint(err, "raise max_replication_slots and restart the server, or drop a slot that nobody reads")
	}
	return err
}

// hasCode reports whether a server error with one of the codes is in err.
func hasCode(err error, codes ...string) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	for _, code := range codes {
		if pgErr.Code == code {
			return true
		}
	}
	return false
}
