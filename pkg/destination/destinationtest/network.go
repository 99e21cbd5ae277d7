package destinationtest

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// network carries every connection of the destination under test. Each goes
// through a relay of its own, over real sockets, so that deadlines and closing
// behave as they do in life.
type network struct {
	mu     sync.Mutex
	wake   *sync.Cond // on every change below
	lines  map[*line]bool
	dials  int
	refuse bool // no connection is accepted
	vanish bool // no connection is answered
	stall  bool // nothing gets through
	held   bool // something was held up since stalling
	closed bool
	gone   chan struct{} // closed with the network
	relays sync.WaitGroup
}

// line is one connection: near is the relay's end to the destination, far the one to the far side.
type line struct{ near, far *net.TCPConn }

func newNetwork() *network {
	n := &network{lines: map[*line]bool{}, gone: make(chan struct{})}
	n.wake = sync.NewCond(&n.mu)
	return n
}

// change sets the state of the network under its lock.
func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	n.wake.Broadcast()
}

// dial is a destination.DialFunc.
func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	refuse, vanish := n.refuse || n.closed, n.vanish
	if vanish {
		n.held = true
		n.wake.Broadcast()
	}
	n.mu.Unlock()
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: kind, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	if vanish {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-n.gone:
			return nil, errors.New("dial: the network is gone")
		}
	}
	var d net.Dialer
	far, err := d.DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	mine, near, err := pair()
	if err != nil {
		far.Close()
		return nil, err
	}
	l := &line{near, far.(*net.TCPConn)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines[l] = true
	n.relays.Go(func() { n.relay(l) })
	return mine, nil
}

// pair returns the two ends of a connection on loopback.
func pair() (a, b *net.TCPConn, err error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	if a, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		return nil, nil, err
	}
	if b, err = l.AcceptTCP(); err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// relay carries both directions until the destination's end is closed.
func (n *network) relay(l *line) {
	var back sync.WaitGroup
	back.Go(func() {
		n.carry(l, l.near, l.far)
		l.near.CloseWrite()
	})
	n.carry(l, l.far, l.near)
	l.far.Close()
	l.near.Close()
	back.Wait()
	n.change(func() { delete(n.lines, l) })
}

func (n *network) carry(l *line, to, from *net.TCPConn) {
	b := make([]byte, 64<<10)
	for {
		k, err := from.Read(b)
		if err != nil {
			return
		}
		n.mu.Lock()
		for n.stall && n.lines[l] && !n.closed {
			n.held = true
			n.wake.Broadcast()
			n.wake.Wait()
		}
		n.mu.Unlock()
		if _, err := to.Write(b[:k]); err != nil {
			return
		}
	}
}

// cut breaks every connection as a crash of the far side's machine would.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.lines {
		delete(n.lines, l)
		l.near.SetLinger(0)
		l.near.Close()
		l.far.Close()
	}
	n.wake.Broadcast()
}

// close ends the network and everything in it.
func (n *network) close() {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.gone)
	}
	n.mu.Unlock()
	n.cut()
	n.relays.Wait()
}

// dialled returns how many connections were asked for.
func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// until waits for a state of the network and returns false when it does not come in time.
func (n *network) until(patience time.Duration, state func() bool) bool {
	late := false
	timer := time.AfterFunc(patience, func() { n.change(func() { late = true }) })
	defer timer.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for !state() && !late {
		n.wake.Wait()
	}
	return state()
}
