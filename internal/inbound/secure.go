package inbound

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// handshakeTime is how long TLS may take when the server has no bound for heads.
const handshakeTime = 10 * time.Second

// secure makes the handshakes before the server has a connection, so that it can watch what the
// server reads over HTTP/1. HTTP/2 cannot have two lengths: its connections go to the server as
// they are. Handshakes run in parallel. A connection is idle until its first head has come, so
// that one that never ends its handshake gives way.
type secure struct {
	*listener
	config *tls.Config
	within time.Duration
	ready  chan accepted
	begin  sync.Once
	life   context.Context // until Close
	end    context.CancelFunc
}

type accepted struct {
	conn net.Conn
	err  error
}

func secured(l *listener, server *http.Server) *secure {
	config := server.TLSConfig.Clone()
	if !slices.Contains(config.NextProtos, "h2") {
		config.NextProtos = append(config.NextProtos, "h2", "http/1.1")
	}
	server.TLSConfig = config // whose NextProtos tell the server to speak HTTP/2
	within := server.ReadHeaderTimeout
	if within <= 0 {
		within = handshakeTime
	}
	life, end := context.WithCancel(context.Background())
	return &secure{listener: l, config: config, within: within, ready: make(chan accepted), life: life, end: end}
}

func (l *secure) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.accept() })
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.life.Done():
		return nil, net.ErrClosed
	}
}

func (l *secure) Close() error {
	l.end()
	return l.listener.Close()
}

func (l *secure) accept() {
	for {
		c, err := l.listener.Accept()
		if err == nil {
			go l.shake(tls.Server(c, l.config))
		} else if !l.hand(nil, err) {
			return
		}
	}
}

// shake makes the handshake. A handshake that fails fails again in the server, which tells the
// client and the log.
func (l *secure) shake(c *tls.Conn) {
	ctx, cancel := context.WithTimeout(l.life, l.within)
	defer cancel()
	var to net.Conn = c
	if err := c.HandshakeContext(ctx); err == nil && c.ConnectionState().NegotiatedProtocol != "h2" {
		to = &framedTLS{framed{Conn: c}, c}
	}
	if !l.hand(to, nil) {
		c.Close()
	}
}

// hand gives the server an accepted connection; false means that the listener is closed.
func (l *secure) hand(c net.Conn, err error) bool {
	select {
	case l.ready <- accepted{c, err}:
		return true
	case <-l.life.Done():
		return false
	}
}

// framedTLS shows the server its TLS.
type framedTLS struct {
	framed
	tls *tls.Conn
}

// ConnectionState becomes Request.TLS.
func (c *framedTLS) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }
