package exchange

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"
)

// HandshakeTime bounds the TLS handshake within the attempt's time.
const HandshakeTime = 10 * time.Second

// past is a deadline that ends what is being read or written.
var past = time.Unix(1, 0)

// conn is one connection of a Client.
type conn struct {
	net.Conn // TLS or plain
	beneath  net.Conn
	socket   syscall.RawConn // nil: there is none to look at
	in       *bufio.Reader   // nil while idle
	address  string
	secure   bool

	// While idle, under the Pool's lock:
	client  *Client
	target  Target
	expires time.Time
	spent   bool // not to be used again, only to be closed later
	places  [2]*place
}

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
	buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, firstWrite)} }}
)

// buffer is room for the first write of a request.
type buffer struct{ b []byte }

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// give returns the buffer, but for one that a large head made grow.
func (b *buffer) give() {
	if cap(b.b) <= 2*firstWrite {
		buffers.Put(b)
	}
}

// connection returns a kept connection that is still open, else a fresh one.
func (c *Client) connection(ctx context.Context, t Target) (cn *conn, kept bool, err error) {
	for {
		cn = c.pool.take(c, t)
		if cn == nil {
			cn, err = c.dial(ctx, t)
			return cn, false, err
		}
		cn.in = readers.Get().(*bufio.Reader)
		cn.in.Reset(cn.Conn)
		if cn.quiet() {
			tell(ctx, cn, true)
			return cn, true, nil
		}
		cn.end()
	}
}

// dial makes a fresh connection, shaking hands where the target is secure.
func (c *Client) dial(ctx context.Context, t Target) (*conn, error) {
	raw, err := c.Dial(ctx, t)
	if err != nil {
		return nil, err
	}
	cn := &conn{Conn: raw, beneath: raw, address: raw.RemoteAddr().String(), secure: t.Secure, client: c, target: t}
	if t.Secure {
		if cn.Conn, err = c.shakeHands(ctx, raw, t.Host); err != nil {
			raw.Close()
			return nil, err
		}
	}
	cn.socket = socketOf(raw)
	cn.in = readers.Get().(*bufio.Reader)
	cn.in.Reset(cn.Conn)
	tell(ctx, cn, false)
	return cn, nil
}

// Dial connects to t through the guard, without a handshake.
func (c *Client) Dial(ctx context.Context, t Target) (net.Conn, error) {
	return c.pool.dial(ctx, "tcp", t.Address())
}

// shakeHands tells the trace of ctx about the handshake as net/http does.
func (c *Client) shakeHands(ctx context.Context, raw net.Conn, host string) (net.Conn, error) {
	limited, cancel := context.WithTimeoutCause(ctx, HandshakeTime, errHandshake)
	defer cancel()
	s := tls.Client(raw, c.TLS(host))
	err := s.HandshakeContext(limited)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = errHandshake
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(s.ConnectionState(), err)
	}
	return s, err
}

var errHandshake = fmt.Errorf("no TLS handshake within %v", HandshakeTime)

func tell(ctx context.Context, cn *conn, kept bool) {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: cn.Conn, Reused: kept})
	}
}

// socketOf finds the socket beneath c, through what wraps it.
func socketOf(c net.Conn) syscall.RawConn {
	for range 8 {
		switch w := c.(type) {
		case syscall.Conn:
			s, err := w.SyscallConn()
			if err != nil {
				return nil
			}
			return s
		case interface{ NetConn() net.Conn }:
			c = w.NetConn()
		default:
			return nil
		}
	}
	return nil
}

// quiet tells whether a kept connection is as it was left: open, and without a
// byte that nobody asked for.
//
// TLS has messages of its own, such as session tickets, and may hold a record
// that came with the last answer, which the socket does not show. The first is
// read here; to tell it from others takes a moment in which nothing else comes.
func (c *conn) quiet() bool {
	if c.secure && !c.silent(past) {
		return false
	}
	for range 4 { // a moment that a busy machine took away shows nothing
		_ = c.SetDeadline(time.Time{}) // of the last exchange; look needs none, too
		if c.socket == nil {
			return true
		}
		waiting, open := look(c.socket)
		if !open || !waiting {
			return open
		}
		if !c.secure || !c.silent(time.Now().Add(time.Millisecond)) {
			return false
		}
	}
	return false
}

// silent tells whether no byte of an answer comes until then. With a time that
// is past, only what was taken from the socket before is looked at.
func (c *conn) silent(until time.Time) bool {
	_ = c.SetReadDeadline(until)
	_, err := c.in.Peek(1)
	return timedOut(err)
}

// cut ends whatever is being read or written. It alone tells a connection that
// ctx has ended: a deadline of ctx's set on it could be met before ctx's own.
func (c *conn) cut() { _ = c.SetDeadline(past) }

// readBy sets the time by which reading must end (zero: none), which a ctx that
// has ended overrules.
func (c *conn) readBy(ctx context.Context, t time.Time) {
	_ = c.SetReadDeadline(t)
	if ctx.Err() != nil { // cut may have come before
		c.cut()
	}
}

// rest gives back what only a connection in use needs.
func (c *conn) rest() {
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
		c.in = nil
	}
}

// end closes the connection without a word: in TLS a farewell could block.
func (c *conn) end() {
	c.beneath.Close()
	c.rest()
}
