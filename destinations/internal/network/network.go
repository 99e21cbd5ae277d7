// Package network is the engine's network as one destination uses it, which can
// end all connections that the destination has.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Network carries connections and ends those that are left when it is closed:
// PostgreSQL's driver tidies up after a cancelled query for up to 15 s, and
// net/http goes on setting up those that nobody waits for any more.
type Network struct {
	dial destination.DialFunc
	end  context.Context
	stop context.CancelFunc

	mu   sync.Mutex
	open map[net.Conn]bool
}

// New returns a Network that dials with dial.
func New(dial destination.DialFunc) *Network {
	n := &Network{dial: dial, open: map[net.Conn]bool{}}
	n.end, n.stop = context.WithCancel(context.Background())
	return n
}

// Dial is a destination.DialFunc. Drivers call it in goroutines of their own, too,
// to cancel a query, where a panic would end the process.
func (n *Network) Dial(ctx context.Context, kind, address string) (c net.Conn, err error) {
	err = destination.Guard(func() (err error) { c, err = n.connect(ctx, kind, address); return err })
	return c, err
}

func (n *Network) connect(ctx context.Context, kind, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.end, cancel)()
	if n.dial == nil {
		return nil, errors.New("the engine lends no network")
	}
	c, err := n.dial(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	own := &line{Conn: c, of: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.end.Err() != nil {
		c.Close()
		return nil, fmt.Errorf("connect to %s: %w", address, net.ErrClosed)
	}
	n.open[own] = true
	return own, nil
}

// Close ends all connections.
func (n *Network) Close() {
	n.stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		c.(*line).Conn.Close()
	}
}

const (
	// IdleTime is how long a connection to a database is kept without use: it has few.
	IdleTime = 30 * time.Second
	// Lifetime is how old such a connection grows: new ones follow a change of the
	// name's address, or of roles behind a balancer.
	Lifetime = 30 * time.Minute
)

// Lease is how many bytes a connection may bring until it is lent anew. What we
// ask databases for is answered with some kilobytes; a trigger may add a notice for
// each of thousands of rows.
const Lease = 8 << 20

// Lend begins a new account of the bytes of c, a connection of a Network, within
// TLS and others around it or without.
func Lend(c net.Conn) {
	for {
		around, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = around.NetConn()
	}
	if l, ok := c.(*line); ok {
		l.spent.Store(0)
	}
}

// line is one connection. It counts what it brings, whoever reads: drivers do so in
// the background, too, and keep it all.
type line struct {
	net.Conn
	of    *Network
	spent atomic.Int64
}

var errSpent = fmt.Errorf("the server sent more than %d bytes for one attempt", Lease)

func (l *line) Read(p []byte) (int, error) {
	if l.spent.Load() > Lease {
		return 0, errSpent
	}
	n, err := l.Conn.Read(p)
	l.spent.Add(int64(n))
	return n, err
}

func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}
