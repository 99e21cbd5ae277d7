package exchange

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// lent makes n exchanges of c at once and returns their answers, unclosed. The
// connections that they hold have the numbers that Address says.
func lent(t *testing.T, c *Client, n int) (all []*Answer) {
	t.Helper()
	for range n {
		a, err := c.Do(t.Context(), post(somewhere, "{}"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// limited returns a Pool over pipes with the limits given. Its far sides answer
// every request with ok.
func limited(t *testing.T, l Limits) *Pool {
	pool := piped(t, answering).pool
	pool.limit = l
	return pool
}

// kept returns the addresses of what is idle, that which was used longest ago first.
func kept(p *Pool) (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.all.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*conn).address)
	}
	return all
}

// TestLimits: of each owner, and in all, the connections used last are kept.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string
	}{
		{Limits{All: 0, Owner: 9}, "[]"},
		{Limits{All: 9, Owner: 0}, "[]"},
		{Limits{All: 9, Owner: 9}, "[1 2 3 4 5 6]"},
		{Limits{All: 9, Owner: 2}, "[2 3 5 6]"},
		{Limits{All: 4, Owner: 9}, "[3 4 5 6]"},
		{Limits{All: 4, Owner: 1}, "[3 6]"},
		{Limits{All: 1, Owner: 1}, "[6]"},
	} {
		pool := limited(t, c.limits)
		one, other := pool.Client("acme", nil), pool.Client("acme", nil)
		all := append(append(lent(t, one, 2), lent(t, other, 1)...), lent(t, pool.Client("bolt", nil), 3)...)
		for _, a := range all {
			_ = a.Close()
		}
		if got := fmt.Sprint(kept(pool)); got != c.want {
			t.Errorf("%+v: %s is kept, want %s", c.limits, got, c.want)
		}
		pool.Close()
		if len(pool.owners) != 0 || pool.Idle() != 0 {
			t.Errorf("%d owners are left", len(pool.owners))
		}
	}
}

// TestUsedLastIsUsedFirst, and no connection by two at once or by another Client.
func TestUsedLastIsUsedFirst(t *testing.T) {
	pool := limited(t, Limits{9, 9})
	c := pool.Client("acme", nil)
	for _, a := range lent(t, c, 3) {
		_ = a.Close()
	}
	if got := fmt.Sprint(kept(pool)); got != "[1 2 3]" {
		t.Fatal(got)
	}
	var order []string
	all := append(lent(t, c, 2), lent(t, pool.Client("acme", nil), 1)...)
	elsewhere := post(Target{Host: "elsewhere", Port: "80"}, "{}")
	a, err := c.Do(t.Context(), elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range append(append(all, a), lent(t, c, 1)...) {
		order = append(order, a.Address)
		_ = a.Close()
	}
	if got := fmt.Sprint(order); got != "[3 2 4 5 1]" {
		t.Errorf("connections %s were used", got)
	}
}

// TestExpiry: what is idle is closed in time, and not used after it.
func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		field string
		kept  time.Duration
	}{
		{"", maxIdle},
		{"timeout=1", 500 * time.Millisecond},
		{"timeout=2", time.Second},
		{"timeout=5", 4 * time.Second},
		{`timeout="5", max=100`, 4 * time.Second},
		{"max=100, Timeout = 5", 4 * time.Second},
		{"timeout=50", 49 * time.Second},
		{"timeout=600", maxIdle},
		{"timeout=99999999999999999999", maxIdle},
		{"timeout=-1", maxIdle},
		{"timeout=x", maxIdle},
		{"timeout", maxIdle},
		{"=,;", maxIdle},
		{"max=5", maxIdle},
		{"timeout=5\r\nKeep-Alive: timeout=3", 2 * time.Second},
	} {
		t.Run(c.field, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				cl := piped(t, func(n int, p *peer) {
					for p.request() != nil {
						p.say("HTTP/1.1 200 OK\r\nKeep-Alive: %s\r\nContent-Length: 0\r\n\r\n", c.field)
					}
					if n == 1 {
						ended = time.Now()
					}
				})
				exchanged(t, cl, post(somewhere, "{}"))
				time.Sleep(c.kept - time.Millisecond)
				if a, _ := exchanged(t, cl, post(somewhere, "{}")); a.Address != "1" {
					t.Errorf("after %v connection %s is used", c.kept-time.Millisecond, a.Address)
				}
				used := time.Now()
				time.Sleep(c.kept)
				if a, _ := exchanged(t, cl, post(somewhere, "{}")); a.Address != "2" {
					t.Errorf("after %v connection %s is used", c.kept, a.Address)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if idle := ended.Sub(used); idle < c.kept || idle > c.kept+time.Second {
					t.Errorf("it was closed after %v, want %v", idle, c.kept)
				}
			})
		})
	}
}

// TestSweep: the timer fires for whatever comes to expire, in any order, and
// rests when there is nothing.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seconds := []int{40, 5, 20, 5, 31}
		cl := piped(t, func(n int, p *peer) {
			for p.request() != nil {
				p.say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=%d\r\nContent-Length: 0\r\n\r\n", seconds[n-1])
			}
		})
		for _, a := range lent(t, cl, len(seconds)) {
			_ = a.Close()
		}
		for _, c := range []struct{ at, left int }{{3, 5}, {5, 3}, {18, 3}, {20, 2}, {29, 2}, {31, 1}, {38, 1}, {40, 0}, {300, 0}} {
			time.Sleep(time.Until(startOfFakeTime.Add(time.Duration(c.at) * time.Second)))
			synctest.Wait()
			if got := cl.pool.Idle(); got != c.left {
				t.Errorf("after %d s %d are kept, want %d", c.at, got, c.left)
			}
		}
		if !cl.pool.next.IsZero() || len(cl.idle) != 0 {
			t.Error("the timer runs for nothing")
		}
	})
}

// startOfFakeTime is when every synctest bubble begins.
var startOfFakeTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestCloseWithConnectionsInUse: they end with their exchange, and afterwards
// nothing is kept.
func TestCloseWithConnectionsInUse(t *testing.T) {
	for name, end := range map[string]func(*Client){
		"client": func(c *Client) { _ = c.Close() }, "pool": func(c *Client) { c.pool.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				other := cl.With(trusting)
				f := serve(t, secure, answering)
				exchanged(t, other, post(f.Target, "{}"))
				a, err := cl.Do(t.Context(), post(f.Target, "{}"))
				if err != nil {
					t.Fatal(err)
				}
				b, err := cl.Do(t.Context(), post(f.Target, "{}"))
				if err != nil {
					t.Fatal(err)
				}
				_ = b.Close()
				end(cl)
				if body, err := io.ReadAll(a); string(body) != "ok" || err != nil {
					t.Errorf("%q, %v", body, err)
				}
				_ = a.Close()
				exchanged(t, cl, post(f.Target, "{}"))
				want := map[string]int{"client": 1, "pool": 0}[name] // the other's
				if got := cl.pool.Idle(); got != want {
					t.Errorf("%d are kept", got)
				}
			})
		})
	}
}

// TestParkedCounts: connections that are left to a far side count as idle, are
// never used, and are closed in time.
func TestParkedCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Duration
		cl := piped(t, func(n int, p *peer) {
			r := p.head()
			_, _ = io.CopyN(io.Discard, r.Body, firstWrite) // a pipe has no room
			p.say("HTTP/1.1 204 No Content\r\n\r\n")
			_, _ = io.Copy(io.Discard, r.Body)
			p.gone()
			if n == 1 {
				ended = time.Since(startOfFakeTime)
			}
		})
		early := func() {
			r, answered := post(somewhere, text(64<<10)), make(chan struct{})
			r.Body = func() (io.Reader, error) { return held(text(64<<10), answered), nil }
			a, err := cl.Do(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			close(answered)
			if _ = a.Close(); !a.Whole() {
				t.Errorf("%d bytes were sent", a.Sent)
			}
		}
		for range 3 {
			early()
		}
		if got := fmt.Sprint(kept(cl.pool)); got != "[1 2 3]" {
			t.Errorf("%s is parked", got)
		}
		time.Sleep(2 * maxIdle)
		synctest.Wait()
		if ended != maxIdle || cl.pool.Idle() != 0 {
			t.Errorf("it was closed after %v", ended)
		}
		for _, limits := range []Limits{{0, 0}, {1, 1}} {
			cl.pool.limit = limits
			for range 2 {
				early()
			}
			if got := cl.pool.Idle(); got != limits.All {
				t.Errorf("%d are parked with %v", got, limits)
			}
		}
		_ = cl.Close()
		if got := cl.pool.Idle(); got != 0 {
			t.Errorf("%d are parked after the Client's end", got)
		}
	})
}

// TestFarewellHoldsUpNobody: TLS tells the far side that a connection ends.
// One that does not take that must not delay whoever evicts it.
func TestFarewellHoldsUpNobody(t *testing.T) {
	cl := client(t)
	f := serve(t, true, answering)
	exchanged(t, cl, post(f.Target, "{}"))
	stuck := &unwritable{Conn: cl.idle[0].beneath, free: make(chan struct{})}
	defer close(stuck.free)
	cl.idle[0].Conn = stuck
	done := make(chan struct{})
	go func() { _ = cl.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("closing waits for the far side")
	}
}

// unwritable is a connection whose Close waits, as TLS's does.
type unwritable struct {
	net.Conn
	free chan struct{}
}

func (u *unwritable) Close() error { <-u.free; return u.Conn.Close() }

// TestSessionsAreNotShared: a Client resumes its own TLS sessions and nobody
// else's, also over another connection to the same far side.
func TestSessionsAreNotShared(t *testing.T) {
	cl := client(t)
	var mu sync.Mutex
	var resumed []bool
	s := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		resumed = append(resumed, r.TLS.DidResume)
		w.Header().Set("Connection", "close")
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close(); <-served })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	to := post(Target{Secure: true, Host: "127.0.0.1", Port: port}, "{}")
	for _, c := range []*Client{cl, cl, cl.With(trusting), cl, cl.pool.Client("acme", trusting), cl.pool.Client("bolt", trusting)} {
		exchanged(t, c, to)
	}
	if want := []bool{false, true, false, true, false, false}; !slices.Equal(resumed, want) {
		t.Errorf("resumed: %v, want %v", resumed, want)
	}
}

// TestTLSSettings holds what of a Client's settings stays.
func TestTLSSettings(t *testing.T) {
	base := trusting.Clone()
	base.ServerName, base.NextProtos, base.MinVersion = "other", []string{"h2"}, 0x0301
	c := NewPool(nil, Limits{}).Client("acme", base)
	got := c.TLS("host")
	if got.ServerName != "other" || fmt.Sprint(got.NextProtos) != "[http/1.1]" || got.MinVersion != 0x0303 || !got.InsecureSkipVerify {
		t.Errorf("%+v", got)
	}
	if got := c.With(nil).TLS("host"); got.ServerName != "host" || got.InsecureSkipVerify || got.ClientSessionCache == c.TLS("host").ClientSessionCache {
		t.Errorf("%+v", got)
	}
	if fmt.Sprint(base.NextProtos) != "[h2]" {
		t.Error("the settings given were changed")
	}
}

// TestHandshakeTime: a far side that does not shake hands is given ten seconds.
func TestHandshakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := piped(t, func(_ int, p *peer) { p.gone() })
		began := time.Now()
		secure := somewhere
		secure.Secure = true
		a, err := cl.Do(t.Context(), post(secure, "{}"))
		if err == nil || !strings.Contains(err.Error(), "no TLS handshake within 10s") || time.Since(began) != HandshakeTime || a.Requests != 0 {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := cl.Do(ctx, post(secure, "{}")); !deadline(err) {
			t.Error(err)
		}
	})
}

// TestClientAtRest bounds what one of many Clients costs, also after use.
func TestClientAtRest(t *testing.T) {
	pool := limited(t, Limits{9, 9})
	const n = 2000
	all := make([]*Client, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = pool.Client("acme", trusting)
	}
	exchanged(t, all[0], post(somewhere, "{}"))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := int64(after.HeapAlloc-before.HeapAlloc) / n; each > 300 || unsafe.Sizeof(*all[0]) > 128 {
		t.Errorf("%d bytes each", each)
	}
	pool.Close()
	if n := cap(all[0].idle); n > 4 {
		t.Errorf("a Client that was used keeps room for %d connections", n)
	}
}
