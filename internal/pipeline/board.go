package pipeline

import (
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
)

// board holds what a pipeline shows of itself.
type board struct {
	mu     sync.Mutex // protects all below
	status web.Status
	index  map[string]int // of a table in status.Tables
	saved  position.Position
	latest position.Position
	fresh  time.Time               // what was committed before it is saved, about
	warned map[[2]string]time.Time // by table and column: when a misfit was logged
}

func newBoard(pipeline, kind string) *board {
	return &board{
		status: web.Status{Pipeline: pipeline, State: web.Waiting, Source: web.SourceStatus{Kind: kind}},
		index:  make(map[string]int),
		warned: make(map[[2]string]time.Time),
	}
}

// Status returns a copy.
func (b *board) Status() web.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	s.Tables = append([]web.TableStatus(nil), s.Tables...)
	s.Source.Position, s.Source.Latest = b.saved.String(), b.latest.String()
	if b.even() {
		s.Source.Latest = s.Source.Position // it was asked for before
	}
	s.Source.LagBytes, s.Source.LagSeconds = b.lag()
	return s
}

// lag returns how far the saved position is behind the log's end, in bytes and
// in time.
func (b *board) lag() (bytes int64, seconds float64) {
	if b.even() || b.saved.IsZero() {
		return 0, 0
	}
	return int64(b.latest.Order - b.saved.Order), max(time.Since(b.fresh).Seconds(), 0)
}

// even reports whether all is saved up to the log's end as it was last seen.
func (b *board) even() bool { return b.saved.Order >= b.latest.Order }

// advance notes the time when the saved position or the log's end has changed:
// commit is that of the last transaction saved, zero for none.
func (b *board) advance(commit time.Time) {
	switch {
	case b.even():
		b.fresh = time.Now()
	case !commit.IsZero():
		b.fresh = commit
	case b.fresh.IsZero(): // from an earlier run, and nobody knows how old
		b.fresh = time.Now()
	}
}

// Ready reports whether every table that has not failed streams.
func (b *board) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.status.Tables {
		if s := b.status.Tables[i].State; s != web.Streaming && s != web.Failed {
			return false
		}
	}
	return len(b.status.Tables) > 0
}

func (b *board) add(t *table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := web.TableStatus{Source: t.source.String(), State: web.Waiting, SnapshotTotal: t.source.Rows}
	if t.plan != nil {
		s.Target = t.plan.Target
	}
	if t.state == position.Copied {
		s.State, s.SnapshotRows, s.SnapshotTotal = web.Catchup, t.kept.Rows, t.kept.Rows
	}
	if i, ok := b.index[s.Source]; ok {
		b.status.Tables[i] = s
		return
	}
	b.index[s.Source] = len(b.status.Tables)
	b.status.Tables = append(b.status.Tables, s)
}

// change calls f with a table's status.
func (b *board) change(table string, f func(*web.TableStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.index[table]; ok {
		f(&b.status.Tables[i])
	}
}

func (b *board) fail(table string, err error) {
	b.change(table, func(t *web.TableStatus) { t.State, t.Error = web.Failed, err.Error() })
}

// failed returns the names of the tables that failed.
func (b *board) failed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for i := range b.status.Tables {
		if b.status.Tables[i].State == web.Failed {
			names = append(names, b.status.Tables[i].Source)
		}
	}
	return names
}

func (b *board) copying(table string, rows, total int64) {
	b.change(table, func(t *web.TableStatus) { t.State, t.SnapshotRows, t.SnapshotTotal = web.Snapshot, rows, total })
	b.setState(web.Snapshot)
}

func (b *board) loaded(table string, rows int64) {
	b.change(table, func(t *web.TableStatus) { t.SnapshotRows += rows })
}

func (b *board) copied(table string, rows int64) {
	b.change(table, func(t *web.TableStatus) { t.State, t.SnapshotRows, t.SnapshotTotal = web.Catchup, rows, rows })
}

// misfit counts a dead letter, and tells whether it is worth a line in the log:
// once a minute for each column.
func (b *board) misfit(table, column string) bool {
	b.change(table, func(t *web.TableStatus) { t.DeadLetters++ })
	b.mu.Lock()
	defer b.mu.Unlock()
	place := [2]string{table, column}
	if time.Since(b.warned[place]) < time.Minute {
		return false
	}
	b.warned[place] = time.Now()
	return true
}

func (b *board) setState(s web.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status.State = s
}

func (b *board) setLatest(p position.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Order > b.latest.Order {
		b.latest = p
	}
	b.advance(time.Time{})
}

func (b *board) setSaved(p position.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = p
	b.advance(time.Time{})
}

// following tells that the log is read.
func (b *board) following() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.State != web.Streaming {
		b.status.State = web.Catchup
	}
}

// lost tells that the log is not read any more.
func (b *board) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status.State != web.Streaming {
		return
	}
	b.status.State = web.Catchup
	for i := range b.status.Tables {
		if t := &b.status.Tables[i]; t.State == web.Streaming {
			t.State = web.Catchup
		}
	}
}

// caughtUp tells that the log is read up to where it was when reading began.
// It returns true.
func (b *board) caughtUp(log *slog.Logger) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.status.State != web.Streaming
	b.status.State = web.Streaming
	for i := range b.status.Tables {
		if t := &b.status.Tables[i]; t.State == web.Catchup {
			t.State = web.Streaming
		}
	}
	if first {
		log.Info("caught up", "position", b.saved.String())
	}
	return true
}

// flushed counts a batch that is saved.
func (b *board) flushed(batch *mapper.Batch, saved position.Position) {
	for _, block := range batch.Blocks() {
		inserts, updates, deletes := block.Changes()
		b.change(block.Plan.Source.String(), func(t *web.TableStatus) {
			t.Inserts, t.Updates, t.Deletes = t.Inserts+inserts, t.Updates+updates, t.Deletes+deletes
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saved = saved
	b.advance(batch.CommitTime)
}
