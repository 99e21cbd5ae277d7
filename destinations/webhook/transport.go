package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// ownTransport is the engine's with other TLS settings and connections of its
// own. It knows them all: closing the idle ones would miss those that net/http
// is still setting up for an attempt that has given up waiting.
type ownTransport struct {
	*http.Transport
	dial destination.DialFunc // the engine's

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]bool
}

func newOwnTransport(t TLS, shared http.RoundTripper) (*ownTransport, error) {
	cfg, faults := t.config()
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	tr, ok := shared.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("tls: the engine's transport is a %T, which cannot be cloned", shared)
	}
	o := &ownTransport{Transport: tr.Clone(), open: map[net.Conn]bool{}}
	o.TLSClientConfig = cfg
	if o.dial = tr.DialContext; o.dial == nil {
		o.dial = (&net.Dialer{}).DialContext
	}
	o.DialContext = o.track
	return o, nil
}

func (o *ownTransport) track(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := o.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		c.Close()
		return nil, errors.New("the destination is closed")
	}
	t := &tracked{c, o}
	o.open[t] = true
	return t, nil
}

// Close ends every connection. No request is running.
func (o *ownTransport) Close() {
	o.CloseIdleConnections()
	o.mu.Lock()
	o.closed = true
	left := o.open
	o.open = nil
	o.mu.Unlock()
	for c := range left {
		c.Close()
	}
}

type tracked struct {
	net.Conn
	by *ownTransport
}

func (t *tracked) Close() error {
	t.by.mu.Lock()
	delete(t.by.open, t)
	t.by.mu.Unlock()
	return t.Conn.Close()
}
