package sourcetest

import (
	"database/sql"
	"testing"
	"time"

	"github.com/millrace/millrace/source"
)

// An Env is a kind of server under test.
type Env interface {
	Dialect() Dialect
	// Database makes an empty database on a server that tests share. It is
	// gone when the test ends.
	Database(t *testing.T) Database
	// Server starts a server for this test alone.
	Server(t *testing.T) Server
}

// A Server is a server that a test may stop.
type Server interface {
	// Database makes an empty database.
	Database(t *testing.T) Database
	// Stop ends the server in an orderly way, Kill without warning.
	Stop(t *testing.T)
	Kill(t *testing.T)
	// Start starts it again, on its address and data, and waits until it is up.
	Start(t *testing.T)
	// Patience is how long the server waits for a reader that takes nothing
	// and says nothing. It is short, since a test waits for longer.
	Patience() time.Duration
}

// A Database is what sources of a test read.
type Database interface {
	// Open returns a source. All that are opened of one database belong to the
	// same pipeline. The test closes it.
	Open(t *testing.T, o Options) source.Source
	// DB runs SQL in the database, unqualified names are of its default schema.
	// It is closed with the test.
	DB(t *testing.T) *sql.DB
	// Retained is the order of the position from which on the server keeps its
	// log for the pipeline; ok is false where it does not go by readers.
	Retained(t *testing.T) (order uint64, ok bool)
	// Leftovers names what the pipeline has on the server: slots and the like.
	Leftovers(t *testing.T) []string
}

// Options are a source's settings that tests choose.
type Options struct {
	Tables    []string // patterns; none for all tables of the default schema
	Workers   int
	ChunkRows int
	Memory    source.Memory
}

// A Dialect is how the server's SQL differs.
type Dialect struct {
	// Quote quotes an identifier.
	Quote func(name string) string
	// Int, Text and Key are types: an integer of 32 bits, text of 100 kB, and
	// a text that may be a key.
	Int, Text, Key string
	// Upsert inserts a row of (id, n, v) or updates n and v of the one that has
	// its id. values is the row as VALUES takes it.
	Upsert func(table, values string) string
	// Rewrite moves the rows of a table to other places; nil where chunks do
	// not refer to places.
	Rewrite func(table string) string
	// Hostile are names that quoting easily gets wrong, beyond those that every
	// server allows.
	Hostile []string
}
