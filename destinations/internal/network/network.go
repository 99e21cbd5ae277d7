// Package network is the engine's network as one destination uses it, which can
// end all connections that the destination has.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

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

// Dial is a destination.DialFunc.
func (n *Network) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
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
	own := &line{c, n}
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

// line is one connection.
type line struct {
	net.Conn
	of *Network
}

func (l *line) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}
