package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func addressOf(host string, s *server) string {
	return net.JoinHostPort(host, fmt.Sprint(s.addr.Port()))
}

// wantRefused asserts a refusal that names the host and says why.
func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	f, ok := errors.AsType[*destination.Fault](err)
	if !ok || f.Class != destination.Misconfigured {
		t.Fatalf("%v (%T) is no refusal", err, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q does not say %q", err, p)
		}
	}
}

func TestDialRefuses(t *testing.T) {
	victim := listen(t, "127.0.0.1:0", greet("victim"))
	dns := newNames(t, map[string][]string{
		"rebind.example":  {"127.0.0.1"},
		"six.example":     {"::1"},
		"mapped.example":  {"::ffff:127.0.0.1"},
		"nat64.example":   {"64:ff9b::7f00:1"},
		"several.example": {"10.0.0.1 127.0.0.1 fd00::1"},
		"a.0177.example":  {"127.0.0.1"},
		"localhost":       {"127.0.0.1"}, // for machines whose files do not name it
	})
	g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.2/32")})
	port := fmt.Sprint(victim.addr.Port())
	for _, c := range []struct{ network, address, why string }{
		{"tcp", "127.0.0.1:" + port, "loopback"},
		{"tcp4", "127.0.0.1:" + port, "loopback"},
		{"tcp", "127.0.0.1.:" + port, "loopback"},
		{"tcp", "localhost:" + port, "loopback"},
		{"tcp", "LOCALHOST:" + port, "loopback"},
		{"tcp", "localhost.:" + port, "loopback"},
		{"tcp", "rebind.example:" + port, "rebind.example at 127.0.0.1 are refused: it is a loopback address; the operator can permit it with egress.allow"},
		{"tcp", "ReBind.Example.:" + port, "loopback"},
		{"tcp", "six.example:" + port, "loopback"},
		{"tcp", "mapped.example:" + port, "loopback"},
		{"tcp", "nat64.example:" + port, "carries 127.0.0.1"},
		{"tcp", "several.example:" + port, "several.example at "},
		{"tcp", "a.0177.example:" + port, "loopback"},
		{"tcp", "[::1]:" + port, "loopback"},
		{"tcp6", "[::1]:" + port, "loopback"},
		{"tcp", "[::]:" + port, "unspecified"},
		{"tcp", "0.0.0.0:" + port, "this host"},
		{"tcp", "[::ffff:127.0.0.1]:" + port, "IPv4-mapped"},
		{"tcp", "[::ffff:7f00:1]:" + port, "IPv4-mapped"},
		{"tcp", "[::127.0.0.1]:" + port, "carries 127.0.0.1"},
		{"tcp", "[::1%lo]:" + port, "zone"},
		{"tcp", "[fe80::1%25lo]:" + port, "zone"},
		{"tcp", "169.254.169.254:80", "metadata"},
		{"tcp", "[fd00:ec2::254]:80", "metadata"},
		{"tcp", "0177.0.0.1:" + port, "usual form"},
		{"tcp", "0177.0.0.1.:" + port, "usual form"},
		{"tcp", "127.1:" + port, "usual form"},
		{"tcp", "127.0.1:" + port, "usual form"},
		{"tcp", "2130706433:" + port, "usual form"},
		{"tcp", "017700000001:" + port, "usual form"},
		{"tcp", "0x7f.1:" + port, "usual form"},
		{"tcp", "0x7f000001:" + port, "usual form"},
		{"tcp", "0X7F000001:" + port, "usual form"},
		{"tcp", "0x7f.0x0.0x0.0x1:" + port, "usual form"},
		{"tcp", "127.0.0.0x1:" + port, "usual form"},
		{"tcp", "127.0.0.01:" + port, "usual form"},
		{"tcp", "127.0.0.1.0:" + port, "usual form"},
		{"tcp", "256.0.0.1:" + port, "usual form"},
		{"tcp", "127.0.0.1..:" + port, "usual form"},
		{"tcp", "example.0x:" + port, "usual form"},
		{"tcp", ".:" + port, "usual form"},
		{"tcp", "\uff11\uff12\uff17.0.0.1:" + port, "usual form"},
		{"tcp", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:" + port, "beyond ASCII"},
		{"tcp", "b\u00fccher.example:" + port, "xn--"},
		{"tcp", "a b.example:" + port, "characters"},
		{"tcp", "a\x00.example:" + port, "characters"},
		{"tcp", "a@b.example:" + port, "characters"},
		{"tcp", "[::g]:" + port, "neither a name nor an address"},
		{"tcp", "[rebind.example%lo]:" + port, "neither a name nor an address"},
		{"tcp", ":" + port, "host is missing"},
		{"tcp", "", "not host:port"},
		{"tcp", "rebind.example", "not host:port"},
		{"tcp", "::1:" + port, "not host:port"},
		{"tcp", "rebind.example:0", "not a port"},
		{"tcp", "rebind.example:", "not a port"},
		{"tcp", "rebind.example:65536", "not a port"},
		{"tcp", "rebind.example:-1", "not a port"},
		{"tcp", "rebind.example:+80", "not a port"},
		{"tcp", "rebind.example:http", "not a port"},
		{"unix", "/var/run/docker.sock", "only TCP"},
		{"udp", "8.8.8.8:53", "only TCP"},
		{"ip", "8.8.8.8", "only TCP"},
		{"", "8.8.8.8:53", "only TCP"},
	} {
		t.Run(fmt.Sprintf("%s %q", c.network, c.address), func(t *testing.T) {
			conn, err := g.DialContext(t.Context(), c.network, c.address)
			if err == nil {
				conn.Close()
			}
			wantRefused(t, err, c.why)
		})
	}
	if p := victim.peers(); len(p) > 0 {
		t.Errorf("the victim was connected to %d times", len(p))
	}
}

func TestDialConnectsToWhatWasJudged(t *testing.T) {
	victim := listen(t, "127.0.0.1:0", greet("victim")) // first: ports of 127.0.0.1 are taken by other programs too
	good := listen(t, fmt.Sprintf("127.0.0.2:%d", victim.addr.Port()), greet("good"))
	dns := newNames(t, map[string][]string{
		"turns.example": {"127.0.0.2", "127.0.0.1"}, // good when judged, bad when asked again
		"mixed.example": {"127.0.0.1 127.0.0.2 169.254.169.254 ::1"},
	})
	g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.2/32")})
	for _, name := range []string{"turns.example", "mixed.example", "127.0.0.2", "127.0.0.2."} {
		c, err := g.DialContext(t.Context(), "tcp", addressOf(name, good))
		if err != nil {
			t.Fatal(err)
		}
		greeting(t, c, "good")
		if got := c.RemoteAddr().String(); got != good.addr.String() {
			t.Errorf("%s: connected to %s, want %s", name, got, good.addr)
		}
		c.Close()
	}
	_, err := g.DialContext(t.Context(), "tcp", addressOf("turns.example", good))
	wantRefused(t, err, "turns.example at 127.0.0.1")
	if p := victim.peers(); len(p) > 0 {
		t.Errorf("the victim was connected to %d times", len(p))
	}
}

func TestDialKeepsToTheNetwork(t *testing.T) {
	dns := newNames(t, map[string][]string{"both.example": {"127.0.0.2 ::1"}, "four.example": {"127.0.0.2"}})
	g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.2/32", "::1/128")})
	for _, c := range []struct{ network, host, want string }{
		{"tcp4", "both.example", "127.0.0.2:80"},
		{"tcp6", "both.example", "[::1]:80"},
		{"tcp4", "four.example", "127.0.0.2:80"},
	} {
		got, err := g.targets(t.Context(), c.network, c.host+":80")
		if err != nil || len(got) != 1 || got[0].String() != c.want {
			t.Errorf("%s %s: %v, %v; want %s", c.network, c.host, got, err, c.want)
		}
	}
	if _, err := g.targets(t.Context(), "tcp6", "four.example:80"); err == nil || classOf(err) != destination.Transient {
		t.Errorf("no address of the family: %v, want a transient error", err)
	}
}

func classOf(err error) destination.Class {
	c, _ := destination.ClassOf(err)
	return c
}

func TestFailuresThatMayPassAreTransient(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	dns := newNames(t, map[string][]string{"broken.example": {"fail"}, "none.example": {""}, "silent.example": {"silence"}})
	g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.2/32")})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx           context.Context
		address, want string
	}{
		{t.Context(), "unknown.example:80", "resolve unknown.example: no such host"},
		{t.Context(), "none.example:80", "resolve none.example: no such host"},
		{t.Context(), "broken.example:80", "resolve broken.example: server misbehaving"},
		{t.Context(), fmt.Sprintf("127.0.0.2:%d", port), fmt.Sprintf("connect to 127.0.0.2:%d: connection refused", port)},
		{cancelled, "silent.example:80", "operation was canceled"},
	} {
		_, err := g.DialContext(c.ctx, "tcp", c.address)
		if err == nil || classOf(err) != destination.Transient || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want transient with %q", c.address, err, c.want)
		}
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), "127.0.0.1:") {
			t.Errorf("%s: the text shows the machine's own addresses: %+v", c.address, err)
		}
	}
}

func TestFaultsOfTheMachineAreTheEngines(t *testing.T) {
	for _, c := range []struct {
		err    error
		bound  bool
		engine bool
	}{
		{syscall.EMFILE, false, true},
		{syscall.ENFILE, false, true},
		{syscall.ENOBUFS, false, true},
		{syscall.EADDRNOTAVAIL, true, true},
		{syscall.EADDRNOTAVAIL, false, false},
		{syscall.ECONNREFUSED, true, false},
		{syscall.ENETUNREACH, false, false},
	} {
		err := dialFailure("192.0.2.1:80", c.bound, &net.OpError{Op: "dial", Err: c.err})
		if errors.Is(err, destination.ErrEngine) != c.engine {
			t.Errorf("%v bound=%v: engine fault = %v, want %v", c.err, c.bound, !c.engine, c.engine)
		}
	}
	g := newGuard(t, Config{Allow: ranges("127.0.0.2/32"), Source: []netip.Addr{netip.MustParseAddr("8.8.8.8")}})
	if _, err := g.DialContext(t.Context(), "tcp", "127.0.0.2:80"); !errors.Is(err, destination.ErrEngine) {
		t.Errorf("a source address the machine does not have: %v, want an engine fault", err)
	}
}

func TestSourcesTakeTurns(t *testing.T) {
	far := listen(t, "127.0.0.2:0", greet("far"))
	g := newGuard(t, Config{
		Allow:  ranges("127.0.0.2/32", "::1/128"),
		Source: []netip.Addr{netip.MustParseAddr("127.0.0.5"), netip.MustParseAddr("127.0.0.6"), netip.MustParseAddr("127.0.0.7")},
	})
	for range 6 {
		c, err := g.DialContext(t.Context(), "tcp", far.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		greeting(t, c, "far")
		c.Close()
	}
	count := map[string]int{}
	for _, a := range far.peers() {
		count[a.String()]++
	}
	for _, a := range []string{"127.0.0.5", "127.0.0.6", "127.0.0.7"} {
		if count[a] != 2 {
			t.Errorf("connections by source: %v, want 2 each", count)
			break
		}
	}
	_, err := g.DialContext(t.Context(), "tcp", "[::1]:80")
	wantRefused(t, err, "egress.source has no address of that family")

	g.resolver = newNames(t, map[string][]string{"both.example": {"::1 127.0.0.2"}}).resolver
	got, err := g.targets(t.Context(), "tcp", "both.example:80")
	if err != nil || fmt.Sprint(got) != "[127.0.0.2:80]" {
		t.Errorf("of both families: %v, %v; want the one that there is a source for", got, err)
	}
}
