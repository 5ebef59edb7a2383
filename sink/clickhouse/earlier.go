package clickhouse

import (
	"context"
	"fmt"
	"time"
)

// earlierPause is the time between two looks at what still runs.
const earlierPause = 100 * time.Millisecond

// AwaitEarlier returns when no statement of an earlier run of this pipeline is
// running. One that was sent before a crash may go on for a while; it must not
// end after the same rows have been written again, and outrank what came after
// them in their transaction. A server on which our user may not see what runs
// is not waited for.
func (t *Target) AwaitEarlier(ctx context.Context) error {
	query := "SELECT count() FROM system.processes WHERE startsWith(query_id, " + Literal(t.ours) +
		") AND NOT startsWith(query_id, " + Literal(t.runID) + ")"
	for first := true; ; first = false {
		running, err := t.number(ctx, "", query)
		if _, raised := exceptionCode(err); raised {
			t.log.Warn("cannot see whether statements of an earlier run still go on", "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for statements of an earlier run: %w", err)
		}
		if running == 0 {
			return nil
		}
		if first {
			t.log.Info("waiting for statements of an earlier run", "running", running)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(earlierPause):
		}
	}
}
