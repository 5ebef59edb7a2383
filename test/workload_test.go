package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// seed returns the seed of a test's random choices, which MILLRACE_TEST_SEED
// repeats.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := rand.Uint64()
	if text := os.Getenv("MILLRACE_TEST_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MILLRACE_TEST_SEED: %v", err)
		}
	}
	t.Logf("MILLRACE_TEST_SEED=%d", n)
	return n
}

// The tables that a workload writes to. The long values lie out of line, so
// that updates which leave them alone do not log them.
var (
	workloadTables = []string{"plain", "pair", "whole"}
	workloadSchema = []string{
		`CREATE TABLE plain (id int PRIMARY KEY, n bigint, big text);
		 ALTER TABLE plain ALTER big SET STORAGE EXTERNAL`,
		`CREATE TABLE pair (a int, b text, v numeric(12, 3), at timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (a, b))`,
		`CREATE TABLE whole (id int PRIMARY KEY, n int, big text);
		 ALTER TABLE whole ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL`,
		`CREATE FUNCTION noise(kb int) RETURNS text LANGUAGE sql VOLATILE AS
		 $$ SELECT string_agg(md5(random()::text), '') FROM generate_series(1, kb * 32) $$`,
		`INSERT INTO plain SELECT i, i, noise(3) FROM generate_series(1, 100) i`,
		`INSERT INTO pair SELECT i % 10, i::text, i FROM generate_series(1, 100) i`,
		`INSERT INTO whole SELECT i, i, noise(3) FROM generate_series(1, 50) i`,
	}
)

// A workload writes random transactions until it is stopped. Statements that
// fail, for unique keys or deadlocks, are rolled back.
type workload struct {
	dsn       string
	committed atomic.Int64
	stopping  chan struct{}
	writers   sync.WaitGroup
}

// workload starts writers, each of which begins a transaction every pause.
func (r *rig) workload(seed uint64, writers int, pause time.Duration) *workload {
	w := &workload{dsn: r.source, stopping: make(chan struct{})}
	for i := range writers {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		w.writers.Go(func() { w.run(rng, pause) })
	}
	var once sync.Once
	r.t.Cleanup(func() { once.Do(w.stop) })
	return w
}

// stop ends the writers and waits for them.
func (w *workload) stop() {
	select {
	case <-w.stopping:
	default:
		close(w.stopping)
	}
	w.writers.Wait()
}

func (w *workload) run(rng *rand.Rand, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	ctx := context.Background()
	var conn *pgx.Conn
	for {
		select {
		case <-w.stopping:
			if conn != nil {
				conn.Close(ctx)
			}
			return
		case <-tick.C:
		}
		if conn == nil || conn.IsClosed() {
			// The server may be down: it is tried again.
			if conn, _ = pgx.Connect(ctx, w.dsn); conn == nil {
				continue
			}
		}
		if w.transaction(ctx, conn, rng) {
			w.committed.Add(1)
		}
	}
}

// transaction reports whether it committed.
func (w *workload) transaction(ctx context.Context, conn *pgx.Conn, rng *rand.Rand) bool {
	do := func(sql string) bool {
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol)
		return err == nil
	}
	if !do("BEGIN") {
		return false
	}
	for range 1 + rng.IntN(6) {
		if !do("SAVEPOINT s") {
			break
		}
		if !do(change(rng)) || rng.IntN(8) == 0 {
			do("ROLLBACK TO s")
		}
	}
	if rng.IntN(10) == 0 {
		do("ROLLBACK")
		return false
	}
	return do("COMMIT") && conn.PgConn().TxStatus() == 'I'
}

// change is a random statement.
func change(rng *rand.Rand) string {
	id := func() int { return 1 + rng.IntN(120) }
	switch n := rng.IntN(200); {
	case n == 0:
		return "TRUNCATE " + []string{"plain", "pair", "whole", "plain, whole"}[rng.IntN(4)]
	case n < 30:
		return fmt.Sprintf("INSERT INTO plain VALUES (%d, %d, noise(%d)) ON CONFLICT (id) DO UPDATE SET n = excluded.n", id(), rng.IntN(1000), rng.IntN(4))
	case n < 40:
		return fmt.Sprintf("INSERT INTO plain SELECT i, i, noise(3) FROM generate_series(%d, 120) i ON CONFLICT DO NOTHING", id())
	case n < 65:
		return fmt.Sprintf("UPDATE plain SET n = n + 1 WHERE id = %d", id())
	case n < 80:
		return fmt.Sprintf("UPDATE plain SET id = %d WHERE id = %d", id(), id())
	case n < 90:
		return fmt.Sprintf("UPDATE plain SET id = id + %d WHERE id BETWEEN %d AND %[2]d + 3", 1+rng.IntN(5), id())
	case n < 96:
		a, b := id(), id()
		return fmt.Sprintf("UPDATE plain SET id = -1 WHERE id = %d; UPDATE plain SET id = %[1]d WHERE id = %d; UPDATE plain SET id = %[2]d WHERE id = -1", a, b)
	case n < 100:
		return fmt.Sprintf("UPDATE plain SET n = -n WHERE id %% 7 = %d", rng.IntN(7))
	case n < 110:
		return fmt.Sprintf("UPDATE plain SET big = noise(%d) WHERE id = %d", rng.IntN(5), id())
	case n < 125:
		return fmt.Sprintf("DELETE FROM plain WHERE id = %d", id())
	case n < 140:
		return fmt.Sprintf("INSERT INTO pair VALUES (%d, '%d', %d.5) ON CONFLICT DO NOTHING", rng.IntN(10), id(), id())
	case n < 150:
		return fmt.Sprintf("UPDATE pair SET v = v + 0.001, at = clock_timestamp() WHERE a = %d", rng.IntN(10))
	case n < 160:
		return fmt.Sprintf("UPDATE pair SET a = %d WHERE a = %d AND b = '%d'", rng.IntN(10), rng.IntN(10), id())
	case n < 168:
		return fmt.Sprintf("DELETE FROM pair WHERE b = '%d'", id())
	case n < 178:
		return fmt.Sprintf("INSERT INTO whole VALUES (%d, 0, noise(3)) ON CONFLICT (id) DO UPDATE SET n = whole.n + 1", id())
	case n < 188:
		return fmt.Sprintf("UPDATE whole SET id = %d WHERE id = %d", id(), id())
	case n < 194:
		return fmt.Sprintf("UPDATE whole SET n = n + 1 WHERE id < %d", id())
	default:
		return fmt.Sprintf("DELETE FROM whole WHERE id = %d", id())
	}
}
