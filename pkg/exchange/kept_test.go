package exchange

import (
	"bufio"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// TestKeptConnectionIsLookedAt: what has been closed, or has bytes that nobody
// asked for, is replaced before anything is written.
func TestKeptConnectionIsLookedAt(t *testing.T) {
	const stale = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
	for _, c := range []struct {
		name  string
		after func(c *peer) // an answer, until the test ends
	}{
		{"closed", func(c *peer) { c.Close() }},
		{"closed without a farewell", func(c *peer) { c.raw.Close() }},
		{"reset", func(c *peer) { c.reset() }},
		{"half closed", func(c *peer) { _ = c.raw.(*net.TCPConn).CloseWrite(); c.gone() }},
		{"a second answer", func(c *peer) { c.say(stale); c.gone() }},
		{"a byte", func(c *peer) { c.say("\n"); c.gone() }},
		{"an answer and a farewell", func(c *peer) { c.say(stale) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				kept := make(chan struct{})
				f := serve(t, secure, func(n int, p *peer) {
					p.request()
					p.say(ok)
					if n == 1 {
						select {
						case <-kept:
						case <-t.Context().Done():
						}
						c.after(p)
					}
				})
				exchanged(t, cl, post(f.Target, "{}"))
				close(kept)
				arrived(t, cl.pool)
				a, body := exchanged(t, cl, post(f.Target, "{}"))
				if a.Requests != 1 || f.conns.Load() != 2 || body != "ok" {
					t.Errorf("%d requests over %d connections: %q", a.Requests, f.conns.Load(), body)
				}
			})
		})
	}
}

// TestBytesAfterTheAnswer: what comes in one segment with an answer, after it,
// is no answer to the next request. TLS keeps it where the socket does not show it.
func TestBytesAfterTheAnswer(t *testing.T) {
	const stale = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
	for name, rest := range map[string]string{"answer": stale, "line": "\r\n", "half an answer": stale[:9]} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				f := serve(t, secure, func(n int, p *peer) {
					for p.request() != nil {
						p.inOneSegment(func() {
							p.say(ok)
							if n == 1 {
								p.say("%s", rest)
							}
						})
					}
				})
				exchanged(t, cl, post(f.Target, "{}"))
				a, body := exchanged(t, cl, post(f.Target, "{}"))
				if a.Requests != 1 || f.conns.Load() != 2 || body != "ok" {
					t.Errorf("%d requests over %d connections: %q", a.Requests, f.conns.Load(), body)
				}
			})
		})
	}
}

// TestQuiet holds what is read of a kept TLS connection to tell a session
// ticket from data, also where the machine takes the moment for it away.
func TestQuiet(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		stalls     int
		quiet      bool
	}{
		{"nothing", "", 0, true},
		{"a ticket", "T", 0, true},
		{"tickets", "TTT", 0, true},
		{"data", "D", 0, false},
		{"data behind a ticket", "TD", 0, false},
		{"a farewell", "C", 0, false},
		{"a farewell behind a ticket", "TC", 0, false},
		{"a ticket after a stall", "T", 2, true},
		{"data after a stall", "D", 2, false},
		{"a farewell after a stall", "C", 2, false},
		{"data after stalls without end", "D", 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			nothingLeft(t)
			f := serve(t, false, func(_ int, p *peer) { p.say("%s", c.wire); p.gone() })
			raw, err := net.Dial("tcp", f.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			s := &records{Conn: raw, stalls: c.stalls}
			cn := &conn{Conn: s, beneath: raw, socket: socketOf(raw), secure: true, in: bufio.NewReader(s)}
			if c.wire != "" && !eventually(func() bool { waiting, _ := look(cn.socket); return waiting }) {
				t.Fatal("nothing came")
			}
			if got := cn.quiet(); got != c.quiet {
				t.Errorf("quiet is %v", got)
			}
		})
	}
}

// records stands in for TLS: a T is a message of its own, a D is data, a C is a
// farewell. Its first reads end before they look at the socket.
type records struct {
	net.Conn
	stalls int
	past   bool
}

func (r *records) SetReadDeadline(t time.Time) error {
	r.past = t.Equal(past)
	return r.Conn.SetReadDeadline(t)
}

func (r *records) Read(b []byte) (int, error) {
	if r.past {
		return 0, os.ErrDeadlineExceeded
	}
	if r.stalls--; r.stalls >= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		if n, err := r.Conn.Read(b[:1]); err != nil {
			return n, err
		}
		switch b[0] {
		case 'D':
			return 1, nil
		case 'C':
			return 0, io.EOF
		}
	}
}

// TestLookAfterADeadline: a connection whose deadline of the last exchange has
// passed is open still.
func TestLookAfterADeadline(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		cl := client(t)
		f := serve(t, secure, answering)
		a, err := cl.Do(t.Context(), post(f.Target, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(a); err != nil {
			t.Fatal(err)
		}
		a.conn.cut()
		_ = a.Close()
		if a, _ := exchanged(t, cl, post(f.Target, "{}")); a.Requests != 1 || f.conns.Load() != 1 {
			t.Errorf("%d requests over %d connections", a.Requests, f.conns.Load())
		}
	})
}
