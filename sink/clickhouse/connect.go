package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/source"
)

const (
	clientName = "millrace"
	// systemDatabase exists on every server, so that one can log in before the
	// target database is created. All statements name the database.
	systemDatabase = "system"
	// minVersion is the first long-term release whose ReplacingMergeTree knows
	// is_deleted.
	minVersion = "23.3"
)

// Config says which database to write to.
type Config struct {
	DSN string // see DSN
	// Pipeline and RunID go into the id of every statement that writes, and
	// RunID into the deduplication token of every insert. It must differ from
	// one run to the next: a token guards a retry, never a replay.
	Pipeline string
	RunID    string
	Logger   *slog.Logger // nil: nothing is logged
}

// A Target is one database of a ClickHouse server. Its methods may be called
// concurrently.
type Target struct {
	dsn     *DSN
	log     *slog.Logger
	ours    string // begins the ids of this pipeline's statements, in any run
	runID   string // begins those of this run
	wire    wire
	version string
	types   map[string][]proto.Setting // types the server has, and what a query needs to use them
}

// Open logs in at the server, which may be any of the DSN's hosts, and asks
// what it can do. The database need not exist yet. A *sink.RetryError means
// that the server is out of reach for now.
func Open(ctx context.Context, c Config) (*Target, error) {
	d, err := ParseDSN(c.DSN)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := d.tlsConfig()
	if err != nil {
		return nil, err
	}
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Target{dsn: d, log: log, ours: "millrace/" + c.Pipeline + "/"}
	t.runID = t.ours + c.RunID + "/"
	if d.HTTP {
		t.wire = newHTTP(d, tlsConfig, log)
	} else {
		t.wire = newNative(d, tlsConfig, log)
	}
	if err := t.greet(ctx); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// greet reads the server's version and abilities.
func (t *Target) greet(ctx context.Context) error {
	versions, err := t.texts(ctx, "SELECT version()")
	if err != nil {
		return connectError(ctx, t.dsn, err)
	}
	t.version = versions[0]
	if olderThan(t.version, minVersion) {
		return source.WithHint(fmt.Errorf("ClickHouse %s is too old", t.version), "version "+minVersion+" is the first that removes deleted rows from ReplacingMergeTree; upgrade the server")
	}
	return t.probeTypes(ctx)
}

// Close closes all connections. Inserts that run end with an error.
func (t *Target) Close() { t.wire.close() }

// Database returns the target database's name, unquoted.
func (t *Target) Database() string { return t.dsn.Database }

// Version returns the server's version: "26.7.2.1".
func (t *Target) Version() string { return t.version }

// Name quotes a table's name together with the target database.
func (t *Target) Name(table string) string { return Ident(t.dsn.Database) + "." + Ident(table) }

// olderThan compares the first two numbers of versions.
func olderThan(version, least string) bool {
	v, w := strings.Split(version, "."), strings.Split(least, ".")
	for i := range 2 {
		if len(v) <= i {
			return false
		}
		a, errA := strconv.Atoi(v[i])
		b, errB := strconv.Atoi(w[i])
		if errors.Join(errA, errB) != nil || a != b {
			return a < b
		}
	}
	return false
}
