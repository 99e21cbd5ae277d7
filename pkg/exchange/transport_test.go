package exchange

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// to returns a request to a far side, with a body when there is one.
func to(t testing.TB, f Target, method string, body io.Reader) *http.Request {
	t.Helper()
	scheme := map[bool]string{true: "https", false: "http"}[f.Secure]
	r, err := http.NewRequestWithContext(within(t, time.Minute), method, scheme+"://"+f.Address()+"/p?q=1", body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTransportOnTheWire holds every byte of a request.
func TestTransportOnTheWire(t *testing.T) {
	nothingLeft(t)
	const body = "{}"
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		want   string
	}{
		{"as it is", func(*http.Request) {}, "POST /p?q=1 HTTP/1.1\r\nHost: far:80\r\nContent-Length: 2\r\n\r\n{}"},
		{"fields", func(r *http.Request) {
			r.Header = http.Header{"X-B": {"2", "3"}, "terra-signature": {"t=1,v1=0"}, "X-A": {"1"}, "Empty": {""}}
		}, "POST /p?q=1 HTTP/1.1\r\nHost: far:80\r\nEmpty: \r\nX-A: 1\r\nX-B: 2\r\nX-B: 3\r\nterra-signature: t=1,v1=0\r\nContent-Length: 2\r\n\r\n{}"},
		{"what is the transport's to say", func(r *http.Request) {
			r.Header = http.Header{"Content-Length": {"9"}, "content-length": {"9"}, "transfer-encoding": {"chunked"}, "Expect": {"100-continue"},
				"Connection": {"close"}, "host": {"other"}}
		}, "POST /p?q=1 HTTP/1.1\r\nHost: far:80\r\nContent-Length: 2\r\n\r\n{}"},
		{"another host", func(r *http.Request) { r.Host = "virtual.example" },
			"POST /p?q=1 HTTP/1.1\r\nHost: virtual.example\r\nContent-Length: 2\r\n\r\n{}"},
		{"a path as it is encoded", func(r *http.Request) { r.URL, _ = url.Parse("http://far:80/a%2Fb//c%20d?x=%20y&z#f") },
			"POST /a%2Fb//c%20d?x=%20y&z HTTP/1.1\r\nHost: far:80\r\nContent-Length: 2\r\n\r\n{}"},
		{"no method", func(r *http.Request) { r.Method = "" }, "GET /p?q=1 HTTP/1.1\r\nHost: far:80\r\nContent-Length: 2\r\n\r\n{}"},
		{"no body", func(r *http.Request) { r.Method, r.Body, r.ContentLength = "GET", nil, 0 }, "GET /p?q=1 HTTP/1.1\r\nHost: far:80\r\n\r\n"},
		{"no body of a POST", func(r *http.Request) { r.Body, r.ContentLength = http.NoBody, 0 },
			"POST /p?q=1 HTTP/1.1\r\nHost: far:80\r\nContent-Length: 0\r\n\r\n"},
		{"a length without a body", func(r *http.Request) { r.Body, r.ContentLength = nil, -1 },
			"POST /p?q=1 HTTP/1.1\r\nHost: far:80\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wire := make(chan string, 1)
			cl := piped(t, func(_ int, p *peer) {
				b := make([]byte, len(c.want))
				_, _ = io.ReadFull(p.in, b)
				wire <- string(b)
				p.say(ok)
			})
			r := to(t, Target{Host: "far", Port: "80"}, "POST", strings.NewReader(body))
			c.change(r)
			resp, err := Transport{cl}.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if got := <-wire; got != c.want || string(b) != "ok" || err != nil || resp.Status != "200 OK" || resp.ContentLength != 2 || resp.Request != r {
				t.Errorf("%q\n%q, %v, %+v", got, b, err, resp)
			}
		})
	}
}

// TestTransportRefuses what cannot stand in a request, before anything is
// dialled, and closes the body.
func TestTransportRefuses(t *testing.T) {
	for name, change := range map[string]func(r *http.Request){
		"a method":            func(r *http.Request) { r.Method = "PO ST" },
		"a method of lines":   func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nA" },
		"a query with blanks": func(r *http.Request) { r.URL.RawQuery = "a b" },
		"a query of lines":    func(r *http.Request) { r.URL.RawQuery = "a\r\nX: y" },
		"a name of lines":     func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"1"} },
		"a value of lines":    func(r *http.Request) { r.Header["X"] = []string{"1", "y\r\nZ: 2"} },
		"no length":           func(r *http.Request) { r.ContentLength = -1 },
		"length 0":            func(r *http.Request) { r.ContentLength = 0 },
		"another scheme":      func(r *http.Request) { r.URL.Scheme = "ftp" },
		"no host":             func(r *http.Request) { r.URL.Host = "" },
	} {
		cl := NewPool(func(context.Context, string, string) (net.Conn, error) {
			t.Error("it was dialled")
			return nil, net.ErrClosed
		}, Limits{8, 8}).Client("acme", nil)
		body := &closing{Reader: strings.NewReader("{}")}
		r := to(t, somewhere, "POST", body)
		r.ContentLength = 2
		change(r)
		_, err := Transport{cl}.RoundTrip(r)
		if err == nil || !body.closed() || strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: %v, the body was closed %d times", name, err, body.times)
		}
		if strings.HasPrefix(name, "length") && !errors.Is(err, errNoLength) {
			t.Error(err)
		}
	}
}

// TestTransportClosesBodies, each once, whatever comes of it.
func TestTransportClosesBodies(t *testing.T) {
	large := text(256 << 10)
	for _, c := range []struct {
		name   string
		body   string
		again  bool // GetBody
		script func(n int, p *peer)
		fails  bool
		bodies int
	}{
		{"answered", "{}", true, answering, false, 1},
		{"large", large, true, answering, false, 1},
		{"not answered", "{}", true, func(_ int, p *peer) { p.request() }, true, 1},
		{"refused early", large, true, func(_ int, p *peer) {
			p.head()
			p.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
			p.hang()
		}, false, 1},
		{"sent again", "{}", true, endsKept, false, 2},
		{"sent again, large", large, true, endsKept, false, 2},
		{"cannot be sent again", "{}", false, endsKept, true, 1},
		{"cut off in the head", "{}", true, func(_ int, p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nA: b\r\n") }, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := client(t)
			f := serve(t, false, c.script)
			if c.name[:4] == "sent" || !c.again {
				exchanged(t, cl, post(f.Target, "{}"))
			}
			var bodies []*closing
			open := func() (io.ReadCloser, error) {
				bodies = append(bodies, &closing{Reader: strings.NewReader(c.body)})
				return bodies[len(bodies)-1], nil
			}
			first, _ := open()
			r := to(t, f.Target, "POST", first)
			r.ContentLength = int64(len(c.body))
			if c.again {
				r.GetBody = open
			}
			resp, err := cl.HTTP().Do(r)
			if (err != nil) != c.fails {
				t.Errorf("%v", err)
			}
			if err == nil {
				if b, err := io.ReadAll(resp.Body); len(b) != 2 || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				_ = resp.Body.Close()
			}
			if len(bodies) != c.bodies {
				t.Errorf("%d bodies", len(bodies))
			}
			for i, b := range bodies {
				if !b.closed() {
					t.Errorf("body %d was closed %d times", i+1, b.times)
				}
			}
			if n := f.conns.Load(); !c.again && n != 1 {
				t.Errorf("%d connections, want the kept one alone", n)
			}
		})
	}
	t.Run("not dialled", func(t *testing.T) {
		cl := NewPool(func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }, Limits{}).Client("acme", nil)
		body := &closing{Reader: strings.NewReader("{}")}
		r := to(t, somewhere, "POST", body)
		r.ContentLength = 2
		if _, err := (Transport{cl}).RoundTrip(r); !errors.Is(err, net.ErrClosed) || !body.closed() {
			t.Errorf("%v, the body was closed %d times", err, body.times)
		}
	})
}

// endsKept answers one request of the first connection and closes it at the
// next, and answers all of the others.
func endsKept(n int, p *peer) {
	p.request()
	p.say(ok)
	if p.request(); n > 1 {
		p.say(ok)
	}
}

// TestTransportEarlySuccess: it counts when the body was taken whole, and its
// own body is there to be read. Else it is an error that says how much was taken.
func TestTransportEarlySuccess(t *testing.T) {
	const size = 256 << 10
	answers := map[string]string{
		"a length": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, text(size)),
		"chunks":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, text(size)),
		"the end":  "\r\n" + text(size),
		"more than is kept": fmt.Sprintf("Content-Length: %d\r\n\r\n%s%s", 4*maxEarly, text(size),
			strings.Repeat("x", 4*maxEarly-size)),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				whole := make(chan bool, 1)
				f := serve(t, secure, func(_ int, p *peer) {
					r := p.head()
					p.say("HTTP/1.1 200 OK\r\n%s", answer[:size/2])
					var rest sync.WaitGroup
					send := func() { p.say("%s", answer[size/2:]) }
					if len(answer) > maxEarly {
						rest.Go(send) // while it reads
					}
					b, _ := io.ReadAll(r.Body)
					if whole <- string(b) == text(size); len(answer) <= maxEarly {
						send()
					}
					rest.Wait()
				})
				// The source waits for the answer, so that it is early for certain.
				answered := make(chan struct{})
				trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
					time.AfterFunc(20*time.Millisecond, func() { close(answered) })
				}}
				body := io.MultiReader(strings.NewReader(text(size)[:size/2]), after{answered}, strings.NewReader(text(size)[size/2:]))
				r := to(t, f.Target, "PUT", body)
				r.ContentLength = size
				resp, err := cl.HTTP().Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.HasPrefix(got, []byte(text(size))) || len(got) != size && len(got) != 4*maxEarly || !<-whole {
					t.Errorf("%d bytes came back: %v", len(got), err)
				}
			})
		})
	}
	for name, end := range map[string]func(p *peer){"closed": func(*peer) {}, "reset": (*peer).reset} {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, secure bool) {
				cl := client(t)
				f := serve(t, secure, func(_ int, p *peer) { p.head(); p.say(ok); end(p) })
				body := text(16 << 20)
				for range 8 {
					resp, err := cl.HTTP().Do(to(t, f.Target, "PUT", strings.NewReader(body)))
					if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("of %d bytes", 16<<20)) {
						t.Errorf("%v, %v", resp, err)
					}
				}
			})
		})
	}
}

// TestTransportFailedWrite: a success after a write that failed is an error,
// also when it was the first write.
func TestTransportFailedWrite(t *testing.T) {
	for _, size := range []int{2, 64 << 10} {
		synctest.Test(t, func(t *testing.T) {
			near, there := net.Pipe()
			pool := NewPool(func(context.Context, string, string) (net.Conn, error) {
				return failing{named{near, "pipe"}, net.ErrClosed, int64(size)}, nil
			}, Limits{8, 8})
			go func() { fmt.Fprint(there, ok); there.Close() }()
			r, err := http.NewRequestWithContext(t.Context(), "PUT", "http://somewhere/", strings.NewReader(text(size)))
			if err != nil {
				t.Fatal(err)
			}
			_, err = Transport{pool.Client("acme", nil)}.RoundTrip(r)
			if err == nil || !strings.Contains(err.Error(), "answered 200 after ") {
				t.Errorf("%d bytes: %v", size, err)
			}
		})
	}
}

// TestTransportSourceFails: an early success does not hide why the rest is missing.
func TestTransportSourceFails(t *testing.T) {
	cl := client(t)
	gone := errors.New("the disk is gone")
	f := serve(t, false, func(_ int, p *peer) { p.head(); p.say(ok); p.hang() })
	answered := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { close(answered) })
	r := to(t, f.Target, "PUT", io.MultiReader(strings.NewReader(text(20<<10)), after{answered}, fails{gone}))
	r.ContentLength = 64 << 10
	if _, err := cl.HTTP().Do(r); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// TestTransportHead: the length of what a GET would bring reaches the caller.
func TestTransportHead(t *testing.T) {
	for field, want := range map[string]int64{"Content-Length: 12345": 12345, "Content-Length: 0": 0, "A: b": -1, "Transfer-Encoding: chunked": -1} {
		cl := client(t)
		f := serve(t, false, func(_ int, p *peer) {
			for p.request() != nil {
				p.say("HTTP/1.1 200 OK\r\n%s\r\n\r\n", field)
			}
		})
		for range 2 {
			resp, err := cl.HTTP().Do(to(t, f.Target, "HEAD", nil))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			name, value, _ := strings.Cut(field, ": ")
			if resp.ContentLength != want || resp.Header.Get(name) != value || len(b) != 0 || err != nil {
				t.Errorf("%s: %d, %q, %v", field, resp.ContentLength, b, err)
			}
		}
		if f.conns.Load() != 1 {
			t.Errorf("%d connections", f.conns.Load())
		}
	}
}

// TestTrace holds the hooks that a check of a destination needs.
func TestTrace(t *testing.T) {
	over(t, func(t *testing.T, secure bool) {
		cl := client(t)
		f := serve(t, secure, answering)
		var told []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) {
				s, ok := i.Conn.(interface{ ConnectionState() tls.ConnectionState })
				if ok != secure || ok && !s.ConnectionState().HandshakeComplete || i.Conn.RemoteAddr().String() != f.Address() {
					t.Errorf("%T to %v", i.Conn, i.Conn.RemoteAddr())
				}
				told = append(told, fmt.Sprintf("connection, reused: %v", i.Reused))
			},
			TLSHandshakeDone: func(s tls.ConnectionState, err error) {
				told = append(told, fmt.Sprintf("handshake, %d certificates, failed: %v", len(s.PeerCertificates), err != nil))
			},
		})
		for range 2 {
			a, err := cl.Do(ctx, post(f.Target, "{}"))
			if err != nil {
				t.Fatal(err)
			}
			_ = a.Close()
		}
		strict := cl.With(nil)
		a, err := strict.Do(ctx, post(f.Target, "{}"))
		_ = a.Close()
		if secure {
			if e, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || len(e.UnverifiedCertificates) == 0 {
				t.Errorf("%v", err)
			}
		}
		_ = strict.Close()
		want := "connection, reused: false; connection, reused: true; connection, reused: false"
		if secure {
			want = "handshake, 1 certificates, failed: false; connection, reused: false; connection, reused: true; handshake, 0 certificates, failed: true"
		}
		if got := strings.Join(told, "; "); got != want {
			t.Errorf("%s", got)
		}
	})
}

// TestTransportFollowsNothing: a redirection is an answer like others.
func TestTransportFollowsNothing(t *testing.T) {
	cl := client(t)
	f := serve(t, false, func(_ int, p *peer) {
		p.request()
		p.say("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
	})
	resp, err := cl.HTTP().Do(to(t, f.Target, "GET", nil))
	if err != nil || resp.StatusCode != 302 {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

// TestTransportCloseWhileReading: who closes an answer under its reader, as
// net/http allows, gets none of another connection's bytes.
func TestTransportCloseWhileReading(t *testing.T) {
	cl := client(t)
	f := serve(t, false, func(_ int, p *peer) {
		for r := p.request(); r != nil; r = p.request() {
			if r.Method == "GET" {
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nbegin")
				p.gone()
			}
			p.say(ok)
		}
	})
	for range 50 {
		resp, err := Transport{cl}.RoundTrip(to(t, f.Target, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		begun, read := make(chan struct{}), make(chan string)
		go func() {
			b := make([]byte, 5)
			_, _ = io.ReadFull(resp.Body, b)
			close(begun)
			rest, err := io.ReadAll(resp.Body)
			if err == nil {
				rest = append(rest, " whole"...)
			}
			read <- string(b) + string(rest)
		}()
		<-begun
		reading := func() bool {
			free := resp.Body.(*body).mu.TryLock()
			if free {
				resp.Body.(*body).mu.Unlock()
			}
			return !free
		}
		if !eventually(reading) {
			t.Fatal("nobody reads")
		}
		began := time.Now()
		_ = resp.Body.Close()
		exchanged(t, cl, post(f.Target, "{}"))
		if got := <-read; got != "begin" || time.Since(began) > time.Minute/2 || f.conns.Load() > 101 {
			t.Fatalf("%q after %v", got, time.Since(began))
		}
	}
}

// TestTransportCloseTakesNoTime where a reader waits for what does not come.
func TestTransportCloseTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := piped(t, func(_ int, p *peer) { p.request(); p.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"); p.gone() })
		resp, err := Transport{cl}.RoundTrip(to(t, somewhere, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.ReadAll(resp.Body) }()
		synctest.Wait()
		began := time.Now()
		if _ = resp.Body.Close(); time.Since(began) != 0 || cl.pool.Idle() != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
	})
}

// TestTargetOf holds where URLs lead.
func TestTargetOf(t *testing.T) {
	for text, want := range map[string]string{
		"http://Example.COM/x":         "{false example.com 80}",
		"https://user:pw@example.com":  "{true example.com 443}",
		"https://example.com:8443/":    "{true example.com 8443}",
		"http://[2001:db8::1]:81/":     "{false 2001:db8::1 81}",
		"https://[fe80::1%25eth0]/":    "{true fe80::1%eth0 443}",
		"ftp://example.com/":           "error",
		"//example.com/":               "error",
		"http:///x":                    "error",
		"http://:80/":                  "error",
		"https://example.com:/nothing": "{true example.com 443}",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := TargetOf(u)
		if s := fmt.Sprint(got); s != want && (want != "error" || err == nil) {
			t.Errorf("%s leads to %s, %v", text, s, err)
		}
	}
}
