package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"

	"github.com/millrace/millrace/internal/web"
)

// The business query, as each side writes it.
const (
	revenuePostgres = `SELECT status, count(*), sum(total) FROM orders
		WHERE placed_at >= date_trunc('day', now(), 'UTC') GROUP BY status ORDER BY status::text COLLATE "C"`
	revenueClickHouse = `SELECT status, count(), sum(total) FROM orders FINAL
		WHERE placed_at >= toStartOfDay(now('UTC')) GROUP BY status ORDER BY status
		SETTINGS output_format_decimal_trailing_zeros = 1`
)

// A sample is how things stand at one moment.
type sample struct {
	at       time.Time
	status   *web.Status
	rows     map[string][2]int // by table: in Postgres, in ClickHouse
	revenue  [2]answer         // nothing in ClickHouse while there are no orders
	commits  int64             // transactions of the workload so far
	arrivals int64             // rows that millrace has written so far
	lagBytes int64             // of Postgres' log
	lag      time.Duration     // between the newest orders; below 0 while there are none in ClickHouse
}

// take asks everybody. Nothing stands still meanwhile: numbers of the two
// sides differ by what is on its way.
func (s *sides) take(ctx context.Context, status *web.Status, w *workload) (*sample, error) {
	m := &sample{at: time.Now(), status: status, rows: map[string][2]int{}, commits: w.committed.Load()}
	for i := range status.Tables {
		t := &status.Tables[i]
		m.arrivals += t.SnapshotRows + t.Inserts + t.Updates + t.Deletes
	}
	there, err := s.askClickHouse(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase()")
	if err != nil {
		return nil, err
	}
	// A table appears when its copy begins.
	known := map[string]bool{}
	for _, row := range there.rows {
		known[row[0]] = true
	}
	var counts [2][]string
	for _, t := range tables {
		counts[0] = append(counts[0], "SELECT '"+t.name+"', count(*) FROM "+t.name)
		from := "system.one WHERE false"
		if known[t.name] {
			from = t.name + " FINAL"
		}
		counts[1] = append(counts[1], "SELECT '"+t.name+"', count() FROM "+from)
	}
	p, c, err := s.ask(ctx, strings.Join(counts[0], " UNION ALL "), strings.Join(counts[1], " UNION ALL "))
	if err != nil {
		return nil, err
	}
	for side, a := range []answer{p, c} {
		if err := m.count(side, a); err != nil {
			return nil, err
		}
	}
	if !known["orders"] {
		m.lag = -1
		m.revenue[0], err = s.askPostgres(ctx, revenuePostgres)
		return m, err
	}
	if m.revenue[0], m.revenue[1], err = s.ask(ctx, revenuePostgres, revenueClickHouse); err != nil {
		return nil, err
	}
	return m, s.measureLag(ctx, m)
}

// measureLag asks the databases and not millrace: what counts is what a query
// sees.
func (s *sides) measureLag(ctx context.Context, m *sample) error {
	p, c, err := s.ask(ctx,
		"SELECT (extract(epoch FROM max(placed_at)) * 1000)::bigint, pg_current_wal_lsn() FROM orders",
		"SELECT toUnixTimestamp64Milli(max(placed_at)) FROM orders")
	if err != nil {
		return err
	}
	newest, err := strconv.ParseInt(p.rows[0][0], 10, 64)
	if err != nil {
		return fmt.Errorf("read the newest order of Postgres: %w", err)
	}
	arrived, err := strconv.ParseInt(c.rows[0][0], 10, 64)
	if err != nil {
		return fmt.Errorf("read the newest order of ClickHouse: %w", err)
	}
	end, err := pglogrepl.ParseLSN(p.rows[0][1])
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	if m.lag = -1; arrived > 0 {
		m.lag = max(time.Duration(newest-arrived)*time.Millisecond, 0)
	}
	if saved, err := pglogrepl.ParseLSN(m.status.Source.Position); err == nil {
		m.lagBytes = max(int64(end-saved), 0)
	}
	return nil
}

func (m *sample) count(side int, a answer) error {
	for _, row := range a.rows {
		n, err := strconv.Atoi(row[1])
		if err != nil {
			return fmt.Errorf("count table %s: %w", row[0], err)
		}
		pair := m.rows[row[0]]
		pair[side] = n
		m.rows[row[0]] = pair
	}
	return nil
}

// table returns what millrace says about a table of schema public.
func (m *sample) table(name string) web.TableStatus {
	for _, t := range m.status.Tables {
		if t.Source == "public."+name {
			return t
		}
	}
	return web.TableStatus{State: web.Waiting}
}

// pairs returns the lines of the business query, those of equal status next to
// each other; where a side has none it is blank.
func (m *sample) pairs() [][2][]string {
	found := map[string]*[2][]string{}
	for side, a := range m.revenue {
		for _, row := range a.rows {
			if found[row[0]] == nil {
				found[row[0]] = &[2][]string{make([]string, 3), make([]string, 3)}
			}
			found[row[0]][side] = row
		}
	}
	var pairs [][2][]string
	for _, status := range slices.Sorted(maps.Keys(found)) {
		pairs = append(pairs, *found[status])
	}
	return pairs
}

// rate is what a counter has grown in a second since an earlier sample.
func (m *sample) rate(before *sample, of func(*sample) int64) int64 {
	if before == nil {
		return 0
	}
	return int64(float64(of(m)-of(before))/m.at.Sub(before.at).Seconds() + 0.5)
}
