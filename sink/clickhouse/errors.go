package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// A ServerError is an exception that the server raised.
type ServerError struct {
	Code    proto.Error
	Message string
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("%s (code %d, %s)", e.Message, int(e.Code), e.Code.String())
}

// newServerError takes off what a server puts around a message: the name of the
// exception's class before it, the code's name and its own version behind it.
func newServerError(code proto.Error, text string) *ServerError {
	text = strings.TrimPrefix(strings.TrimSpace(text), "DB::Exception: ")
	if i := strings.LastIndex(text, " (version "); i > 0 && strings.HasSuffix(text, ")") {
		text = text[:i]
	}
	text = strings.TrimSuffix(text, " ("+code.String()+")")
	if code == proto.ErrAuthenticationFailed {
		text, _, _ = strings.Cut(text, "\n") // what follows is about resetting passwords
	}
	return &ServerError{Code: code, Message: text}
}

// A statusError is an HTTP answer without a ClickHouse exception: a proxy's.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("HTTP status %d %s: %s", e.status, http.StatusText(e.status), e.text)
}

// A class is what an exception means for the rows that met it.
type class uint8

const (
	fatal  class = iota // concerns every table, and does not pass
	retry               // passes
	schema              // the table and the rows do not fit together
	grant               // the user lacks a privilege
	auth                // the server does not know the user
)

// classes by the server's error code (its ErrorCodes.cpp, system.errors). A
// code that is not listed is fatal: nothing is tried again blindly, and nothing
// is dropped.
var classes = byCode(map[class][]proto.Error{
	retry: {
		// The server, its disks or its quotas are exhausted for now.
		proto.ErrTooManyParts, proto.ErrMemoryLimitExceeded, proto.ErrCannotAllocateMemory,
		proto.ErrTooManySimultaneousQueries, proto.ErrTimeoutExceeded, proto.ErrTooSlow,
		proto.ErrNotEnoughSpace, proto.ErrQuotaExceeded, proto.ErrNoFreeConnection,
		proto.ErrServerOverloaded, proto.ErrUserSessionLimitExceeded,
		// It is read-only, starting, stopping, or was told to stop the query.
		proto.ErrReadonly, proto.ErrTableIsReadOnly, proto.ErrAborted, proto.ErrQueryWasCancelled,
		proto.ErrQueryWasCancelledByClient, proto.ErrTableIsBeingRestarted, proto.ErrDeadlockAvoided,
		proto.ErrUnfinished, proto.ErrSessionIsLocked, proto.ErrQueryWithSameIDIsAlreadyRunning,
		// The network, the coordination service, other replicas, object storage.
		proto.ErrNetworkError, proto.ErrSocketTimeout, proto.ErrDNSError, proto.ErrAttemptToReadAfterEOF,
		proto.ErrUnexpectedEndOfFile, proto.ErrAllConnectionTriesFailed, proto.ErrNoZookeeper,
		proto.ErrUnexpectedZookeeperError, proto.ErrKeeperException, proto.ErrNoActiveReplicas,
		proto.ErrTooFewLiveReplicas, proto.ErrUnsatisfiedQuorumForPreviousWrite,
		proto.ErrReplicaIsNotInQuorum, proto.ErrUnknownStatusOfInsert, proto.ErrS3Error,
		proto.ErrSystemError, proto.ErrCannotFsync, proto.ErrChecksumDoesntMatch,
	},
	schema: {
		proto.ErrNotFoundColumnInBlock, proto.ErrDuplicateColumn, proto.ErrNoSuchColumnInTable,
		proto.ErrNumberOfColumnsDoesntMatch, proto.ErrCannotParseText,
		proto.ErrCannotParseInputAssertionFailed, proto.ErrBadArguments,
		proto.ErrIllegalTypeOfArgument, proto.ErrIllegalColumn, proto.ErrUnknownIdentifier,
		proto.ErrUnknownType, proto.ErrTypeMismatch, proto.ErrUnknownTable, proto.ErrUnknownDatabase,
		proto.ErrCannotConvertType, proto.ErrIncorrectData, proto.ErrTableIsDropped,
		proto.ErrCannotInsertNullInOrdinaryColumn, proto.ErrDecimalOverflow,
		proto.ErrArgumentOutOfBound, proto.ErrViolatedConstraint, proto.ErrNotImplemented,
		proto.ErrTooLargeStringSize, proto.ErrTooLargeArraySize, proto.ErrUnknownElementOfEnum,
		proto.ErrTableUUIDMismatch,
	},
	grant: {proto.ErrAccessDenied},
	auth: {
		proto.ErrAuthenticationFailed, proto.ErrUnknownUser, proto.ErrWrongPassword,
		proto.ErrRequiredPassword, proto.ErrIPAddressNotAllowed,
	},
})

func byCode(lists map[class][]proto.Error) map[proto.Error]class {
	m := map[proto.Error]class{}
	for c, codes := range lists {
		for _, code := range codes {
			m[code] = c
		}
	}
	return m
}

// classify gives err the class that decides what happens next. table may be
// empty. A context that has ended explains every other error.
func classify(ctx context.Context, table string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if code, ok := exceptionCode(err); ok {
		return classifyCode(code, table, err)
	}
	var status *statusError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &status):
		return classifyStatus(status, err)
	case errors.As(err, &certificate):
		return source.WithHint(err, "name the authority with ca_file=FILE in the DSN, or trust any certificate with skip_verify=true")
	case isNetwork(err):
		return &sink.RetryError{Err: err}
	}
	return err
}

func classifyCode(code proto.Error, table string, err error) error {
	switch classes[code] {
	case retry:
		return &sink.RetryError{Err: err}
	case schema:
		return &sink.TableError{Table: table, Err: err, Hint: schemaHint(code)}
	case grant:
		return &sink.TableError{Table: table, Err: err, Hint: "grant what the message names: GRANT … TO the user of the target's DSN"}
	case auth:
		return source.WithHint(err, "correct user and password in the target's DSN")
	}
	return err
}

func schemaHint(code proto.Error) string {
	switch code {
	case proto.ErrUnknownTable, proto.ErrTableIsDropped, proto.ErrTableUUIDMismatch, proto.ErrUnknownDatabase:
		return "the target table is gone: `millrace resync` the table to create and fill it again"
	case proto.ErrNoSuchColumnInTable, proto.ErrNotFoundColumnInBlock, proto.ErrUnknownIdentifier:
		return "a column is missing in the target: add it with ALTER TABLE … ADD COLUMN, or drop the table and `millrace resync` it"
	case proto.ErrViolatedConstraint:
		return "a CONSTRAINT of the target table refuses the rows: ALTER TABLE … DROP CONSTRAINT"
	}
	return "the target table does not take the source's rows: `millrace check` names the columns"
}

func classifyStatus(s *statusError, err error) error {
	switch {
	case s.status == http.StatusUnauthorized, s.status == http.StatusForbidden:
		return source.WithHint(err, "correct user and password in the target's DSN")
	case s.status >= 500, s.status == http.StatusTooManyRequests, s.status == http.StatusRequestTimeout:
		return &sink.RetryError{Err: err}
	}
	return err
}

// exceptionCode finds the code of a server's exception.
func exceptionCode(err error) (proto.Error, bool) {
	var own *ServerError
	if errors.As(err, &own) {
		return own.Code, true
	}
	return 0, false
}

// isNetwork reports whether the connection failed, at whatever stage. After an
// insert was sent that leaves its fate unknown, which versions make harmless.
func isNetwork(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// connectError explains an error of the first connection.
func connectError(ctx context.Context, d *DSN, err error) error {
	err = fmt.Errorf("connect to ClickHouse at %s: %w", d, err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if hint := wrongPort(err); hint != "" {
		return source.WithHint(err, hint)
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, io.EOF) { // an HTTP port hangs up on a native hello
		port := "the native port (9000, with TLS 9440)"
		if d.HTTP {
			port = "the HTTP port (8123, with TLS 8443)"
		}
		err = source.WithHint(err, "is ClickHouse running, and is this "+port+"?")
	}
	return classify(ctx, "", err)
}

// wrongPort returns a hint when the port speaks another protocol.
func wrongPort(err error) string {
	var notTLS tls.RecordHeaderError
	text := err.Error()
	switch {
	case errors.Is(err, errNotNative):
		return "this is not a native port without TLS: http:// speaks to HTTP ports, secure=true to ports with TLS"
	case errors.As(err, &notTLS), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "this port does not speak TLS: name its TLS port, or leave secure=true and https:// out"
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, "is for clickhouse-client program"):
		return "this is not an HTTP port without TLS: clickhouse:// speaks to native ports, https:// to ports with TLS"
	}
	return ""
}
