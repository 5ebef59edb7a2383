package sourcetest

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/position"
	"github.com/millrace/millrace/source"
)

// A following is a Stream that runs.
type following struct {
	*bench
	from   position.Position
	rec    *recorder
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

// stream calls Stream. The server may take a moment to let go of the stream
// before this one.
func (b *bench) stream(from position.Position, tables []*source.Table, rec *recorder) *following {
	ctx, cancel := context.WithCancel(b.ctx)
	f := &following{bench: b, from: from, rec: rec, cancel: cancel, done: make(chan struct{})}
	src := b.src
	go func() {
		defer close(f.done)
		for {
			f.err = src.Stream(ctx, from, tables, rec)
			if events, _, _ := rec.look(); !errors.Is(f.err, source.ErrDisconnected) || len(events) > 0 {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	b.Cleanup(func() { cancel(); <-f.done })
	return f
}

// until waits until the events are so.
func (f *following) until(what string, so func([]Event) bool) []Event {
	f.Helper()
	for {
		events, changed, err := f.rec.look()
		f.must(err)
		if so(events) {
			return events
		}
		select {
		case <-changed:
		case <-f.done:
			f.Fatalf("the stream ended before %s: %v", what, f.err)
		case <-f.ctx.Done():
			f.Fatalf("waited too long for %s; %d events", what, len(events))
		}
	}
}

// caughtUp waits until the log is read up to where it is now.
func (f *following) caughtUp() []Event {
	f.Helper()
	latest, err := f.src.Latest(f.ctx)
	f.must(err)
	return f.until("position "+latest.String(), func(events []Event) bool {
		return f.from.Order >= latest.Order || len(events) > 0 && events[len(events)-1].Position.Order >= latest.Order
	})
}

// stop ends the stream and returns its events.
func (f *following) stop() []Event {
	f.Helper()
	f.cancel()
	if err := f.ended(); !errors.Is(err, context.Canceled) {
		f.Errorf("a stream that was cancelled returned %v", err)
	}
	return f.recorded(f.rec)
}

// ended waits for the end of the stream, which must come at once.
func (f *following) ended() error {
	f.Helper()
	select {
	case <-f.done:
	case <-time.After(prompt):
		f.Fatalf("the stream has not ended after %s", prompt)
	}
	return f.err
}

// follow streams from a position up to where the log is now.
func (b *bench) follow(from position.Position, tables []*source.Table) []Event {
	b.Helper()
	f := b.stream(from, tables, newRecorder())
	f.caughtUp()
	return f.stop()
}
