package web

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// A State is how far a table, or the pipeline as a whole, has come.
type State string

// The states of a table. A pipeline that has not begun waits; one that streams
// has no table in the states before.
const (
	Waiting   State = "waiting"
	Snapshot  State = "snapshot"
	Catchup   State = "catchup"
	Streaming State = "streaming"
	Failed    State = "failed"
)

// Status is what a pipeline tells about itself. Its JSON form is a public
// interface: fields are added, never renamed or removed.
type Status struct {
	Pipeline string        `json:"pipeline"`
	State    State         `json:"state"`
	Source   SourceStatus  `json:"source"`
	Tables   []TableStatus `json:"tables"`
}

// SourceStatus is the place in the source's log.
type SourceStatus struct {
	Kind       string  `json:"kind"`
	Position   string  `json:"position"` // saved: everything up to it is in the target
	Latest     string  `json:"latest"`   // the end of the log
	LagBytes   int64   `json:"lag_bytes"`
	LagSeconds float64 `json:"lag_seconds"`
}

// TableStatus is the progress of one table. Counts are those of this run,
// except for the snapshot's.
type TableStatus struct {
	Source        string `json:"source"` // schema.table
	Target        string `json:"target"`
	State         State  `json:"state"`
	SnapshotRows  int64  `json:"snapshot_rows"`
	SnapshotTotal int64  `json:"snapshot_total"` // an estimate; below 0 when there is none
	Inserts       int64  `json:"inserts"`
	Updates       int64  `json:"updates"`
	Deletes       int64  `json:"deletes"`
	DeadLetters   int64  `json:"dead_letters"`
	Error         string `json:"error"` // why it failed
}

// MarshalJSON writes a pipeline without tables as one with an empty list.
func (s Status) MarshalJSON() ([]byte, error) {
	type plain Status
	if s.Tables == nil {
		s.Tables = []TableStatus{}
	}
	return json.Marshal(plain(s))
}

// WriteTable writes s for people.
func (s *Status) WriteTable(w io.Writer) error {
	b := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(b, strings.Join(cells, "\t")) }

	row("pipeline", printable(s.Pipeline)+", "+printable(string(s.State)))
	row("source", fmt.Sprintf("%s at %s of %s, %s and %s behind",
		printable(s.Source.Kind), printable(s.Source.Position), printable(s.Source.Latest),
		bytesText(s.Source.LagBytes), secondsText(s.Source.LagSeconds)))
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write status: %w", err)
	}

	row()
	row("SOURCE", "TARGET", "STATE", "SNAPSHOT", "INSERTS", "UPDATES", "DELETES", "DEAD LETTERS")
	for _, t := range s.Tables {
		row(printable(t.Source), printable(t.Target), printable(string(t.State)), t.progress(),
			count(t.Inserts), count(t.Updates), count(t.Deletes), count(t.DeadLetters))
	}
	if len(s.Tables) == 0 {
		row("no tables")
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write status: %w", err)
	}

	for _, t := range s.Tables {
		if t.Error == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", printable(t.Source), printable(t.Error)); err != nil {
			return fmt.Errorf("write status: %w", err)
		}
	}
	return nil
}

// progress is the number of rows copied, with the share while the copy runs.
// The total is an estimate, so the share stops short of 100 %.
func (t *TableStatus) progress() string {
	if t.State != Snapshot || t.SnapshotTotal <= 0 {
		return count(t.SnapshotRows)
	}
	share := min(99, int(100*float64(t.SnapshotRows)/float64(t.SnapshotTotal)))
	return fmt.Sprintf("%d (%d %%)", t.SnapshotRows, share)
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTP"[unit])
}

func secondsText(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// printable quotes text that a terminal would act on: table names and error
// texts are other people's input.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
