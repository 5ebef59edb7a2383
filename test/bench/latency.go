package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/test/rig"
)

// quiet is longer than the default of flush.interval: the next commit is then
// written at once, the case that is measured.
const quiet = 1100 * time.Millisecond

// latencies are the times from a commit's return to the first answer of
// SELECT … FINAL that has its row.
type latencies struct {
	commit []time.Duration
	poll   []time.Duration // of an answer without the row: what measuring adds
}

func (b *bench) latency(ctx context.Context) (l *latencies, err error) {
	note("latency: %d transactions, each after %s of quiet", b.samples, quiet)
	if err := b.exec(ctx, "CREATE TABLE pulse (id bigint PRIMARY KEY, text text NOT NULL)"); err != nil {
		return nil, err
	}
	m, err := b.start(ctx, "latency", "pulse")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Stop(), b.drop(context.WithoutCancel(ctx), "latency")) }()
	l = new(latencies)
	for id := range b.samples + 1 {
		pause := quiet + rand.N(300*time.Millisecond) // no step with anybody's timer
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-m.Done():
			return nil, m.Err()
		case <-time.After(pause):
		}
		d, err := b.timeOne(ctx, m, id, l)
		if err != nil {
			return nil, err
		}
		if id > 0 { // the first warms everybody up
			l.commit = append(l.commit, d)
		}
	}
	return l, nil
}

// timeOne commits one row and asks for it until it is there.
func (b *bench) timeOne(ctx context.Context, m *rig.Millrace, id int, l *latencies) (time.Duration, error) {
	const late = 30 * time.Second
	if _, err := b.postgres.Exec(ctx, "INSERT INTO pulse VALUES ($1, 'beat')", id); err != nil {
		return 0, fmt.Errorf("insert: %w", err)
	}
	committed := time.Now()
	for time.Since(committed) < late {
		asked := time.Now()
		var n uint64
		if err := b.clickhouse.QueryRow(ctx, "SELECT count() FROM latency.pulse FINAL WHERE id = ?", id).Scan(&n); err != nil {
			return 0, fmt.Errorf("look for the row: %w", err)
		}
		if n > 0 {
			return time.Since(committed), nil
		}
		l.poll = append(l.poll, time.Since(asked))
		select {
		case <-m.Done():
			return 0, m.Err()
		default:
		}
	}
	return 0, fmt.Errorf("row %d is not there after %s", id, late)
}

func (l *latencies) table() string {
	return fmt.Sprintf(`| commit → visible | median | p95 | max |
|---|--:|--:|--:|
| one transaction after quiet, %d samples | %s | %s | %s |
| of that, one query (resolution) | %s | %s | %s |
`, len(l.commit),
		ms(quantile(l.commit, 0.5)), ms(quantile(l.commit, 0.95)), ms(quantile(l.commit, 1)),
		ms(quantile(l.poll, 0.5)), ms(quantile(l.poll, 0.95)), ms(quantile(l.poll, 1)))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
