package source

import (
	"context"
	"time"

	"github.com/millrace/millrace/position"
)

// A Source is a database whose tables are copied and whose log is followed.
// Methods other than Stream and Snapshot.Read are called from one goroutine at
// a time unless they say otherwise.
type Source interface {
	// Kind is the database's name in messages and metrics: "postgres".
	Kind() string

	// Tables returns the selected tables in a stable order. One that cannot be
	// replicated is returned with its Problem set. An error means that the
	// catalog could not be read. It may be called while Stream runs.
	Tables(ctx context.Context) ([]*Table, error)

	// Identify reads the log's identity. Where saved is not nil it proves that
	// the log goes on from there; continued is false when it does so under a
	// new identity, and the error (with a hint) says why it does not.
	Identify(ctx context.Context, saved *position.Saved) (id position.Identity, continued bool, err error)

	// Begin prepares the copy of tables. With first set nothing has been
	// copied before: the source makes sure that its log is kept from a
	// position that the copy is consistent with. Otherwise tables come to
	// those that stream already, and transactions that may have written to
	// them unseen have ended when Begin returns.
	Begin(ctx context.Context, streaming, tables []*Table, first bool) (Snapshot, error)

	// Stream decodes the log from a position on and calls h in log order until
	// ctx ends or an error. It returns ErrDisconnected (wrapped) when another
	// call may help. It blocks while h blocks, and keeps the connection alive.
	Stream(ctx context.Context, from position.Position, tables []*Table, h Handler) error

	// Ack tells that everything up to p is saved, so that the server may
	// discard its log. It never blocks and may be called from any goroutine.
	Ack(p position.Position)

	// Latest is the place that the log has reached now. Any goroutine may call it.
	Latest(ctx context.Context) (position.Position, error)

	// Fetch reads columns of the row that now stands at key, which holds one
	// cell for each of t.Key in the form in which Stream delivers it. found is
	// false when there is no such row. The cells are the caller's. Any
	// goroutine may call it.
	Fetch(ctx context.Context, t *Table, key []Cell, columns []int) (cells []Cell, found bool, err error)

	// Check tests settings, privileges and tables. It changes nothing.
	Check(ctx context.Context) []Finding

	// Teardown removes what Begin left on the server.
	Teardown(ctx context.Context) error

	Close() error
}

// A Snapshot is the copy of some tables as they stood at one position.
type Snapshot interface {
	// Position is where the log must be read from to follow this copy. It is
	// nowhere for a copy that joins a stream.
	Position() position.Position

	// Plan cuts a table into chunks. It may be called once for each table.
	Plan(ctx context.Context, t *Table) (*Plan, error)

	// Read sends the rows of one chunk to h as inserts with Version 0, and no
	// Commit. It may be called from as many goroutines as Begin was told of.
	Read(ctx context.Context, t *Table, c Chunk, h Handler) error

	// Close ends the copy and gives up its locks.
	Close() error
}

// A Plan is how a table is copied: it is kept so that a copy that was cut off
// goes on with the chunks that are missing.
type Plan struct {
	// Mark names the storage that the chunks refer to (Postgres: the file
	// nodes). A plan with another mark is worthless.
	Mark   string  `json:"mark"`
	Chunks []Chunk `json:"chunks"`
}

// A Chunk is a part of a table in the source's own terms.
type Chunk struct {
	Part string `json:"part,omitempty"` // the partition, where there are some
	From string `json:"from,omitempty"` // inclusive; empty: the beginning
	To   string `json:"to,omitempty"`   // exclusive; empty: the end
	Rows int64  `json:"rows"`           // estimate
}

// Handler takes what a source reads. Its arguments, and the bytes that they
// refer to, are valid only until the call returns. A call may block: that is
// back-pressure. After an error the source stops and returns it.
type Handler interface {
	// Schema announces a table before its first row and whenever its shape has
	// changed. Rows refer to a table by the pointer last announced.
	Schema(ctx context.Context, t *Table) error
	// Row is one change, in log order.
	Row(ctx context.Context, r *Row) error
	// Commit ends a transaction.
	Commit(ctx context.Context, c Commit) error
}

// Op is what happened to a row.
type Op uint8

// The operations.
const (
	Insert Op = iota
	Update
	Delete
	Truncate // the whole table; no cells
)

// String returns the operation's SQL keyword.
func (o Op) String() string {
	return [...]string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"}[o]
}

// A Row is one change of one row.
type Row struct {
	Table *Table
	Op    Op
	// Version is the transaction's place in the log, below 1<<56; 0 in a
	// snapshot. All rows of a transaction share it, no two transactions do.
	Version uint64
	// Time is the transaction's commit time, µs since 1970 UTC; 0 in a snapshot.
	Time int64
	// Old holds a cell for each column of the table, or is empty. An Update
	// has it when the log gives any old value, a Delete always. Cells that
	// the log does not give are Absent.
	Old []Cell
	// New holds a cell for each column; empty for a Delete.
	New []Cell
}

// CellKind is the form of a cell.
type CellKind uint8

// The forms of a cell.
const (
	Null      CellKind = iota
	Absent             // the log does not say
	Unchanged          // the value the row had before (Postgres' unchanged TOAST)
	Text
	Binary
)

// A Cell is one value as it came over the wire.
type Cell struct {
	Kind  CellKind
	Bytes []byte // of Text and Binary; a view of the receive buffer
}

// A Commit ends a transaction, or tells that the log has moved on without one.
type Commit struct {
	// Position is right behind the transaction.
	Position position.Position
	// Time is the transaction's commit time on the server's clock.
	Time time.Time
	// Idle is set when nothing happened to the selected tables up to Position.
	Idle bool
}
