package sink_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/source"
)

// pauses runs Retry for some time and returns the pauses between its tries.
func pauses(t *testing.T, limit time.Duration) []time.Duration {
	t.Helper()
	var list []time.Duration
	var last time.Time
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err := sink.Retry(ctx, slog.New(slog.DiscardHandler), func() error {
		if !last.IsZero() {
			list = append(list, time.Since(last))
		}
		last = time.Now()
		return fmt.Errorf("insert: %w", errBusy)
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
	return list
}

func TestRetryPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const first, longest = 100 * time.Millisecond, 5 * time.Second
		list := pauses(t, 24*time.Hour) // longer than any default of the library
		if len(list) < 10_000 {
			t.Fatalf("%d tries in a day", len(list))
		}
		if list[0] < first/2 || list[0] > first*3/2 {
			t.Errorf("the first pause is %s", list[0])
		}
		if list[6] < 2*list[0] {
			t.Errorf("pauses %v do not grow", list[:7])
		}
		if top := slices.Max(list); top > longest*3/2 || top < longest {
			t.Errorf("the longest pause is %s", top)
		}
		if slices.Equal(list[:10], pauses(t, time.Hour)[:10]) {
			t.Error("two retries pause alike")
		}
	})
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		table := &sink.TableError{Err: errors.New("gone"), Hint: "bring it back"}
		for _, want := range []error{nil, errBroke, table, context.Canceled} {
			tries := 0
			err := sink.Retry(t.Context(), log, func() error {
				if tries++; tries < 3 {
					return fmt.Errorf("source: %w", source.ErrDisconnected)
				}
				return want
			})
			if !errors.Is(err, want) || tries != 3 {
				t.Errorf("error %v after %d tries, want %v", err, tries, want)
			}
		}
		if text := table.Error(); text != "gone; bring it back" {
			t.Errorf("text %q", text)
		}
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		err := sink.Retry(ctx, log, func() error {
			tries++
			cancel()
			return errBusy
		})
		if !errors.Is(err, context.Canceled) || tries != 1 {
			t.Errorf("error %v after %d tries of a run that has ended", err, tries)
		}
	})
}
