package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/millrace/millrace/source"
)

func TestStandbyInterval(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		0:                maxStandbyInterval, // the server waits without end
		time.Millisecond: minStandbyInterval,
		time.Second:      time.Second / 3,
		time.Minute:      maxStandbyInterval,
		15 * time.Second: 5 * time.Second,
		24 * time.Hour:   maxStandbyInterval,
		-1:               maxStandbyInterval,
	} {
		if got := standbyInterval(timeout); got != want {
			t.Errorf("wal_sender_timeout %s: every %s, want %s", timeout, got, want)
		}
	}
}

func TestSilence(t *testing.T) {
	for _, c := range []struct {
		version       int
		timeout, want time.Duration
	}{
		{15, time.Minute, patience},
		{18, 5 * time.Minute, 10 * time.Minute},
		{14, time.Minute, longPatience},
		{17, 0, longPatience},
	} {
		if got := silence(c.version, c.timeout); got != c.want {
			t.Errorf("version %d, wal_sender_timeout %s: %s, want %s", c.version, c.timeout, got, c.want)
		}
	}
}

// piped returns a stream whose server is the other end of a pipe.
func piped(t *testing.T, h source.Handler) (*standby, *stream, net.Conn) {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	config, err := pgconn.ParseConfig("host=none user=none")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.Construct(&pgconn.HijackedConn{Conn: client, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	st := inTransaction(t, 2, h)
	s := st.source
	st.keep = &standby{conn: conn, acked: &s.acked, wake: s.wake, interval: maxStandbyInterval, patience: patience}
	return st.keep, st, server
}

func TestServerThatTakesNothingIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep, st, _ := piped(t, &quiet{})
		start := time.Now()
		err := converse(t.Context(), keep, st)
		if took := time.Since(start); !errors.Is(err, source.ErrDisconnected) || took != patience {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestCancelWhileTheServerTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep, st, _ := piped(t, &quiet{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := converse(ctx, keep, st)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestSilentServerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep, st, server := piped(t, &quiet{})
		go io.Copy(io.Discard, server)
		start := time.Now()
		err := converse(t.Context(), keep, st)
		if took := time.Since(start); !errors.Is(err, source.ErrDisconnected) || took > patience+2*maxStandbyInterval {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

// A server whose messages nobody takes is not silent, however long.
func TestStandbyIsSentWhileTheHandlerBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := make(chan struct{})
		keep, st, server := piped(t, waiter{opened})
		statuses := make(chan time.Time, 1000)
		go func() {
			for message := make([]byte, 1+4+34); ; {
				if _, err := io.ReadFull(server, message); err != nil {
					return
				}
				statuses <- time.Now()
			}
		}()
		go sendCopyData(server, insertMessage(2))
		ctx, cancel := context.WithTimeout(t.Context(), 10*patience)
		defer cancel()
		if err := converse(ctx, keep, st); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n, want := len(statuses), int(10*patience/maxStandbyInterval); n < want {
			t.Errorf("%d status updates in %s, want %d", n, 10*patience, want)
		}
	})
}

func TestAckIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keep, st, server := piped(t, &quiet{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- converse(ctx, keep, st) }()
		read := func() pglogrepl.LSN {
			message := make([]byte, 1+4+34)
			if _, err := io.ReadFull(server, message); err != nil {
				t.Fatal(err)
			}
			r := reader{data: message[5:]}
			if kind := r.byte(); kind != pglogrepl.StandbyStatusUpdateByteID {
				t.Fatalf("message %q", kind)
			}
			return pglogrepl.LSN(r.uint64())
		}
		if lsn := read(); lsn != 0 {
			t.Errorf("the first status says %s", lsn)
		}
		start := time.Now()
		st.source.Ack(lsnPosition(0x100))
		if lsn := read(); lsn != 0x100 || time.Since(start) > 0 {
			t.Errorf("%s after the acknowledgement the status says %s", time.Since(start), lsn)
		}
		// A keepalive that asks for an answer gets one.
		keepalive := append([]byte{pglogrepl.PrimaryKeepaliveMessageByteID}, make([]byte, 17)...)
		keepalive[17] = 1
		go sendCopyData(server, keepalive)
		if read(); time.Since(start) > 0 {
			t.Errorf("the answer took %s", time.Since(start))
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func sendCopyData(to io.Writer, data []byte) {
	message, _ := (&pgproto3.CopyData{Data: data}).Encode(nil) // it fits
	_, _ = to.Write(message)                                   // the test is over
}

// A waiter is a handler that blocks until it is opened.
type waiter struct{ opened chan struct{} }

func (waiter) Schema(context.Context, *source.Table) error { return nil }
func (waiter) Commit(context.Context, source.Commit) error { return nil }
func (w waiter) Row(ctx context.Context, _ *source.Row) error {
	select {
	case <-w.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
