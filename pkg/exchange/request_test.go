package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSecondRequest holds when a kept connection's end makes a second request.
func TestSecondRequest(t *testing.T) {
	large := strings.Repeat("x", 4<<20)
	for _, c := range []struct {
		name     string
		body     string
		end      func(c *peer) // of the kept connection, which has been sent a request
		requests int
	}{
		{"closed at once", "{}", func(c *peer) { c.request() }, 2},
		{"reset at once", "{}", func(c *peer) { c.request(); c.reset() }, 2},
		{"closed during the upload", large, func(c *peer) { c.head() }, 2},
		{"reset during the upload", large, func(c *peer) { c.head(); c.reset() }, 2},
		{"half a byte less than an answer", "{}", func(c *peer) { c.request(); c.say("H") }, 1},
		{"half a status line", "{}", func(c *peer) { c.request(); c.say("HTTP/1.1 2") }, 1},
		{"an interim answer", "{}", func(c *peer) { c.request(); c.say("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n") }, 1},
		{"an interim answer cut off", "{}", func(c *peer) { c.request(); c.say("HTTP/1.1 102 Processing\r\n") }, 1},
		{"another protocol", "{}", func(c *peer) { c.request(); c.say("SSH-2.0-x\r\n") }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				signatures := make(chan string, 4)
				f := serve(t, secure, func(n int, p *peer) {
					if n > 1 {
						r := p.request()
						b, _ := io.ReadAll(r.Body)
						if string(b) != c.body {
							t.Errorf("the second request's body has %d of %d bytes", len(b), len(c.body))
						}
						signatures <- r.Header.Get("signature")
						p.say(ok)
						return
					}
					p.request()
					p.say(ok)
					c.end(p)
				})
				exchanged(t, cl, post(f.Target, "{}"))
				a, err := cl.Do(within(t, time.Minute), post(f.Target, c.body))
				_ = a.Close()
				if a.Requests != c.requests || (err == nil) != (c.requests == 2) {
					t.Errorf("%d requests, %v; want %d", a.Requests, err, c.requests)
				}
				if n := f.conns.Load(); int(n) != c.requests {
					t.Errorf("%d connections", n)
				}
				if c.requests == 2 && err == nil {
					if s := <-signatures; s != "2" {
						t.Errorf("the second request carries the head of call %s", s)
					}
				}
			})
		})
	}
}

// TestNoThirdRequest: a fresh connection's end is an error, also the second's.
func TestNoThirdRequest(t *testing.T) {
	cl := client(t)
	f := serve(t, false, func(n int, p *peer) {
		if n == 1 {
			p.request()
			p.say(ok)
		}
		p.request()
	})
	exchanged(t, cl, post(f.Target, "{}"))
	for _, want := range []int{2, 1} { // over a kept connection, then over a fresh one
		if a, err := cl.Do(within(t, time.Minute), post(f.Target, "{}")); err == nil || a.Requests != want {
			t.Errorf("%d requests, %v; want %d", a.Requests, err, want)
		}
	}
	if n := f.conns.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// TestSecondRequestIsOverAFreshConnection, although another is kept.
func TestSecondRequestIsOverAFreshConnection(t *testing.T) {
	cl := client(t)
	f := serve(t, false, func(n int, p *peer) {
		p.request()
		p.say(ok)
		if n <= 2 {
			p.request()
		}
	})
	one, err := cl.Do(t.Context(), post(f.Target, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	exchanged(t, cl, post(f.Target, "{}"))
	_ = one.Close()
	if cl.pool.Idle() != 2 {
		t.Fatalf("%d are kept", cl.pool.Idle())
	}
	if a, _ := exchanged(t, cl, post(f.Target, "{}")); a.Requests != 2 || f.conns.Load() != 3 {
		t.Errorf("%d requests, %d connections", a.Requests, f.conns.Load())
	}
}

// TestSecondRequestFails: the error says why there was need of one, and what
// was made is counted, not what was wished.
func TestSecondRequestFails(t *testing.T) {
	refused := errors.New("no route")
	for _, c := range []struct {
		name string
		dial error
		body error
	}{{"to connect", refused, nil}, {"to begin the body again", nil, refused}} {
		t.Run(c.name, func(t *testing.T) {
			nothingLeft(t)
			dials := 0
			pool := NewPool(func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials++; dials > 1 && c.dial != nil {
					return nil, c.dial
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}, Limits{8, 8})
			defer pool.Close()
			cl := pool.Client("acme", nil)
			f := serve(t, false, func(n int, p *peer) { p.request(); p.say(ok); p.request() })
			exchanged(t, cl, post(f.Target, "{}"))
			r, bodies := post(f.Target, "{}"), 0
			r.Body = func() (io.Reader, error) {
				if bodies++; bodies > 1 && c.body != nil {
					return nil, c.body
				}
				return strings.NewReader("{}"), nil
			}
			a, err := cl.Do(t.Context(), r)
			if !errors.Is(err, refused) || !errors.Is(err, io.EOF) || a.Requests != 1 || a.Address == "" {
				t.Errorf("%d requests, %v", a.Requests, err)
			}
		})
	}
}

// TestSecondRequestInTime holds what time and ctx say of a second request.
func TestSecondRequestInTime(t *testing.T) {
	for _, c := range []struct {
		name     string
		after    time.Duration // of the end of the kept connection
		timeout  time.Duration // of ctx
		cancel   bool          // ctx, just before that end
		requests int
	}{
		{"within a second", 900 * time.Millisecond, time.Minute, false, 2},
		{"after a second", 1100 * time.Millisecond, time.Minute, false, 1},
		{"after ctx's time", time.Second, 900 * time.Millisecond, false, 1},
		{"with ctx cancelled", 100 * time.Millisecond, time.Minute, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				cl := piped(t, func(n int, p *peer) {
					p.request()
					p.say(ok)
					if p.request() != nil && n == 1 {
						time.Sleep(c.after)
						if c.cancel {
							cancel()
						}
						return
					}
					p.say(ok)
				})
				exchanged(t, cl, post(somewhere, "{}"))
				began := time.Now()
				a, err := cl.Do(ctx, post(somewhere, "{}"))
				_ = a.Close()
				if a.Requests != c.requests || (err == nil) != (c.requests == 2) {
					t.Errorf("%d requests, %v", a.Requests, err)
				}
				if took := time.Since(began); took > min(c.after, c.timeout) {
					t.Errorf("it took %v", took)
				}
				if c.requests == 1 && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
					t.Errorf("%v does not say that %v", err, ctx.Err())
				}
			})
		})
	}
}

// TestEndedContextSendsNothing, not even over a kept connection.
func TestEndedContextSendsNothing(t *testing.T) {
	cl := client(t)
	var requests atomic.Int32
	f := serve(t, false, func(_ int, p *peer) {
		for p.request() != nil {
			requests.Add(1)
			p.say(ok)
		}
	})
	exchanged(t, cl, post(f.Target, "{}"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if a, err := cl.Do(ctx, post(f.Target, "{}")); !errors.Is(err, context.Canceled) || a.Requests != 0 {
			t.Fatalf("%d requests, %v", a.Requests, err)
		}
	}
	if a, _ := exchanged(t, cl, post(f.Target, "{}")); a.Requests != 1 || requests.Load() != 2 || f.conns.Load() != 1 {
		t.Errorf("%d requests arrived over %d connections", requests.Load(), f.conns.Load())
	}
}

// TestNoLength: a request whose length is not known, or has no body, is not sent.
func TestNoLength(t *testing.T) {
	cl := client(t)
	f := serve(t, false, answering)
	unknown, bodiless := post(f.Target, "{}"), post(f.Target, "{}")
	unknown.Length, bodiless.Body = -1, nil
	for _, r := range []*Request{unknown, bodiless} {
		if a, err := cl.Do(t.Context(), r); !errors.Is(err, errNoLength) || a.Requests != 0 || f.conns.Load() != 0 {
			t.Errorf("%d requests, %v", a.Requests, err)
		}
	}
}

// TestFieldsStayInTheirLines: no value adds a header.
func TestFieldsStayInTheirLines(t *testing.T) {
	got := string(Fields(nil, "a", "1\r\nb: 2\x00", "C-d", ""))
	if want := "a: 1  b: 2 \r\nC-d: \r\n"; got != want {
		t.Errorf("%q", got)
	}
}

// somewhere is a Target for Clients whose connections are pipes.
var somewhere = Target{Host: "somewhere", Port: "80"}

// piped returns a Client for use in a synctest bubble: its connections are
// pipes, whose other ends the script serves.
func piped(t *testing.T, script func(n int, p *peer)) *Client {
	n := 0
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	pool := NewPool(func(context.Context, string, string) (net.Conn, error) {
		near, there := net.Pipe()
		n++
		number := n
		all.Go(func() {
			defer there.Close()
			script(number, newPeer(there, false))
		})
		return named{near, fmt.Sprint(number)}, nil
	}, Limits{8, 8})
	t.Cleanup(pool.Close)
	return pool.Client("acme", nil)
}

// named gives a pipe the number of the connection as its address.
type named struct {
	net.Conn
	name string
}

func (n named) RemoteAddr() net.Addr { return n }
func (n named) Network() string      { return "pipe" }
func (n named) String() string       { return n.name }
