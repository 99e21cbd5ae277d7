package netguard

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestLastGoodComesFirst: only if the name server still names it and it is permitted. Remembering
// an address permits nothing.
func TestLastGoodComesFirst(t *testing.T) {
	var many strings.Builder
	for i := range 60 {
		fmt.Fprintf(&many, "8.8.8.%d ", i)
	}
	dns := newNames(t, map[string][]string{
		"site.example":    {"8.8.8.8 8.8.4.4 2606:4700::1"},
		"many.example":    {many.String()},
		"private.example": {"8.8.8.8 8.8.4.4 10.0.0.1"},
		"moved.example":   {"8.8.8.8 1.1.1.1"},
	})
	for _, c := range []struct{ host, last, want string }{
		{"site.example", "", "8.8.8.8:443 [2606:4700::1]:443 8.8.4.4:443"},
		{"site.example", "8.8.4.4", "8.8.4.4:443 [2606:4700::1]:443 8.8.8.8:443"},
		{"site.example", "2606:4700::1", "[2606:4700::1]:443 8.8.8.8:443 8.8.4.4:443"},
		{"many.example", "8.8.8.50", "8.8.8.50:443 8.8.8.0:443 8.8.8.1:443 8.8.8.2:443 8.8.8.3:443 8.8.8.4:443 8.8.8.5:443 8.8.8.6:443"},
		{"private.example", "10.0.0.1", "8.8.8.8:443 8.8.4.4:443"},
		{"moved.example", "8.8.4.4", "8.8.8.8:443 1.1.1.1:443"},
	} {
		g := newGuard(t, Config{Resolver: dns.resolver})
		g.lastGood.set("other.example:443", netip.MustParseAddr("8.8.8.9"))
		if c.last != "" {
			g.lastGood.set(c.host+":443", netip.MustParseAddr(c.last))
		}
		got, err := g.targets(t.Context(), "tcp", c.host+":443")
		// Without a memory, the machine decides which family comes first.
		if c.last == "" && err == nil && got[0].Addr().Is6() {
			c.want = "[2606:4700::1]:443 8.8.8.8:443 8.8.4.4:443"
		}
		if text := fmt.Sprint(got); err != nil || text != "["+c.want+"]" {
			t.Errorf("%s after %q: %v, %v; want %s", c.host, c.last, text, err, c.want)
		}
	}
}

func TestLastGoodExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lastGood
		a := netip.MustParseAddr("8.8.8.8")
		if got := l.get("site.example:443"); got.IsValid() {
			t.Errorf("nothing was remembered, got %v", got)
		}
		l.set("site.example:443", a)
		for i := range lastGoodNames / 2 {
			l.set(fmt.Sprintf("%d.example:443", i), a) // moves it to older
		}
		time.Sleep(lastGoodFor - 1)
		if got := l.get("site.example:443"); got != a {
			t.Errorf("just before the end: %v, want %v", got, a)
		}
		time.Sleep(time.Nanosecond)
		if got := l.get("site.example:443"); got.IsValid() {
			t.Errorf("after the end, though in use: %v", got)
		}
	})
}

// TestLastGoodIsBounded: a flood of names displaces names that nobody has asked for since, and
// takes no more room.
func TestLastGoodIsBounded(t *testing.T) {
	var l lastGood
	a := netip.MustParseAddr("8.8.8.8")
	l.set("used.example:443", a)
	l.set("idle.example:443", a)
	for i := range 3 * lastGoodNames {
		l.set(fmt.Sprintf("%d.example:443", i), a)
		if got := l.get("used.example:443"); got != a {
			t.Fatalf("what is in use was forgotten after %d others", i)
		}
		if n := len(l.recent) + len(l.older); n > lastGoodNames {
			t.Fatalf("%d names, want at most %d", n, lastGoodNames)
		}
	}
	if l.get("idle.example:443").IsValid() {
		t.Error("what nobody asked for is remembered")
	}
}
