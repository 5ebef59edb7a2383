// Package position keeps how far a pipeline has come.
//
// A [Position] is a place between two transactions of a source's log. The
// [Store] keeps the last one whose rows ClickHouse has acknowledged, together
// with the identity of the log it belongs to and the progress of snapshots, in
// one bbolt file. Every change to it is synced before the call returns, so
// whoever is told of a position afterwards may rely on it.
package position

// A Position is a place between two transactions of a source's log.
// The zero Position is "nowhere".
type Position struct {
	// Order grows along one log: Postgres' LSN; MySQL's and MariaDB's binlog
	// file number << 36 | offset. Positions of one identity compare by it.
	Order uint64 `json:"order"`
	// Text is what the source needs to start again here, in its own notation:
	// "16/B374D848" or a GTID set with file and offset.
	Text string `json:"text"`
}

// IsZero reports whether p is nowhere.
func (p Position) IsZero() bool { return p == Position{} }

// String returns the source's notation.
func (p Position) String() string {
	if p.IsZero() {
		return "none"
	}
	return p.Text
}

// Identity tells one log from another. Equal identities mean that positions
// compare; what to make of a difference is the source's business.
type Identity struct {
	// Server is Postgres' system identifier, MySQL's server UUID, MariaDB's
	// domain and server id.
	Server string `json:"server"`
	// Log is Postgres' timeline, MySQL's binlog creation time.
	Log string `json:"log"`
}

// Saved is what a pipeline resumes from.
type Saved struct {
	Position Position `json:"position"`
	Identity Identity `json:"identity"`
	// Epoch is the top byte of every _version. It rises when the log's
	// identity changes and the rows go on in another order of positions.
	Epoch uint8 `json:"epoch"`
}
