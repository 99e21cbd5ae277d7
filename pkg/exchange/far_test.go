package exchange

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// far is the far side of a test: a listener on loopback whose connections are
// served by a script.
type far struct {
	Target
	conns atomic.Int32 // accepted
}

// serve starts a far side. Its script is given the number of the connection,
// from 1, and has it closed when it returns.
func serve(t testing.TB, secure bool, script func(n int, c *peer)) *far {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	f := &far{Target: Target{Secure: secure, Host: host, Port: port}}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(f.conns.Add(1))
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				p := newPeer(c, secure)
				p.ended = t.Context().Done()
				script(n, p)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return f
}

// peer is one connection as a script sees it.
type peer struct {
	net.Conn
	raw net.Conn
	in  *bufio.Reader
	// held is not nil while what is written waits to go out in one segment.
	held  *bytes.Buffer
	ended <-chan struct{} // the test
}

func newPeer(raw net.Conn, secure bool) *peer {
	p := &peer{raw: raw}
	p.Conn = holding{raw, p}
	if secure {
		p.Conn = tls.Server(p.Conn, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	}
	p.in = bufio.NewReader(p.Conn)
	return p
}

// holding keeps back what is written for as long as its peer holds.
type holding struct {
	net.Conn
	of *peer
}

func (h holding) Write(b []byte) (int, error) {
	if h.of.held != nil {
		return h.of.held.Write(b)
	}
	return h.Conn.Write(b)
}

// inOneSegment sends all that f writes at once.
func (p *peer) inOneSegment(f func()) {
	p.held = &bytes.Buffer{}
	f()
	b := p.held.Bytes()
	p.held = nil
	_ = p.raw.SetWriteDeadline(time.Time{}) // of a farewell
	_, _ = p.raw.Write(b)
}

// say writes text; what came of it shows at the other end.
func (p *peer) say(format string, args ...any) { fmt.Fprintf(p.Conn, format, args...) }

// ok is an answer after which the connection can be kept.
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// request reads one request whole; nil: none came.
func (p *peer) request() *http.Request {
	r := p.head()
	if r == nil {
		return nil
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	return r
}

// head reads the head of a request.
func (p *peer) head() *http.Request {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return nil
	}
	return r
}

// reset closes the connection with a RST.
func (p *peer) reset() {
	_ = p.raw.(*net.TCPConn).SetLinger(0)
	_ = p.raw.Close()
}

// gone waits until the near side has closed.
func (p *peer) gone() { _, _ = io.Copy(io.Discard, p.in) }

// answering serves every request with ok.
func answering(_ int, c *peer) {
	for c.request() != nil {
		c.say(ok)
	}
}

var certificate = sync.OnceValue(func() tls.Certificate {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return s.TLS.Certificates[0]
})

var trusting = &tls.Config{InsecureSkipVerify: true}

// client returns a Client whose Pool ends with the test, after which nothing of
// it may be left.
func client(t testing.TB) *Client {
	t.Helper()
	nothingLeft(t)
	p := NewPool((&net.Dialer{}).DialContext, Limits{All: 64, Owner: 64})
	t.Cleanup(p.Close)
	return p.Client("acme", trusting)
}

// nothingLeft fails the test when goroutines or descriptors are left by it. It
// must come before whatever the test cleans up.
func nothingLeft(t testing.TB) {
	t.Helper()
	certificate()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		if t.Failed() {
			return // which may have left something, and says more
		}
		left := func() bool { return runtime.NumGoroutine() > goroutines || openFiles() > descriptors }
		if !eventually(func() bool { return !left() }) {
			stacks := make([]byte, 1<<16)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Errorf("%d goroutines and %d descriptors, there were %d and %d\n%s",
				runtime.NumGoroutine(), openFiles(), goroutines, descriptors, stacks)
		}
	})
}

// openFiles counts the descriptors of the process; 0 where it cannot.
func openFiles() int {
	l, _ := os.ReadDir("/proc/self/fd")
	return len(l)
}

// eventually polls for a condition, a minute at most.
func eventually(met func() bool) bool {
	for began := time.Now(); time.Since(began) < time.Minute; runtime.Gosched() {
		if met() {
			return true
		}
		pause := time.NewTimer(time.Millisecond)
		<-pause.C
	}
	return met()
}

// arrived waits until the end or a byte of the far side has come to every idle
// connection's socket.
func arrived(t *testing.T, p *Pool) {
	t.Helper()
	come := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for e := p.all.Front(); e != nil; e = e.Next() {
			if waiting, open := look(e.Value.(*conn).socket); open && !waiting {
				return false
			}
		}
		return p.all.Len() > 0
	}
	if !eventually(come) {
		t.Fatal("nothing came of the far side")
	}
}

// post is a POST of body. Each call of its Head says which it is in a field.
func post(to Target, body string) *Request {
	calls := 0
	return &Request{
		Target: to, Method: http.MethodPost, Length: int64(len(body)), Again: true,
		Head: func(b []byte) []byte {
			calls++
			b = append(b, "POST /hook HTTP/1.1\r\n"...)
			return Fields(b, "Host", to.Host, "signature", fmt.Sprint(calls))
		},
		Body: func() (io.Reader, error) { return strings.NewReader(body), nil },
	}
}

// within returns a ctx for what must not take so long on any machine.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// inTime gives do a tenth of a second in which an exchange is to come as far as a test wants it, and more
// where a busy machine makes it late.
func inTime(t testing.TB, do func(ctx context.Context) (late bool)) {
	t.Helper()
	for d := 100 * time.Millisecond; ; d *= 4 {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		late := do(ctx)
		cancel()
		if !late || d > 20*time.Second {
			return
		}
	}
}

// exchanged makes an exchange and returns its closed answer with the body.
func exchanged(t testing.TB, c *Client, r *Request) (*Answer, string) {
	t.Helper()
	a, err := c.Do(within(t, time.Minute), r)
	if err != nil {
		t.Fatalf("after %d requests: %v", a.Requests, err)
	}
	b, err := io.ReadAll(a)
	if err != nil {
		t.Errorf("reading the answer: %v", err)
	}
	_ = a.Close()
	return a, string(b)
}

// over runs f for plain connections and for TLS.
func over(t *testing.T, f func(t *testing.T, secure bool)) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) { f(t, secure) })
	}
}

// deadline tells whether err says that a ctx's time was up.
func deadline(err error) bool { return errors.Is(err, context.DeadlineExceeded) }
