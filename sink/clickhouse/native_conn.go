package clickhouse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

const (
	// revision is the protocol that is spoken: the last one before the server
	// sends profile events, and columns in serializations that ch-go does not
	// read. Nothing here needs more.
	revision = int(proto.FeatureQueryStartTime)

	handshakeTimeout = 2 * time.Minute // an idle cloud service wakes up first
	writeTimeout     = 5 * time.Minute // the server reads a block as it comes
	lastWords        = 2 * time.Second // for an exception behind a failed write
)

// errNotNative says that something else than ClickHouse's protocol answered.
var errNotNative = errors.New("the answer is not of ClickHouse's native protocol")

// A nativeConn is one connection of the native protocol, for one query at a
// time. After any error it is to be closed.
//
// Every packet is a code (varint) and what belongs to it. Source: manual,
// "Native protocol".
type nativeConn struct {
	conn     net.Conn
	revision int
	r        *proto.Reader
	w        *bufio.Writer
	frames   *frames // nil: data is not compressed
	blocks   *blockWriter
	packet   proto.Buffer
	result   proto.Result // what data packets are decoded into
}

// connectNative speaks the handshake on a new connection, which it owns.
func connectNative(ctx context.Context, conn net.Conn, d *DSN) (*nativeConn, error) {
	c := &nativeConn{
		conn:     conn,
		revision: revision,
		r:        proto.NewReader(conn),
		w:        bufio.NewWriterSize(deadlineWriter{conn}, 64<<10),
	}
	c.blocks = newBlockWriter(c.w)
	if method, ok := methods[d.Compress]; ok {
		c.frames = newFrames(c.w, method)
		c.blocks = newBlockWriter(c.frames)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	err := c.under(ctx, func() error { return c.handshake(d) })
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// A deadlineWriter gives every write a deadline of its own.
type deadlineWriter struct{ net.Conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// under runs fn and breaks the connection when ctx ends meanwhile.
func (c *nativeConn) under(ctx context.Context, fn func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	err := fn()
	if !stop() && err == nil {
		return ctx.Err()
	}
	return err
}

func (c *nativeConn) handshake(d *DSN) error {
	c.packet.Reset()
	proto.ClientHello{
		Name:            clientName,
		ProtocolVersion: revision,
		Database:        systemDatabase,
		User:            d.User,
		Password:        d.password,
	}.Encode(&c.packet)
	if err := c.send(); err != nil {
		return err
	}
	code, err := c.r.UVarInt()
	if err != nil {
		return fmt.Errorf("read the server's hello: %w", err)
	}
	switch proto.ServerCode(code) {
	case proto.ServerCodeException:
		return c.exception()
	case proto.ServerCodeHello:
	default:
		return errNotNative
	}
	var hello proto.ServerHello
	if err := hello.DecodeAware(c.r, revision); err != nil {
		return fmt.Errorf("read the server's hello: %w", err)
	}
	c.revision = min(revision, hello.Revision)
	return nil
}

// send writes the packet that has been encoded and all that waits before it.
func (c *nativeConn) send() error {
	if _, err := c.w.Write(c.packet.Buf); err != nil {
		return err
	}
	c.packet.Reset()
	return c.w.Flush()
}

// query sends a query, its external table and the end of such tables.
func (c *nativeConn) query(q query) error {
	compression := proto.CompressionDisabled
	if c.frames != nil {
		compression = proto.CompressionEnabled
	}
	c.packet.Reset()
	proto.Query{
		ID:          q.id,
		Body:        q.text,
		Stage:       proto.StageComplete,
		Compression: compression,
		Settings:    q.settings,
		Info: proto.ClientInfo{
			ProtocolVersion: c.revision,
			Interface:       proto.InterfaceTCP,
			Query:           proto.ClientQueryInitial,
			InitialAddress:  c.conn.LocalAddr().String(),
			ClientName:      clientName,
		},
	}.EncodeAware(&c.packet, c.revision)
	if _, err := c.w.Write(c.packet.Buf); err != nil {
		return err
	}
	if len(q.keys) > 0 {
		if err := c.data(keysTable, q.keys); err != nil {
			return err
		}
	}
	return c.data("", nil)
}

// data sends one block, of an external table where one is named. The block
// without columns ends the data.
func (c *nativeConn) data(table string, cols []proto.InputColumn) error {
	c.packet.Reset()
	proto.ClientCodeData.Encode(&c.packet)
	proto.ClientData{TableName: table}.EncodeAware(&c.packet, c.revision)
	if _, err := c.w.Write(c.packet.Buf); err != nil {
		return err
	}
	c.packet.Reset()
	if err := c.blocks.write(c.revision, cols); err != nil {
		return err
	}
	if c.frames != nil {
		if err := c.frames.Flush(); err != nil {
			return err
		}
	}
	return c.w.Flush()
}

// receive reads packets up to the next block of data or the end of the answer.
func (c *nativeConn) receive() (rows int, end bool, err error) {
	for {
		code, err := c.r.UVarInt()
		if err != nil {
			return 0, false, fmt.Errorf("read the server's answer: %w", err)
		}
		switch proto.ServerCode(code) {
		case proto.ServerCodeData:
			rows, err = c.block()
			return rows, false, err
		case proto.ServerCodeEndOfStream:
			return 0, true, nil
		case proto.ServerCodeException:
			return 0, false, c.exception()
		case proto.ServerCodeProgress:
			err = new(proto.Progress).DecodeAware(c.r, c.revision)
		case proto.ServerCodeProfile:
			err = new(proto.Profile).DecodeAware(c.r, c.revision)
		case proto.ServerCodeTableColumns:
			err = new(proto.TableColumns).DecodeAware(c.r, c.revision)
		default:
			err = fmt.Errorf("unexpected packet %d", code)
		}
		if err != nil {
			return 0, false, fmt.Errorf("read the server's answer: %w", err)
		}
	}
}

func (c *nativeConn) block() (rows int, err error) {
	if _, err := c.r.Str(); err != nil { // the name of an external table, empty here
		return 0, fmt.Errorf("read a block: %w", err)
	}
	if c.frames != nil {
		c.r.EnableCompression()
		defer c.r.DisableCompression()
	}
	var b proto.Block
	if err := b.DecodeBlock(c.r, c.revision, c.result); err != nil {
		return 0, fmt.Errorf("read a block: %w", err)
	}
	return b.Rows, nil
}

func (c *nativeConn) exception() error {
	var e proto.Exception
	if err := e.DecodeAware(c.r, c.revision); err != nil {
		return fmt.Errorf("read an exception: %w", err)
	}
	return newServerError(e.Code, e.Message)
}

// insert sends one block and waits until the server has acknowledged it.
func (c *nativeConn) insert(q query, cols []proto.InputColumn) error {
	if err := c.query(q); err != nil {
		return err
	}
	c.result = new(proto.ColInfoInput)
	if _, end, err := c.receive(); err != nil { // the table's header: it is ready
		return err
	} else if end {
		return errors.New("the server ended an insert before its data")
	}
	err := c.data("", cols)
	if err == nil {
		err = c.data("", nil)
	}
	if err != nil {
		return c.explain(err)
	}
	for {
		if _, end, err := c.receive(); end || err != nil {
			return err
		}
	}
}

// explain looks for the exception with which the server broke a write off.
func (c *nativeConn) explain(err error) error {
	if c.conn.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		return err
	}
	var e *ServerError
	if _, _, cause := c.receive(); errors.As(cause, &e) {
		return e
	}
	return err
}

// read runs a SELECT and decodes its blocks into results.
func (c *nativeConn) read(q query, results proto.Results, onBlock func(rows int) error) error {
	if err := c.query(q); err != nil {
		return err
	}
	c.result = results
	for {
		rows, end, err := c.receive()
		if end || err != nil {
			return err
		}
		if rows == 0 {
			continue
		}
		if err := onBlock(rows); err != nil {
			return err
		}
	}
}

func (c *nativeConn) close() { _ = c.conn.Close() }
