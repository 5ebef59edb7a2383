package mapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/source"
)

// batches is the number of batches in circulation: one is filled, one waits,
// one is written.
const batches = 3

// ErrLimit is matched when a version would not fit: positions past 2^56.
var ErrLimit = errors.New("the position is too large for a _version")

// Config is what a Mapper needs to know.
type Config struct {
	// Epoch is the top byte of every version.
	Epoch uint8
	// Rows and Bytes fill a table's block. A batch with a full block is due.
	Rows, Bytes int
	// Memory bounds the bytes of all batches.
	Memory int
	// Interval is the least time between two batches that are not full.
	Interval time.Duration
	// Plan decides how a table of a new shape is written. An error stops the
	// table.
	Plan func(ctx context.Context, t *source.Table) (*Plan, error)
	// Failed names tables whose rows are not wanted, since they stopped before.
	Failed []string
	// Misfit decides about values that do not fit.
	Misfit MisfitFunc
}

// A MisfitFunc decides about a value that does not fit its column: nil keeps
// the substitute, and the value becomes a Letter; an error stops the table.
type MisfitFunc func(p *Plan, f *Field, m *source.Misfit) error

// A Mapper is a source's handler. It fills batches, which are taken from it by
// Next and given back by Release. One goroutine may fill while another takes.
type Mapper struct {
	cfg Config

	mu   sync.Mutex // protects all below
	wake *sync.Cond // on: a batch handed over, taken or released; a commit; an end

	open   *Batch   // being filled
	full   *Batch   // handed over, not yet taken
	free   []*Batch // empty
	closed bool

	routes map[*source.Table]*route
	last   *route // of the row before
	failed map[string]bool
	taken  time.Time // when the last batch with rows was taken
	idled  time.Time // when the last one without was
}

// route is where rows of one shape go.
type route struct {
	table *source.Table
	plan  *Plan // nil: nowhere
}

// New returns a Mapper.
func New(cfg Config) *Mapper {
	m := &Mapper{cfg: cfg, routes: make(map[*source.Table]*route), failed: make(map[string]bool)}
	for _, name := range cfg.Failed {
		m.failed[name] = true
	}
	m.wake = sync.NewCond(&m.mu)
	for range batches {
		m.free = append(m.free, &Batch{blocks: make(map[*Plan]*Block)})
	}
	m.open, m.free = m.free[0], m.free[1:]
	return m
}

// Schema implements source.Handler.
func (m *Mapper) Schema(ctx context.Context, t *source.Table) error {
	if t.Problem != nil {
		m.Fail(t, t.Problem)
		return nil
	}
	if m.ignores(t) {
		return nil
	}
	plan, err := m.cfg.Plan(ctx, t)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		m.Fail(t, err)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.routes[t] = &route{table: t, plan: plan}
	m.last = nil
	return nil
}

// Fail stops a table: its rows from here on are not written.
func (m *Mapper) Fail(t *source.Table, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail(t, err)
}

func (m *Mapper) fail(t *source.Table, err error) {
	name := t.String()
	if m.routes[t] == nil {
		m.routes[t] = &route{table: t}
	}
	for _, r := range m.routes {
		if r.table.String() == name {
			r.plan = nil
		}
	}
	if m.failed[name] {
		return
	}
	m.failed[name] = true
	var te *TableError
	if !errors.As(err, &te) {
		te = &TableError{Table: name, Err: err}
	}
	m.open.Failed = append(m.open.Failed, te)
	m.wake.Broadcast()
}

// ignores reports whether a table has failed before, and takes its rows.
func (m *Mapper) ignores(t *source.Table) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed[t.String()] {
		m.routes[t] = &route{table: t}
		m.last = nil
	}
	return m.failed[t.String()]
}

// Row implements source.Handler. It blocks while all batches are full.
func (m *Mapper) Row(ctx context.Context, r *source.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	to := m.last
	if to == nil || to.table != r.Table {
		if to = m.routes[r.Table]; to == nil {
			return fmt.Errorf("row of table %s, which was not announced", r.Table)
		}
		m.last = to
	}
	if to.plan == nil {
		return nil
	}
	if r.Version > maxOrder {
		return fmt.Errorf("%w: %d", ErrLimit, r.Version)
	}
	if r.Op == source.Truncate {
		return m.truncate(ctx, to)
	}
	block, err := m.block(to)
	if err != nil {
		m.fail(r.Table, err)
		return nil
	}
	rows, size := block.rows, block.bytes
	if err := block.Append(r); err != nil {
		m.fail(r.Table, err)
		return nil
	}
	if rows == 0 {
		m.open.used = append(m.open.used, block)
	}
	m.open.rows += block.rows - rows
	m.open.bytes += block.bytes - size
	if block.rows >= m.cfg.Rows || block.bytes >= m.cfg.Bytes || m.open.bytes >= m.cfg.Memory/batches {
		return m.handOver(ctx)
	}
	return nil
}

// block returns the open batch's block for a route.
func (m *Mapper) block(to *route) (*Block, error) {
	block := m.open.blocks[to.plan]
	if block == nil {
		var err error
		block, err = NewBlock(to.plan, m.cfg.Epoch, m.cfg.Misfit)
		if err != nil {
			return nil, err
		}
		m.open.blocks[to.plan] = block
	}
	return block, nil
}

// truncate is a barrier: what came before is written before it.
func (m *Mapper) truncate(ctx context.Context, to *route) error {
	if m.open.holds(to.plan) {
		if err := m.handOver(ctx); err != nil {
			return err
		}
	}
	m.open.Truncated = append(m.open.Truncated, to.plan)
	return nil
}

// Commit implements source.Handler.
func (m *Mapper) Commit(_ context.Context, c source.Commit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.open.Position.IsZero() || !c.Idle && !m.open.busy
	m.open.Position = c.Position
	if !c.Idle {
		m.open.CommitTime, m.open.busy = c.Time, true
	}
	if news {
		m.wake.Broadcast()
	}
	return nil
}

// handOver makes the open batch due and waits for another one.
func (m *Mapper) handOver(ctx context.Context) error {
	defer context.AfterFunc(ctx, m.broadcast)()
	for m.full != nil || len(m.free) == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.wake.Wait()
	}
	m.full = m.open
	m.open, m.free = m.free[0], m.free[1:]
	m.wake.Broadcast()
	return nil
}

func (m *Mapper) broadcast() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wake.Broadcast()
}

// Close tells that no more rows come. Next returns what is left, then io.EOF.
func (m *Mapper) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.wake.Broadcast()
}

// Next returns the next batch when it is due: a full one at once, another when
// it holds a commit and Interval has passed since the one before. A batch that
// only moves the position does not hold up one with rows. The caller releases
// it, and has released all before.
func (m *Mapper) Next(ctx context.Context) (*Batch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer context.AfterFunc(ctx, m.broadcast)()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if b := m.full; b != nil {
			m.full = nil
			return m.take(b), nil
		}
		due := !m.open.Position.IsZero() || len(m.open.Failed) > 0
		if m.closed && !due {
			return nil, io.EOF // an unfinished transaction comes again
		}
		last := m.idled
		if m.open.busy {
			last = m.taken
		}
		wait := time.Until(last.Add(m.cfg.Interval))
		if due && (m.closed || wait <= 0) {
			b := m.open
			m.open, m.free = m.free[0], m.free[1:]
			return m.take(b), nil
		}
		if due {
			timer := time.AfterFunc(wait, m.broadcast)
			m.wake.Wait()
			timer.Stop()
		} else {
			m.wake.Wait()
		}
	}
}

func (m *Mapper) take(b *Batch) *Batch {
	if b.rows > 0 || len(b.Truncated) > 0 {
		m.taken = time.Now()
	} else {
		m.idled = time.Now()
	}
	m.wake.Broadcast()
	return b
}

// Release gives a batch back.
func (m *Mapper) Release(b *Batch) {
	b.reset()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, b)
	m.wake.Broadcast()
}
