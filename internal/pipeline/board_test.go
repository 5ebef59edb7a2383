package pipeline

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/mapper"
	"github.com/millrace/millrace/position"
)

func boardPlace(order uint64) position.Position {
	return position.Position{Order: order, Text: fmt.Sprint(order)}
}

// lagOf checks what the board tells.
func lagOf(t *testing.T, b *board, when string, bytes int64, seconds float64) {
	t.Helper()
	s := b.Status().Source
	if s.LagBytes != bytes || s.LagSeconds != seconds {
		t.Errorf("%s: %d bytes and %v s behind, want %d and %v", when, s.LagBytes, s.LagSeconds, bytes, seconds)
	}
}

func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard("shop", "postgres")
		b.setLatest(boardPlace(100))
		lagOf(t, b, "nothing saved yet", 0, 0)

		b.setSaved(boardPlace(90))
		time.Sleep(5 * time.Second)
		lagOf(t, b, "a run that begins behind", 10, 5)

		b.flushed(&mapper.Batch{CommitTime: time.Now().Add(-time.Minute)}, boardPlace(95))
		lagOf(t, b, "a transaction of a minute ago", 5, 60)

		b.flushed(&mapper.Batch{}, boardPlace(97))
		lagOf(t, b, "moved on without a transaction", 3, 60)

		b.flushed(&mapper.Batch{CommitTime: time.Now().Add(-time.Second)}, boardPlace(110))
		lagOf(t, b, "past the end that was seen", 0, 0)
		if s := b.Status().Source; s.Position != "110" || s.Latest != "110" {
			t.Errorf("at %s of %s", s.Position, s.Latest)
		}

		time.Sleep(time.Hour)
		b.setLatest(boardPlace(110))
		time.Sleep(2 * time.Second)
		b.setLatest(boardPlace(120))
		lagOf(t, b, "the first change after an hour", 10, 2)
	})
}
