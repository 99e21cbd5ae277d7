// Package inbound stands between the network and net/http's server: it bounds how
// many connections are open, and sees what the server hides of a request's framing.
package inbound

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// Limit bounds the connections of all listeners that share it. At the bound, a new connection
// takes the place of the one that has been idle for longest: between two requests, or before a
// whole head has come. A connection with a request is never closed; when all have one, new
// connections wait to be accepted.
type Limit struct {
	max int

	mu      sync.Mutex
	room    sync.Cond // there may be a place now, or a listener was closed
	open    int
	idle    list.List // of *conn, the longest idle first
	evicted uint64

	smuggled atomic.Uint64
}

// NewLimit returns a limit of most connections, at least one.
func NewLimit(most int) *Limit {
	l := &Limit{max: max(most, 1)}
	l.room.L = &l.mu
	return l
}

// Max is how many connections may be open.
func (l *Limit) Max() int { return l.max }

// Open is how many connections are open.
func (l *Limit) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Evicted is how many idle connections were closed to make room.
func (l *Limit) Evicted() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.evicted
}

// TwoLengths is how many requests were refused for having two lengths.
func (l *Limit) TwoLengths() uint64 { return l.smuggled.Load() }

// Serve puts connections of in under the limit. It returns the listener that server must serve,
// by Serve even when it has a TLSConfig. It must be called before the server runs, and sets the
// server's ConnState, ConnContext and Handler.
func (l *Limit) Serve(server *http.Server, in net.Listener) net.Listener {
	server.ConnState = l.state
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, c)
	}
	server.Handler = l.oneLength(server.Handler)
	limited := &listener{Listener: in, limit: l}
	if server.TLSConfig != nil {
		return secured(limited, server)
	}
	return plain{limited}
}

type listener struct {
	net.Listener
	limit  *Limit
	closed bool // guarded by limit.mu
}

// Accept accepts first and makes room afterwards, so that no connection is closed for
// a new one that never comes.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, limit: l.limit}
	if !l.limit.admit(c, &l.closed) {
		inner.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *listener) Close() error {
	l.limit.mu.Lock()
	l.closed = true
	l.limit.room.Broadcast()
	l.limit.mu.Unlock()
	return l.Listener.Close()
}

// admit counts c in, as idle, and is false when its listener was closed meanwhile.
func (l *Limit) admit(c *conn, closed *bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.max {
		longest := l.idle.Front()
		switch {
		case *closed:
			return false
		case longest == nil:
			l.room.Wait()
		default:
			victim := longest.Value.(*conn)
			l.evicted++
			l.busy(victim)
			l.mu.Unlock()
			victim.Close()
			l.mu.Lock()
		}
	}
	l.open++
	c.place = l.idle.PushBack(c)
	return true
}

// state is called by the server. A connection is new, or idle, until a request's whole head has
// come.
func (l *Limit) state(nc net.Conn, s http.ConnState) {
	c := ours(nc)
	if c == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch s {
	case http.StateActive, http.StateHijacked:
		l.busy(c)
	case http.StateIdle:
		if l.busy(c); !c.left {
			c.place = l.idle.PushBack(c)
			l.room.Broadcast()
		}
	}
}

// busy takes c off the list of those that may be closed.
func (l *Limit) busy(c *conn) {
	if c.place != nil {
		l.idle.Remove(c.place)
		c.place = nil
	}
}

// leave counts c out, once.
func (l *Limit) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.left {
		return
	}
	c.left = true
	l.busy(c)
	if c.outside == 0 {
		l.open--
	}
	l.room.Broadcast()
}

// Outside stops counting the connection of a request until back is called: an answer that goes
// on for hours takes no place from others. The caller must bound how many of those there are.
func Outside(request context.Context) (back func()) {
	of, _ := request.Value(connKey{}).(net.Conn)
	c := ours(of)
	if c == nil {
		return func() {}
	}
	count := func(by int) {
		l := c.limit
		l.mu.Lock()
		defer l.mu.Unlock()
		was := c.outside
		c.outside += by
		switch {
		case c.left:
		case was == 0:
			l.open--
			l.room.Broadcast()
		case c.outside == 0:
			l.open++
		}
	}
	count(1)
	return func() { count(-1) }
}

// conn is a connection that counts.
type conn struct {
	net.Conn
	limit *Limit
	place *list.Element // in limit.idle; nil: in a request, or closed
	left  bool          // counted out

	outside int // requests that asked for it: not counted while there are any
}

type connKey struct{}

// ours finds our connection below the one that the server has.
func ours(c net.Conn) *conn {
	for {
		switch at := c.(type) {
		case *conn:
			return at
		case interface{ NetConn() net.Conn }:
			c = at.NetConn()
		default:
			return nil
		}
	}
}

func (c *conn) Close() error {
	err := c.Conn.Close()
	c.limit.leave(c)
	return err
}
