package netguard

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// relay is a proxy that does as it is told, and hands over what it was asked.
func relay(asked chan<- *http.Request) func(net.Conn) {
	return func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		asked <- req
		forward(c, req)
	}
}

// forward does what req asks for.
func forward(c net.Conn, req *http.Request) {
	far, err := net.Dial("tcp", req.Host)
	if err != nil {
		io.WriteString(c, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	defer far.Close()
	io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(far, c); far.Close() }()
	io.Copy(c, far)
}

// TestProxyThatCannotReachTheFirstAddress: some proxies say so, others say nothing.
func TestProxyThatCannotReachTheFirstAddress(t *testing.T) {
	far := listen(t, "127.0.0.9:0", greet("far"))
	dead := addressOf("127.0.0.3", far)
	dns := newNames(t, map[string][]string{"half.example": {"127.0.0.3 127.0.0.9"}})
	for _, says := range []string{"HTTP/1.1 503 Service Unavailable\r\n\r\n", ""} {
		asked := make(chan string, 10)
		out := listen(t, "127.0.0.1:0", func(c net.Conn) {
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			asked <- req.Host
			if req.Host == dead {
				io.WriteString(c, says)
				io.Copy(io.Discard, c) // until the guard hangs up
				return
			}
			forward(c, req)
		})
		g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.0/8"), Proxy: "http://" + out.addr.String()})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 2 {
			c, err := g.DialContext(ctx, "tcp", addressOf("half.example", far))
			if err != nil {
				t.Fatal(err)
			}
			greeting(t, c, "far")
			c.Close()
		}
		// The address that answered is remembered, and comes first.
		for i, want := range []string{dead, far.addr.String(), far.addr.String()} {
			if got := <-asked; got != want {
				t.Errorf("%q: CONNECT %d was for %s, want %s", says, i, got, want)
			}
		}
	}
}

// TestTunnelShowsItsSocket: only the socket tells whether a kept connection is alive.
func TestTunnelShowsItsSocket(t *testing.T) {
	out := listen(t, "127.0.0.1:0", say("HTTP/1.1 200 OK\r\n\r\n"))
	c, err := newGuard(t, Config{Proxy: "http://" + out.addr.String()}).DialContext(t.Context(), "tcp", "8.8.8.8:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	below, ok := c.(interface{ NetConn() net.Conn })
	if !ok {
		t.Fatalf("a %T does not show what is beneath it", c)
	}
	if _, ok := below.NetConn().(syscall.Conn); !ok {
		t.Errorf("a %T has no socket", below.NetConn())
	}
}

func TestProxyIsAskedForTheJudgedAddress(t *testing.T) {
	far := listen(t, "127.0.0.2:0", greet("far"))
	asked := make(chan *http.Request, 10)
	out := listen(t, "127.0.0.1:0", relay(asked)) // a loopback proxy needs no permission
	dns := newNames(t, map[string][]string{
		"far.example":   {"127.0.0.2", "127.0.0.1"},
		"bad.example":   {"127.0.0.1"},
		"proxy.example": {"127.0.0.1"},
	})
	for _, proxy := range []string{out.addr.String(), addressOf("proxy.example", out)} {
		g := newGuard(t, Config{
			Resolver: dns.resolver,
			Allow:    ranges("127.0.0.2/32"),
			Proxy:    "http://us%40er:p%3Ass@" + proxy,
			Source:   []netip.Addr{netip.MustParseAddr("127.0.0.8")},
		})
		dns.mu.Lock()
		dns.answers["far.example"] = []string{"127.0.0.2", "127.0.0.1"}
		dns.mu.Unlock()
		c, err := g.DialContext(t.Context(), "tcp", addressOf("far.example", far))
		if err != nil {
			t.Fatal(err)
		}
		greeting(t, c, "far")
		if got := c.RemoteAddr().String(); got != far.addr.String() {
			t.Errorf("the remote address is %s, want the far side's %s", got, far.addr)
		}
		c.Close()
		req := <-asked
		if req.Method != http.MethodConnect || req.Host != far.addr.String() {
			t.Errorf("the proxy was asked %s %s, want CONNECT %s", req.Method, req.Host, far.addr)
		}
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("us@er:p:ss"))
		if got := req.Header.Get("Proxy-Authorization"); got != want {
			t.Errorf("Proxy-Authorization is %q, want %q", got, want)
		}
		_, err = g.DialContext(t.Context(), "tcp", addressOf("bad.example", far))
		wantRefused(t, err, "bad.example at 127.0.0.1", "loopback")
		if len(asked) > 0 {
			t.Error("the proxy was asked for a refused address")
		}
	}
	for _, a := range out.peers() {
		if a.String() != "127.0.0.8" {
			t.Errorf("the proxy was connected to from %v, not from egress.source", a)
		}
	}
}

func TestProxyIsNeverTakenFromTheEnvironment(t *testing.T) {
	out := listen(t, "127.0.0.1:0", greet("proxy"))
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, "http://"+out.addr.String())
	}
	if f := newGuard(t, Config{}).client().Transport.(*http.Transport).Proxy; f != nil {
		t.Error("the client has a proxy function")
	}
	_, err := newGuard(t, Config{}).DialContext(t.Context(), "tcp", "127.0.0.1:80")
	wantRefused(t, err, "loopback")
	if len(out.peers()) > 0 {
		t.Error("the proxy of the environment was used")
	}
}

// say answers CONNECT with text and holds the line.
func say(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, text)
		io.Copy(io.Discard, c)
	}
}

func TestProxyFailuresAreTransientAndTellNoSecrets(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve func(net.Conn)
		want  string
	}{
		{"unauthorised", say("HTTP/1.1 407 hunter2\r\nProxy-Authenticate: hunter2\r\n\r\n"), "it answered 407 Proxy Authentication Required"},
		{"refused", say("HTTP/1.1 403 Forbidden\r\n\r\n"), "it answered 403 Forbidden"},
		{"other success", say("HTTP/1.1 204 No\r\n\r\n"), "it answered 204"},
		{"unreachable", say("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "it answered 502"},
		{"informational", say("HTTP/1.1 100 Continue\r\n\r\n"), "it answered 100"},
		{"no HTTP", say("SSH-2.0-hunter2\r\n\r\n"), "not HTTP"},
		{"endless header", say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxProxyAnswer)), "its answer is too long"},
		{"hangs up", func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)) }, "not HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := listen(t, "127.0.0.1:0", c.serve)
			g := newGuard(t, Config{Proxy: "http://user:hunter2@" + out.addr.String()})
			_, err := g.DialContext(t.Context(), "tcp", "8.8.8.8:443")
			if err == nil || classOf(err) != destination.Transient || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want transient with %q", err, c.want)
			}
			if !strings.Contains(err.Error(), "8.8.8.8:443") {
				t.Errorf("%q does not name the target", err)
			}
			text := fmt.Sprintf("%v %+v %q", err, err, err)
			for _, secret := range []string{"hunter2", base64.StdEncoding.EncodeToString([]byte("user:hunter2")), out.addr.String()} {
				if strings.Contains(text, secret) {
					t.Errorf("%q shows %q", text, secret)
				}
			}
		})
	}
}

func TestProxyThatIsDownOrHangs(t *testing.T) {
	const down = "127.0.0.1:1"
	g := newGuard(t, Config{Proxy: "http://" + down})
	_, err := g.DialContext(t.Context(), "tcp", "8.8.8.8:443")
	if err == nil || classOf(err) != destination.Transient || strings.Contains(err.Error(), down) {
		t.Errorf("proxy down: %v, want transient without its address", err)
	}

	// A fault of this machine keeps its class, and its text does not name the proxy.
	g = newGuard(t, Config{Proxy: "http://" + down, Source: []netip.Addr{netip.MustParseAddr("8.8.8.8")}})
	_, err = g.DialContext(t.Context(), "tcp", "8.8.4.4:443")
	if !errors.Is(err, destination.ErrEngine) || strings.Contains(err.Error(), down) {
		t.Errorf("no source address: %v, want an engine fault without the proxy's address", err)
	}

	asked := make(chan struct{})
	out := listen(t, "127.0.0.1:0", func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		close(asked)
		io.Copy(io.Discard, c)
	})
	g = newGuard(t, Config{Proxy: "http://" + out.addr.String()})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err = g.DialContext(ctx, "tcp", "8.8.8.8:443")
	if !errors.Is(err, context.Canceled) || classOf(err) != destination.Transient {
		t.Errorf("cancelled while the proxy hangs: %v, want context canceled", err)
	}
}

// TestProxyKeepsWhatTheFarSideSaysFirst: MySQL's greeting may share a packet
// with the proxy's answer.
func TestProxyKeepsWhatTheFarSideSaysFirst(t *testing.T) {
	out := listen(t, "127.0.0.1:0", say("HTTP/1.1 200 OK\r\n\r\ngreeting"))
	g := newGuard(t, Config{Proxy: "http://" + out.addr.String()})
	c, err := g.DialContext(t.Context(), "tcp", "8.8.8.8:3306")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	greeting(t, c, "greet")
	greeting(t, c, "ing")
}

func TestProxySetting(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"http://proxy:3128", true},
		{"http://u:p@10.0.0.1:3128/", true},
		{"http://[fd00::1]:3128", true},
		{"proxy:3128", false},
		{"//proxy:3128", false},
		{"https://proxy:3128", false},
		{"socks5://proxy:1080", false},
		{"http://proxy", false},
		{"http://proxy:0", false},
		{"http://:3128", false},
		{"http://proxy:3128/path", false},
		{"http://proxy:3128?q", false},
		{"http://proxy:3128#f", false},
		{"http://hunter2@pro xy:3128", false},
	} {
		_, err := New(Config{Proxy: c.text})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v, want ok = %v", c.text, err, c.ok)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the setting: %v", err)
		}
	}
}
