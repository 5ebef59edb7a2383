// Package pipeline runs one source into one target: it decides what is still
// to be copied, copies it, and follows the log.
//
//	source.Snapshot ─┐
//	                 ├─> mapper ──> sink ──> position ──> source.Ack
//	source.Stream  ──┘
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/internal/web"
	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/sink/clickhouse"
	"github.com/millrace/millrace/source"
)

// Config is what a Pipeline needs to know.
type Config struct {
	Name   string
	Source source.Source
	Target *clickhouse.Target
	Store  *position.Store
	// Options returns a user's wishes for a table.
	Options func(t *source.Table) mapper.Options
	// Named reports whether the user named a table, rather than a pattern that
	// it matches: then one that cannot be replicated is an error.
	Named func(t *source.Table) bool

	Once      bool // end when the log has been followed up to where it was
	Workers   int  // chunks copied, and blocks written, at the same time
	Rows      int  // of an insert
	Bytes     int  // of an insert
	Interval  time.Duration
	Memory    int  // bytes of all buffered rows
	FailValue bool // a value that does not fit stops its table

	Progress io.Writer // a terminal for a progress bar; nil: log lines
	Logger   *slog.Logger
	Registry *prometheus.Registry
}

// The pauses between two tries to reach the source again.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	steadyAfter  = time.Minute // a stream that lasted this long begins with the first pause again
)

// latestInterval is how often the source is asked for the end of its log.
const latestInterval = 2 * time.Second

// A Pipeline replicates tables. It is used for one Run.
type Pipeline struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	board   *board
	saved   position.Saved
	begun   bool // the source has been told of the tables

	tables  []*table        // of this run
	refused map[string]bool // tables that came and cannot be replicated
}

// New returns a Pipeline.
func New(cfg Config) *Pipeline {
	p := &Pipeline{cfg: cfg, log: cfg.Logger, refused: make(map[string]bool), board: newBoard(cfg.Name, cfg.Source.Kind())}
	p.metrics = newMetrics(cfg.Registry, cfg.Name, p.board)
	return p
}

// ErrTablesFailed is matched by Run's error when it came to its end, but some
// tables did not.
var ErrTablesFailed = errors.New("some tables failed")

// Run copies what is not copied yet and follows the log until ctx ends; then
// it writes what it has, saves the position and returns nil. With Once it ends
// when it has caught up with the position at which streaming began.
func (p *Pipeline) Run(ctx context.Context) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.aside(ctx, p.watch)()
	if err := p.follow(ctx); err != nil {
		return err
	}
	p.log.Info("stopped", "position", p.saved.Position.String())
	if failed := p.board.failed(); p.cfg.Once && len(failed) > 0 {
		return fmt.Errorf("%w: %s", ErrTablesFailed, strings.Join(failed, ", "))
	}
	return nil
}

// follow copies and streams, and does so again after the source was lost or
// when tables have come.
func (p *Pipeline) follow(ctx context.Context) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	identified := true
	for {
		start := time.Now()
		err := p.copyAndStream(ctx, identified)
		switch {
		case ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, source.ErrDisconnected)):
			return nil
		case errors.Is(err, errTablesCame):
			if err := p.adopt(ctx); err != nil && !errors.Is(err, source.ErrDisconnected) {
				return err
			}
			continue
		case err == nil || !errors.Is(err, source.ErrDisconnected):
			return err
		}
		if time.Since(start) > steadyAfter {
			pauses.Reset()
		}
		pause := pauses.NextBackOff()
		p.metrics.reconnects.Inc()
		p.board.lost()
		p.log.Warn("lost the source, connecting again", "error", err, "pause", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		identified = false
	}
}

// copyAndStream copies what is not copied yet, then streams. The source must
// have been identified since it was reached again.
func (p *Pipeline) copyAndStream(ctx context.Context, identified bool) error {
	if !identified {
		if err := p.identify(ctx); err != nil {
			return err
		}
	}
	if err := p.copyTables(ctx); err != nil {
		return err
	}
	if len(p.streaming()) == 0 {
		return source.WithHint(errors.New("no table is left to follow: all have failed"),
			"mend what the lines above say, then run `millrace resync` with the tables' names")
	}
	return p.session(ctx)
}

// aside runs do until the function that it returns is called.
func (p *Pipeline) aside(ctx context.Context, do func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { do(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// watch keeps the board's end of the log fresh.
func (p *Pipeline) watch(ctx context.Context) {
	ticker := time.NewTicker(latestInterval)
	defer ticker.Stop()
	for {
		if latest, err := p.cfg.Source.Latest(ctx); err == nil {
			p.board.setLatest(latest)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// streaming returns the tables whose changes are followed.
func (p *Pipeline) streaming() []*source.Table {
	var list []*source.Table
	for _, t := range p.tables {
		if t.state == position.Copied {
			list = append(list, t.source)
		}
	}
	return list
}

// Status returns what the pipeline tells about itself. Any goroutine may call it.
func (p *Pipeline) Status() web.Status { return p.board.Status() }

// Ready reports whether every table that has not failed streams. Any goroutine
// may call it.
func (p *Pipeline) Ready() bool { return p.board.Ready() }
