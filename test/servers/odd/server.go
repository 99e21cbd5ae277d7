// Package odd is a table of servers that misbehave, [Rows]: each as one was seen to in the field, with
// what must hold for clients of it. The servers here speak over raw sockets, because no library allows
// such misuse. Real servers with habits of their own are in package servers.
//
// The table knows nothing of its clients. Its test runs every kind of destination that speaks HTTP
// against it.
package odd

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// Transport is how a server is reached.
type Transport string

const (
	Plain Transport = "http"
	TLS   Transport = "https"
	// H2 is TLS of a server that offers HTTP/2 before HTTP/1.1.
	H2 Transport = "https offering h2"
)

// Server serves connections as a row says until it is mended, and soundly after that. It records every
// request.
type Server struct {
	URL string // without a path

	row    Row
	answer func(*Request) string // a sound answer
	picks  func(*Request) bool   // which requests the row is for; nil: all
	mended atomic.Bool

	mu       sync.Mutex
	requests []*Request
	conns    map[net.Conn]bool // that are open
	accepted int
	done     chan struct{} // closed at the end
}

// Service is what a sender takes the server for.
type Service struct {
	// Answer makes a sound answer, head and all; nil: 200 and "ok".
	Answer func(*Request) string
	// Picks tells which requests carry a delivery, and get the row's misbehaviour; nil: all.
	Picks func(*Request) bool
}

// Start serves row until the test ends.
func Start(t testing.TB, row Row, over Transport, id servers.Identity, as Service) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "http://" + l.Addr().String(), row: row, answer: as.Answer, picks: as.Picks, conns: map[net.Conn]bool{}, done: make(chan struct{})}
	if as.Answer == nil {
		s.answer = func(*Request) string { return Text(200, "", "ok") }
	}
	var config *tls.Config
	if over != Plain {
		s.URL = "https://" + l.Addr().String()
		pair, err := tls.X509KeyPair(id.Cert, id.Key)
		if err != nil {
			t.Fatal(err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: row.MaxTLS}
		if over == H2 {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serve(c.(*net.TCPConn), config) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.end()
		all.Wait()
	})
	return s
}

// Mend makes every answer from now on a sound one.
func (s *Server) Mend() { s.mended.Store(true) }

// Requests returns those whose head has arrived, in that order.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Request(nil), s.requests...)
}

// Accepted is how many connections were made.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

func (s *Server) serve(tcp *net.TCPConn, config *tls.Config) {
	s.mu.Lock()
	select {
	case <-s.done: // accepted while the server was closed
		s.mu.Unlock()
		tcp.Close()
		return
	default:
	}
	s.accepted++
	c := &Conn{Conn: tcp, tcp: tcp, Number: s.accepted, server: s}
	s.conns[tcp] = true
	s.mu.Unlock()
	defer func() {
		tcp.Close()
		s.mu.Lock()
		delete(s.conns, tcp)
		s.mu.Unlock()
	}()
	if s.row.Window > 0 {
		tcp.SetReadBuffer(s.row.Window)
	}
	if s.row.Raw != nil && !s.mended.Load() {
		c.in = bufio.NewReader(c.Conn)
		s.row.Raw(c)
		return
	}
	if config != nil {
		over := tls.Server(tcp, config)
		tcp.SetDeadline(time.Now().Add(10 * time.Second))
		if over.Handshake() != nil {
			return
		}
		tcp.SetDeadline(time.Time{})
		c.Conn = over
		if over.ConnectionState().NegotiatedProtocol == "h2" {
			if s.row.H2 != nil {
				serveH2(c, s.row.H2)
				return
			}
		}
	}
	c.in = bufio.NewReader(c.Conn)
	c.serve()
}

// end ends every connection, so that its goroutines return.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.done)
	for c := range s.conns {
		c.Close()
	}
}

// Conn is a connection at the server's end.
type Conn struct {
	net.Conn // of TLS, where that is spoken
	Number   int
	Served   int // requests before the one that is served
	picked   int // those of them that the row is for

	tcp    *net.TCPConn
	in     *bufio.Reader
	server *Server
	over   bool
}

// serve reads and answers one request after the other.
func (c *Conn) serve() {
	for ; !c.over; c.Served++ {
		if row := c.server.row; row.Idle != nil && c.Served > 0 && !c.server.mended.Load() {
			if row.Idle(c); c.over {
				return
			}
		}
		r, err := c.readHead()
		if err != nil {
			return
		}
		if c.sound(r) {
			c.Answer(r)
		} else {
			c.server.row.Serve(c, r)
		}
		if !c.over {
			r.ReadBody()
		}
		if r.Failed() {
			return
		}
	}
}

// sound tells whether r is answered soundly.
func (c *Conn) sound(r *Request) bool {
	s := c.server
	if s.picks != nil && !s.picks(r) {
		return true
	}
	c.picked++
	return s.row.Serve == nil || s.mended.Load() || s.row.Kept && c.picked == 1 && (c.Number == 1 || !s.row.Once)
}

// Answer answers r soundly.
func (c *Conn) Answer(r *Request) {
	r.ReadBody()
	c.Say(c.server.answer(r))
}

// Say writes text as it is.
func (c *Conn) Say(text string) { io.WriteString(c.Conn, text) }

// Close ends the connection. Where bytes of the client were not read, the kernel sends a reset, as it does
// for any program.
func (c *Conn) Close() error {
	c.over = true
	return c.Conn.Close()
}

// Reset ends the connection with a reset at once.
func (c *Conn) Reset() {
	c.over = true
	c.tcp.SetLinger(0)
	c.tcp.Close()
}

// Linger ends its own side and reads what the client still sends, as careful servers do: otherwise a reset
// could overtake the answer.
func (c *Conn) Linger() {
	c.over = true
	if t, ok := c.Conn.(*tls.Conn); ok {
		t.CloseWrite()
	}
	c.tcp.CloseWrite()
	c.tcp.SetReadDeadline(time.Now().Add(2 * time.Second))
	io.Copy(io.Discard, c.tcp)
	c.tcp.Close()
}

// Hold keeps the connection open, reading nothing, until the server is closed.
func (c *Conn) Hold() {
	c.over = true
	<-c.server.done
}

// Wait waits, unless the server is closed before.
func (c *Conn) Wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-c.server.done:
	}
}
