package clickhouse

import (
	"errors"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/millrace/millrace/internal/testenv"
	"github.com/millrace/millrace/sink"
)

// A statement whose answer was lost may still run. One that is tried again must
// not get in before it: an insert that ends late would outrank rows of its
// version that came after, and a TRUNCATE would remove them.
func TestNoStatementOvertakesItsRepetition(t *testing.T) {
	eachWire(t, func(t *testing.T, ch *testenv.CH, target *Target) {
		create(t, target, plan("t", "id Int32"))
		for name, test := range map[string]struct {
			id  string
			try func() error
		}{
			"insert": {target.runID + "1", func() error {
				return target.Insert(t.Context(), "t", "1", append(own(t, 1, 1), col(t, "id", "Int32", i64(1))))
			}},
			"truncate": {target.runID + "-truncate-t", func() error { return target.Truncate(t.Context(), "t") }},
		} {
			end := occupy(t, ch, target, test.id)
			var again *sink.RetryError
			var server *ServerError
			if err := test.try(); !errors.As(err, &again) || !errors.As(err, &server) || server.Code != proto.ErrQueryWithSameIDIsAlreadyRunning {
				t.Errorf("%s beside itself: %v", name, err)
			}
			end()
			eventually(t, func() bool { return test.try() == nil })
		}
	})
}

// A run waits for what an earlier one has sent, not for its own statements or
// those of others.
func TestAwaitEarlier(t *testing.T) {
	ch := testenv.ClickHouse(t)
	target := open(t, ch.DSN(""))
	target.ours, target.runID = "millrace/shop/", "millrace/shop/2/"
	ended := make(chan error, 1)
	wait := func() { ended <- target.AwaitEarlier(t.Context()) }
	for _, id := range []string{"millrace/shop/2/a", "millrace/shop2/1/a", "other"} {
		end := occupy(t, ch, target, id)
		wait()
		if err := <-ended; err != nil {
			t.Errorf("beside %s: %v", id, err)
		}
		end()
	}
	end := occupy(t, ch, target, "millrace/shop/1/a")
	go wait()
	select {
	case err := <-ended:
		t.Errorf("an earlier run's statement was not waited for: %v", err)
	case <-time.After(5 * earlierPause):
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// occupy runs a query of some id until it is told to end.
func occupy(t *testing.T, ch *testenv.CH, target *Target, id string) (end func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sleep := "SELECT sleepEachRow(0.05) FROM numbers(1200) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
		_ = target.read(t.Context(), "", query{text: sleep, id: id}, proto.Results{{Data: new(proto.ColUInt8)}}, func(int) error { return nil })
	}()
	eventually(t, func() bool {
		n, err := target.number(t.Context(), "", "SELECT count() FROM system.processes WHERE query_id = "+Literal(id))
		return err == nil && n == 1
	})
	return func() {
		ch.Query(t, "KILL QUERY WHERE query_id = "+Literal(id)+" SYNC")
		<-done
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, met func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-deadline:
			t.Fatal("waited too long")
		case <-tick.C:
		}
	}
}
