package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/test/rig"
)

// perTransaction is how many inserts a transaction of the log holds.
const perTransaction = 100

const columns = "id, account, amount, status, note, created_at, active, ref"

// create makes a table of eight columns as they stand in many.
func create(table string) string {
	return "CREATE TABLE " + table + ` (
		id bigint PRIMARY KEY, account integer NOT NULL, amount numeric(12, 2) NOT NULL, status text NOT NULL, note text,
		created_at timestamptz NOT NULL, active boolean NOT NULL, ref uuid NOT NULL)`
}

// values are the rows of the numbers from first to last.
func values(first, last string) string {
	return `SELECT n, n % 10007, (n % 1000000) / 100.0, (ARRAY['new', 'paid', 'shipped', 'delivered'])[1 + n % 4],
		CASE WHEN n % 3 > 0 THEN 'note of row ' || n END, timestamptz '2024-01-01 UTC' + n * interval '37 seconds',
		n % 2 = 0, md5(n::text)::uuid FROM generate_series(` + first + ", " + last + ") n"
}

// A series is the same work done several times.
type series struct {
	rows  int
	runs  []rig.Usage
	rival []time.Duration // ClickHouse's own way, one after each run
}

// snapshots copies a table with millrace and with ClickHouse's own postgresql()
// in turns, so that a machine that gets slower does so for both.
func (b *bench) snapshots(ctx context.Context) (*series, error) {
	if err := b.exec(ctx, create("big"), "INSERT INTO big "+values("1", fmt.Sprint(b.rows)), "VACUUM ANALYZE big", "CHECKPOINT"); err != nil {
		return nil, err
	}
	s := &series{rows: b.rows}
	for round := range b.rounds {
		note("snapshot: %d rows, round %d of %d", b.rows, round+1, b.rounds)
		name := fmt.Sprintf("snapshot_%d", round)
		usage, err := b.once(ctx, name, "big", b.rows)
		if err != nil {
			return nil, err
		}
		if err := b.drop(ctx, name); err != nil {
			return nil, err
		}
		own, err := b.ownWay(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("copy with ClickHouse's postgresql(): %w", err)
		}
		s.runs, s.rival = append(s.runs, usage), append(s.rival, own)
		if err := b.clickhouse.Exec(ctx, "DROP DATABASE "+name); err != nil {
			return nil, fmt.Errorf("drop database %s: %w", name, err)
		}
	}
	return s, nil
}

// ownWay has ClickHouse fetch the table into one of the same kind.
func (b *bench) ownWay(ctx context.Context, target string) (time.Duration, error) {
	if err := b.clickhouse.Exec(ctx, fmt.Sprintf("CREATE TABLE %s.own AS %[1]s.big", target)); err != nil {
		return 0, err
	}
	start := time.Now()
	err := b.clickhouse.Exec(ctx, fmt.Sprintf("INSERT INTO %s.own (%s) SELECT %[2]s FROM postgresql('127.0.0.1:%d', '%s', 'big', 'postgres', '')",
		target, columns, b.pg.Port(), database))
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	// Two that did not write the same have not done the same work.
	var left, right uint64
	for table, sum := range map[string]*uint64{"own": &left, "big": &right} {
		query := fmt.Sprintf("SELECT sum(cityHash64(%s)) FROM %s.%s FINAL", columns, target, table)
		if err := b.clickhouse.QueryRow(ctx, query).Scan(sum); err != nil {
			return 0, fmt.Errorf("add up %s.%s: %w", target, table, err)
		}
	}
	if left != right {
		return 0, fmt.Errorf("%s.own and %[1]s.big differ", target)
	}
	return took, nil
}

// streams has millrace read inserts that are in the log when it starts.
func (b *bench) streams(ctx context.Context) (*series, error) {
	err := b.exec(ctx, create("busy"), `CREATE PROCEDURE fill(first bigint, last bigint) LANGUAGE plpgsql AS $$ BEGIN
		FOR start IN first .. last BY `+fmt.Sprint(perTransaction)+` LOOP
			INSERT INTO busy `+values("start", fmt.Sprintf("least(start + %d, last)", perTransaction-1))+`;
			COMMIT;
		END LOOP;
	END $$`)
	if err != nil {
		return nil, err
	}
	const name = "stream"
	if _, err := b.once(ctx, name, "busy", 0); err != nil { // from here the log is kept
		return nil, err
	}
	s := &series{rows: max(b.rows/2, 1)}
	for round := range b.rounds {
		note("stream: %d rows, round %d of %d", s.rows, round+1, b.rounds)
		if err := b.exec(ctx, fmt.Sprintf("CALL fill(%d, %d)", round*s.rows+1, (round+1)*s.rows)); err != nil {
			return nil, err
		}
		usage, err := b.once(ctx, name, "busy", (round+1)*s.rows)
		if err != nil {
			return nil, err
		}
		s.runs = append(s.runs, usage)
	}
	return s, b.drop(ctx, name)
}

// throughput is the result as a table: medians, and from the least to the most.
func throughput(snapshot, stream *series) string {
	var b strings.Builder
	b.WriteString("| whole runs, from start to end | rows/s | CPU of millrace | its peak memory |\n|---|--:|--:|--:|\n")
	fmt.Fprintf(&b, "| snapshot of %s rows, 8 columns | %s | %s | %s |\n",
		thousands(snapshot.rows), snapshot.rate(), snapshot.cpu(), snapshot.peak())
	fmt.Fprintf(&b, "| the same by ClickHouse's `INSERT … SELECT … FROM postgresql(…)` | %s | | |\n",
		span(snapshot.rivalRates(), count))
	fmt.Fprintf(&b, "| ratio, millrace to ClickHouse's own | %s | | |\n", span(snapshot.ratios(), decimals))
	fmt.Fprintf(&b, "| stream of %s inserts, %d a transaction, 8 columns | %s | %s | %s |\n",
		thousands(stream.rows), perTransaction, stream.rate(), stream.cpu(), stream.peak())
	return b.String()
}
