package sourcetest

import (
	"fmt"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/millrace/millrace/position"
)

var positionTests = map[string]func(*bench){
	"gives the suffix":                suffixes,
	"survives a new process":          newProcess,
	"moves on while others write":     idle,
	"is let go when acknowledged":     acknowledged,
	"is not let go before":            unacknowledged,
	"of an earlier one may be gone":   positionGone,
	"of the latest is reached at all": latestIsReached,
}

var sameEvents = cmp.Options{cmpopts.IgnoreUnexported(Event{}), cmpopts.EquateEmpty()}

// suffixes streams again from each position that was told, twice. What a
// transaction's rows are like must not depend on where the stream began, and
// not on what it was told between them.
func suffixes(b *bench) {
	b.createTable("t", "u")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	for i := range 4 {
		b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d, 0, 'v')", i), fmt.Sprintf("CREATE TABLE other%d (id {int})", i))
		f.caughtUp()
		b.transaction(fmt.Sprintf("INSERT INTO t VALUES (%d, 1, 'v')", 10+i), fmt.Sprintf("INSERT INTO u VALUES (%d, 1, 'v')", i),
			fmt.Sprintf("UPDATE t SET n = n + 1 WHERE id <= %d", i))
	}
	b.exec("DELETE FROM t WHERE id = 1", "UPDATE u SET id = 100 WHERE id = 2")
	f.caughtUp()
	all := f.stop()
	if n := len(rowsOf(all, "t")) + len(rowsOf(all, "u")); n != 4+4+4+10+2 {
		b.Fatalf("%d rows", n)
	}
	for i := -1; i < len(all); i++ {
		if i >= 0 {
			if all[i].Op != "COMMIT" {
				continue
			}
			from = all[i].Position
		}
		for range 2 {
			again := changes(b.follow(from, tables))
			if diff := cmp.Diff(changes(all[i+1:]), again, sameEvents); diff != "" {
				b.Fatalf("from event %d, %s (-first +again):\n%.2000s", i, from, diff)
			}
		}
	}
}

func newProcess(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (1, 1, 'v')", "INSERT INTO t VALUES (2, 2, 'v')")
	events := b.follow(from, tables)
	b.src.Ack(changes(events)[1].Position)
	b.open()
	tables = list(b.tables())
	b.exec("INSERT INTO t VALUES (3, 3, 'v')")
	again := b.follow(changes(events)[1].Position, tables)
	if rows := rowsOf(again, "t"); len(rows) != 2 || rows[0].New[0].Text != "2" || rows[0].Version != rowsOf(events, "t")[1].Version {
		b.Errorf("rows 2 and 3 came as %v", rows)
	}
}

// idle writes to another database of the server only.
func idle(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	f.caughtUp()
	other := newBench(b.T, b.env, b.env.Database(b.T))
	other.createTable("t")
	other.fill(other.sql, "t", 0, 5000, noise(100))
	for _, e := range f.caughtUp() {
		if e.Op != "COMMIT" || !e.Idle {
			b.Errorf("%s of table %s, which has no rows", e.Op, e.Table)
		}
	}
	b.exec("INSERT INTO t VALUES (1, 1, 'v')")
	f.caughtUp()
	if rows := rowsOf(f.stop(), "t"); len(rows) != 1 {
		b.Errorf("%d rows instead of one", len(rows))
	}
}

// retained waits until the server keeps its log from a position on.
func (b *bench) retained(from position.Position) {
	b.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		order, ok := b.base.Retained(b.T)
		if !ok {
			b.Skip("the server does not go by readers")
		}
		if order == from.Order {
			return
		}
		if order > from.Order || time.Now().After(deadline) {
			b.Fatalf("the server keeps its log from %d, not from %d", order, from.Order)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func acknowledged(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.retained(from)
	b.exec("INSERT INTO t VALUES (1, 1, 'v')", "INSERT INTO t VALUES (2, 2, 'v')")
	f := b.stream(from, tables, newRecorder())
	events := changes(f.caughtUp())
	for _, i := range []int{1, 3} {
		b.src.Ack(events[i].Position)
		b.retained(events[i].Position)
	}
	f.stop()
}

// unacknowledged reads to the end without an Ack.
func unacknowledged(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	f := b.stream(from, tables, newRecorder())
	for i := range 5 {
		b.exec(fmt.Sprintf("INSERT INTO t VALUES (%d, 0, 'v')", i))
		f.caughtUp()
	}
	f.stop()
	b.retained(from)
	if rows := rowsOf(b.follow(from, tables), "t"); len(rows) != 5 {
		b.Errorf("%d of 5 rows are left", len(rows))
	}
}

// positionGone asks for a log that was let go of.
func positionGone(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.retained(from)
	b.exec("INSERT INTO t VALUES (1, 1, 'v')")
	f := b.stream(from, tables, newRecorder())
	events := f.caughtUp()
	b.src.Ack(events[len(events)-1].Position)
	b.retained(events[len(events)-1].Position)
	f.stop()
	b.open()
	tables = list(b.tables())
	f = b.stream(from, tables, newRecorder())
	if err := f.ended(); err == nil || hint(err) == "" {
		b.Errorf("a position that is gone gives %v, without a hint", err)
	}
}

// latestIsReached asks for the end of a log to which nothing is added.
func latestIsReached(b *bench) {
	b.createTable("t")
	tables, from := b.start()
	b.exec("INSERT INTO t VALUES (1, 1, 'v')", "CREATE TABLE later (id {int})")
	latest, err := b.src.Latest(b.ctx)
	b.must(err)
	start := time.Now()
	f := b.stream(from, tables, newRecorder())
	f.until("the latest position", func(events []Event) bool {
		return len(events) > 0 && events[len(events)-1].Position.Order >= latest.Order
	})
	if took := time.Since(start); took > prompt {
		b.Errorf("the end of an idle log is reached after %s", took)
	}
	f.stop()
}
