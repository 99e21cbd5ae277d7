package exchange

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestHammer has 64 goroutines exchange with a far side that does wrong at
// random. Every request that it got whole is one that was reported, no more
// than twice; what is answered belongs to what was asked; nothing is left.
func TestHammer(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		nothingLeft(t)
		const each = 12
		pool := NewPool((&net.Dialer{}).DialContext, Limits{All: 24, Owner: 12})
		t.Cleanup(pool.Close)
		var mu sync.Mutex
		whole := map[string]int{} // requests by id
		f := serve(t, secure, func(_ int, p *peer) {
			for misbehave(p, func(id string) { mu.Lock(); whole[id]++; mu.Unlock() }) {
			}
		})
		requests := map[string]int{}
		var all sync.WaitGroup
		for g := range 64 {
			all.Go(func() {
				cl := pool.Client(fmt.Sprint("owner", g%4), trusting)
				defer cl.Close()
				for i := range each {
					id := fmt.Sprintf("%d-%d", g, i)
					body := id + ";" + text(rand.IntN(3)*rand.IntN(64<<10))
					timeout := []time.Duration{20 * time.Second, time.Duration(rand.IntN(60)) * time.Millisecond}[rand.IntN(6)/5]
					ctx, cancel := context.WithTimeout(context.Background(), timeout)
					r := post(f.Target, body)
					r.Wait = 100 * time.Millisecond
					a, err := cl.Do(ctx, r)
					if err == nil {
						b, _ := io.ReadAll(io.LimitReader(a, 1<<20))
						if a.Code == 200 && a.Truncated == nil && !strings.HasPrefix(string(b), id+";") {
							t.Errorf("%s was answered %.20q", id, b)
						}
					}
					_ = a.Close()
					cancel()
					if a.Requests > 2 || a.Sent > a.Length || err != nil && a.Code != 0 {
						t.Errorf("%+v, %v", a, err)
					}
					mu.Lock()
					requests[id] = a.Requests
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if idle := pool.Idle(); idle != 0 { // each has closed its own
			t.Errorf("%d are idle", idle)
		}
		mu.Lock()
		defer mu.Unlock()
		for id, n := range whole {
			if n > requests[id] {
				t.Errorf("%s arrived %d times, %d requests were reported", id, n, requests[id])
			}
		}
		if len(whole) < each { // fewer come where a busy machine makes handshakes slow
			t.Errorf("%d of %d arrived", len(whole), 64*each)
		}
	})
}

// misbehave serves one request, mostly well, tells whose whole body it got, and
// returns whether the connection goes on.
func misbehave(p *peer, got func(id string)) bool {
	dice := rand.IntN(24)
	if dice == 0 {
		return false
	}
	r := p.head()
	if r == nil {
		return false
	}
	switch dice {
	case 1:
		p.reset()
		return false
	case 2:
		p.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		return false
	case 3:
		p.say("HTTP/1.1 204 No Content\r\n\r\n")
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	id, _, _ := strings.Cut(string(b), ";")
	got(id)
	switch dice {
	case 3, 4:
		return false
	case 5:
		p.reset()
		return false
	case 6:
		p.say("HTTP/1.1 20")
		return false
	case 7:
		p.say("HTTP/1.1 103 Early Hints\r\n\r\n")
		return false
	case 8:
		p.say("HTTP/1.1 500 x\r\nRetry-After")
		return false
	case 9:
		p.say("nonsense\r\n\r\n")
		return false
	case 10:
		// The right answer, and one to nothing.
		p.inOneSegment(func() { p.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s;%s", len(id)+1, id, ok) })
		return true
	case 11:
		_ = p.raw.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		p.gone() // says nothing
		return false
	case 12:
		p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s;\r\n0\r\n\r\n", len(id)+1, id)
		return true
	case 13: // echoes
		p.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		return true
	}
	p.say("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s;", len(id)+1, id)
	return dice != 14
}

// TestManyOverOnePool: Clients that close and begin anew while others use the
// pool; the limits hold at every moment.
func TestManyOverOnePool(t *testing.T) {
	nothingLeft(t)
	pool := NewPool((&net.Dialer{}).DialContext, Limits{All: 5, Owner: 3})
	f := serve(t, false, answering)
	var done atomic.Bool
	var all, watch sync.WaitGroup
	watch.Go(func() {
		for !done.Load() {
			pool.mu.Lock()
			n := pool.all.Len()
			for _, o := range pool.owners {
				if n > 5 || o.Len() > 3 {
					t.Errorf("%d are kept, %d of one owner", n, o.Len())
				}
			}
			pool.mu.Unlock()
		}
	})
	for g := range 8 {
		all.Go(func() {
			for range 10 {
				cl := pool.Client(strconv.Itoa(g%3), nil)
				for range 3 {
					exchanged(t, cl, post(f.Target, "{}"))
				}
				_ = cl.Close()
			}
		})
	}
	all.Wait()
	done.Store(true)
	watch.Wait()
	pool.Close()
	if len(pool.owners) != 0 || pool.Idle() != 0 {
		t.Errorf("%d owners are left", len(pool.owners))
	}
}

// TestNothingIsLogged of what a far side sends, by whatever lies beneath.
func TestNothingIsLogged(t *testing.T) {
	var out bytes.Buffer
	log.SetOutput(&out)
	defer log.SetOutput(os.Stderr)
	over(t, func(t *testing.T, secure bool) {
		for _, wire := range []string{
			ok + ok, ok + "\r\n", "HTTP/1.1 204 No Content\r\n\r\nhello", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nbad\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
			"\x15\x03\x01\x00\x02\x02\x46", "",
		} {
			cl := client(t)
			f := serve(t, secure, func(_ int, p *peer) {
				p.request()
				p.say("%s", wire)
				_, _ = io.WriteString(p.raw, wire) // no TLS
			})
			for range 2 {
				r := post(f.Target, "{}")
				r.Wait = 100 * time.Millisecond
				if a, err := cl.Do(within(t, 5*time.Second), r); err == nil {
					_, _ = io.ReadAll(a)
					_ = a.Close()
				}
			}
			if resp, err := cl.HTTP().Do(to(t, f.Target, "GET", nil)); err == nil {
				_, _ = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
		}
	})
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
