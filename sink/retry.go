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

// noteInterval is how often a long outage is logged.
const noteInterval = 10 * time.Second

// Retry calls do until it gives no error, another error than one that may
// pass, or ctx ends. The pauses grow and are jittered; there is no last try.
// It logs the first failure, one now and then, and the end of the trouble.
func Retry(ctx context.Context, log *slog.Logger, do func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = firstPause, longestPause
	var since, noted time.Time
	tries := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		err := do()
		if err != nil && !passes(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	},
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, _ time.Duration) {
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(noted) >= noteInterval {
				noted = time.Now()
				log.Warn("trying again until it works", "error", err, "tries", tries)
			}
		}))
	if err == nil && tries > 1 {
		log.Info("it works again", "after", time.Since(since).Round(time.Millisecond), "tries", tries)
	}
	return err
}

// passes reports whether an error may pass by itself.
func passes(err error) bool {
	var retry *RetryError
	return errors.As(err, &retry) || errors.Is(err, source.ErrDisconnected)
}
