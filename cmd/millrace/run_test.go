package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestInterrupted(t *testing.T) {
	cause := errors.New("interrupt signal received")
	ended, end := context.WithCancelCause(t.Context())
	end(cause)
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		ctx  context.Context
		once bool
		err  error
		code int
	}{
		"came to its end":           {t.Context(), true, nil, exitDone},
		"broke":                     {t.Context(), false, broken, exitFailed},
		"told to end":               {ended, false, nil, exitDone},
		"told to end while waiting": {ended, false, fmt.Errorf("connect: %w", cause), exitDone},
		"told to end, the context":  {ended, false, context.Canceled, exitDone},
		"broke when told to end":    {ended, false, broken, exitFailed},
		"told to end too early":     {ended, true, nil, exitFailed},
		"once, while waiting":       {ended, true, cause, exitFailed},
	} {
		if got := exitCode(interrupted(c.ctx, c.once, c.err)); got != c.code {
			t.Errorf("%s: exit code %d, want %d", name, got, c.code)
		}
	}
}
