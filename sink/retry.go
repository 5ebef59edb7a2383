package sink

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/millrace/millrace/source"
)

// The pauses between two tries.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// Retry calls do until it gives no error, another error than one that may
// pass, or ctx ends. The pauses grow and are jittered; there is no last try.
func Retry(ctx context.Context, log *slog.Logger, do func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do()
		if err != nil && !passes(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	},
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			log.Warn("trying again", "error", err, "pause", pause.Round(time.Millisecond))
		}))
	return err
}

// passes reports whether an error may pass by itself.
func passes(err error) bool {
	var retry *RetryError
	return errors.As(err, &retry) || errors.Is(err, source.ErrDisconnected)
}
