package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
)

// website serves h on 127.0.0.2 and closes with the test.
func website(t testing.TB, secure bool, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = l
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func client(t testing.TB, g *Guard) *http.Client {
	return exchangetest.Client(t, g.DialContext, nil).HTTP()
}

func TestClientGoesThroughTheGuard(t *testing.T) {
	g := newGuard(t, Config{})
	site := website(t, false, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_, err := client(t, g).Get(site.URL)
	wantRefused(t, err, "127.0.0.2", "loopback")

	// Other programs turn these names into ASCII before they dial.
	for _, host := range []string{"\uff11\uff12\uff17.0.0.1", "127\u30020.0.1", "\u2488\u2488\u2488\u2488"} {
		_, err := client(t, g).Get("http://" + host + "/")
		if _, ok := errors.AsType[*destination.Fault](err); err == nil || !ok && !strings.Contains(err.Error(), "invalid") {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
	}
}

func TestClientFollowsNoRedirect(t *testing.T) {
	var followed atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/metadata", func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		mux.HandleFunc(fmt.Sprintf("/%d", code), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/metadata", code)
		})
	}
	site := website(t, false, mux)
	c := client(t, newGuard(t, Config{Allow: ranges("127.0.0.2/32")}))
	for _, code := range []int{301, 302, 303, 307, 308} {
		resp, err := c.Post(fmt.Sprintf("%s/%d", site.URL, code), "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != code {
			t.Errorf("the answer is %d, want %d itself", resp.StatusCode, code)
		}
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

func TestClientReusesConnectionsWithoutLookups(t *testing.T) {
	var connections atomic.Int32
	site := website(t, false, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	dns := newNames(t, map[string][]string{"site.example": {"127.0.0.2"}})
	c := client(t, newGuard(t, Config{Allow: ranges("127.0.0.2/32"), Resolver: dns.resolver}))
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			connections.Add(1)
		}
	}})
	var asked int
	for i := range 20 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.Replace(site.URL, "127.0.0.2", "site.example", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		dns.mu.Lock()
		if i == 0 {
			asked = dns.asked
		} else if dns.asked != asked {
			t.Fatalf("the name was looked up again for request %d", i)
		}
		dns.mu.Unlock()
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests in a row, want 1", n)
	}
}

func TestClientKeepsTheName(t *testing.T) {
	far := make(chan *http.Request, 1)
	site := website(t, true, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { far <- r }))
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	dns := newNames(t, map[string][]string{"example.com": {"127.0.0.2"}}) // the certificate's name
	asked := make(chan *http.Request, 1)
	out := listen(t, "127.0.0.1:0", relay(asked))
	_, port, _ := net.SplitHostPort(site.Listener.Addr().String())
	for _, proxy := range []string{"", "http://" + out.addr.String()} {
		g := newGuard(t, Config{Allow: ranges("127.0.0.2/32"), Resolver: dns.resolver, Proxy: proxy})
		c := exchangetest.Client(t, g.DialContext, &tls.Config{RootCAs: roots}).HTTP()
		resp, err := c.Get("https://example.com:" + port)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		r := <-far
		if r.TLS.ServerName != "example.com" {
			t.Errorf("proxy %q: the name %q, want example.com", proxy, r.TLS.ServerName)
		}
		if proxy != "" {
			if req := <-asked; req.Host != site.Listener.Addr().String() {
				t.Errorf("the proxy was asked for %s, want the judged address", req.Host)
			}
		}
		c.CloseIdleConnections()
	}
}

func TestClientBoundsWhatItReads(t *testing.T) {
	site := website(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("the client asks for compression")
		}
		w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
	}))
	c := client(t, newGuard(t, Config{Allow: ranges("127.0.0.2/32")}))
	if resp, err := c.Get(site.URL); err == nil {
		resp.Body.Close()
		t.Error("a header of 1 MiB was read")
	}
	if c.Jar != nil {
		t.Error("the client keeps cookies")
	}
}

func TestClientCarriesTheCancellation(t *testing.T) {
	arrived := make(chan struct{})
	release := make(chan struct{})
	site := website(t, false, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-release }))
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, newGuard(t, Config{Allow: ranges("127.0.0.2/32")})).Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context canceled", err)
	}
}
