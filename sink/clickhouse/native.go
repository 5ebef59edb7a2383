package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// maxIdle is how many connections wait for the next insert.
const maxIdle = 8

// A wire carries blocks to and from the server. Its methods may be called
// concurrently; their errors are not yet classified.
type wire interface {
	// insert sends one block with an INSERT and waits for its acknowledgement.
	insert(ctx context.Context, q query, cols []proto.InputColumn) error
	// read decodes what a query answers, block by block.
	read(ctx context.Context, q query, results proto.Results, onBlock func(rows int) error) error
	close()
}

// A query is a statement and what goes with it.
type query struct {
	text string
	// id is the query's on the server, which refuses another one of that id for
	// as long as it runs: one that is tried again waits for the end of the try
	// whose answer was lost, and cannot be overtaken by it. "" for any.
	id       string
	settings []proto.Setting
	keys     []proto.InputColumn // the rows of a table keysTable that exists for this query
}

const keysTable = "_keys"

// native is the wire of the native protocol: a pool of connections.
type native struct {
	dsn    *DSN
	dialer dialer
	log    *slog.Logger

	mu     sync.Mutex
	idle   []*nativeConn // the last one was used last
	host   int           // index of the host that answered last
	closed bool
}

func newNative(d *DSN, tlsConfig *tls.Config, log *slog.Logger) *native {
	return &native{dsn: d, dialer: newDialer(d, tlsConfig), log: log}
}

func (n *native) insert(ctx context.Context, q query, cols []proto.InputColumn) error {
	return n.with(ctx, func(c *nativeConn) error { return c.insert(q, cols) })
}

func (n *native) read(ctx context.Context, q query, results proto.Results, onBlock func(rows int) error) error {
	return n.with(ctx, func(c *nativeConn) error { return c.read(q, results, onBlock) })
}

// with lends fn a connection, which goes back to the pool unless it failed.
func (n *native) with(ctx context.Context, fn func(*nativeConn) error) error {
	c, err := n.get(ctx)
	if err != nil {
		return err
	}
	if err := c.under(ctx, func() error { return fn(c) }); err != nil {
		c.close()
		if isNetwork(err) { // the server went away, so the idle ones are dead too
			n.drain()
		}
		return err
	}
	n.put(c)
	return nil
}

func (n *native) get(ctx context.Context) (*nativeConn, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, net.ErrClosed
	}
	if last := len(n.idle) - 1; last >= 0 {
		c := n.idle[last]
		n.idle = n.idle[:last]
		n.mu.Unlock()
		return c, nil
	}
	first := n.host
	n.mu.Unlock()
	return n.dial(ctx, first)
}

// dial tries all hosts, the one that answered last first. A host that answers
// with an exception is not passed over: the others would say the same.
func (n *native) dial(ctx context.Context, first int) (*nativeConn, error) {
	var errs []error
	for i := range n.dsn.Hosts {
		host := (first + i) % len(n.dsn.Hosts)
		c, err := n.dialHost(ctx, n.dsn.Hosts[host])
		if err == nil {
			n.mu.Lock()
			n.host = host
			n.mu.Unlock()
			logFailover(n.log, n.dsn.Hosts[host], errs)
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || !isNetwork(err) {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// logFailover tells that a host answered after others did not.
func logFailover(log *slog.Logger, host string, errs []error) {
	if len(errs) > 0 {
		log.Warn("using another ClickHouse host", "host", host, "error", errors.Join(errs...))
	}
}

func (n *native) dialHost(ctx context.Context, addr string) (*nativeConn, error) {
	conn, err := n.dialer(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	c, err := connectNative(ctx, conn, n.dsn)
	if err != nil {
		return nil, fmt.Errorf("log in at %s: %w", addr, err)
	}
	return c, nil
}

func (n *native) put(c *nativeConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.idle) >= maxIdle {
		c.close()
		return
	}
	n.idle = append(n.idle, c)
}

func (n *native) drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.idle {
		c.close()
	}
	n.idle = nil
}

func (n *native) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.drain()
}

// A dialer opens a connection, encrypted where the DSN says so.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

func newDialer(d *DSN, tlsConfig *tls.Config) dialer {
	plain := &net.Dialer{
		Timeout: d.DialTimeout,
		// A server that vanished is noticed while an insert waits for its reply.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6},
	}
	if tlsConfig == nil {
		return plain.DialContext
	}
	return (&tls.Dialer{NetDialer: plain, Config: tlsConfig}).DialContext
}
