package netguard

import (
	"net/netip"
	"strings"
	"testing"
)

func newGuard(t testing.TB, c Config) *Guard {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func ranges(texts ...string) (ps []netip.Prefix) {
	for _, s := range texts {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// TestJudgeRanges has the first and last address of every range and, where the
// neighbour is public, the addresses beside it.
func TestJudgeRanges(t *testing.T) {
	g := newGuard(t, Config{})
	for _, c := range []struct {
		addrs string
		why   string // "": permitted
	}{
		{"0.0.0.0 0.0.0.1 0.255.255.255", "this host"},
		{"1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255", ""},
		{"10.0.0.0 10.0.0.1 10.255.255.255", "private"},
		{"11.0.0.0 100.63.255.255", ""},
		{"100.64.0.0 100.100.100.199 100.127.255.255", "carrier-grade"},
		{"100.100.100.200", "metadata"},
		{"100.128.0.0 126.255.255.255", ""},
		{"127.0.0.0 127.0.0.1 127.1.2.3 127.255.255.255", "loopback"},
		{"128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255", ""},
		{"168.63.129.16", "metadata"},
		{"169.254.0.0 169.254.1.1 169.254.255.255", "link-local"},
		{"169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.23 169.254.42.42 192.0.0.192", "metadata"},
		{"169.255.0.0 172.15.255.255", ""},
		{"172.16.0.0 172.17.0.1 172.31.255.255", "private"},
		{"172.32.0.0 191.255.255.255", ""},
		{"192.0.0.0 192.0.0.9 192.0.0.255", "protocol assignments"},
		{"192.0.1.0 192.0.1.255", ""},
		{"192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255", "documentation"},
		{"192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255", ""},
		{"192.88.99.0 192.88.99.1 192.88.99.255", "6to4 relays"},
		{"192.168.0.0 192.168.1.1 192.168.255.255", "private"},
		{"198.18.0.0 198.19.255.255", "benchmarks"},
		{"198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255", ""},
		{"224.0.0.0 224.0.0.1 239.255.255.255", "multicast"},
		{"240.0.0.0 255.0.0.0 255.255.255.254", "reserved"},
		{"255.255.255.255", "broadcast"},

		{"::", "unspecified"},
		{"::1", "loopback"},
		{"::2", "carries 0.0.0.2"},
		{"::7f00:1", "carries 127.0.0.1"},
		{"::8.8.8.8", "IPv4-compatible"},
		{"::ffff:8.8.8.8 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:0.0.0.0 ::ffff:255.255.255.255", "IPv4-mapped"},
		{"::ffff:0:8.8.8.8", "IPv4-translated"},
		{"::ffff:0:10.0.0.1", "carries 10.0.0.1"},
		{"::1:0:0:0 1:: ff:: 1ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 1fff:: 4000:: 8000:: e000:: f000:: 64:ff9a::1 64:ff9b:2::1 100:0:0:2::", "not a public"},
		{"64:ff9b::808:808 64:ff9b::1.1.1.1", "NAT64"},
		{"64:ff9b::7f00:1", "carries 127.0.0.1"},
		{"64:ff9b::169.254.169.254", "metadata"},
		{"64:ff9b:1:: 64:ff9b:1::808:808 64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "local NAT64"},
		{"100:: 100::1 100::ffff:ffff:ffff:ffff", "discard"},
		{"100:0:0:1::", "dummy"},
		{"2000:: 2000::1 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"2001::808:808:0:0:f7f7:f7f7", "Teredo"},
		{"2001:0:a00:1::f7f7:f7f7", "carries 10.0.0.1"},
		{"2001:0:808:808::80ff:fffe", "carries 127.0.0.1"},
		{"2001:1::1 2001:1::2 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "protocol assignments"},
		{"2001:200:: 2001:4860:4860::8888 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::", ""},
		{"2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation"},
		{"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003:: 2606:4700:4700::1111 2a00:1450:4001::1 3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
		{"2002:808:808::1 2002:101:101:ffff:ffff:ffff:ffff:ffff", "6to4"},
		{"2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "carries"},
		{"2002:7f00:1:: 2002:7f00:1::1", "carries 127.0.0.1"},
		{"2002:a00:1::", "carries 10.0.0.1"},
		{"2a00::5efe:8.8.8.8 2a00::200:5efe:8.8.8.8", "ISATAP"},
		{"2a00::5efe:10.0.0.1 2a00::200:5efe:10.0.0.1", "carries 10.0.0.1"},
		{"2a00::5efd:10.0.0.1 2a00::100:5efe:10.0.0.1", ""},
		{"5f00:: 5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "segment routing"},
		{"5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 5f01::", "not a public"},
		{"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not a public"},
		{"fc00:: fd00::1 fd12:3456:789a::1 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique local"},
		{"fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42 fd00:c1::a9fe:a9fe", "metadata"},
		{"fe00:: fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not a public"},
		{"fe80:: fe80::1 febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local"},
		{"fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local"},
		{"ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast"},
		{"fe80::1%lo 2606:4700::1111%eth0 ::1%1 ::ffff:8.8.8.8%1", "zone"},
	} {
		for s := range strings.FieldsSeq(c.addrs) {
			v := g.judge(netip.MustParseAddr(s))
			if c.why == "" && !v.permitted() {
				t.Errorf("%s is refused (%s), want it permitted", s, v.why)
			}
			if c.why != "" && (v.permitted() || !strings.Contains(v.why, c.why)) {
				t.Errorf("%s: verdict %q, want a refusal with %q", s, v.why, c.why)
			}
		}
	}
	if g.judge(netip.Addr{}).permitted() {
		t.Error("no address at all is permitted")
	}
}

func TestAllowPermitsAndDenyWins(t *testing.T) {
	for _, c := range []struct {
		name, allow, deny string
		addr              string
		why               string
	}{
		{"range", "10.0.0.0/8", "", "10.1.2.3", ""},
		{"beside the range", "10.0.0.0/16", "", "10.1.0.0", "private"},
		{"range not on its boundary", "10.1.2.3/8", "", "10.200.0.1", ""},
		{"loopback", "127.0.0.2/32", "", "127.0.0.2", ""},
		{"loopback neighbour", "127.0.0.2/32", "", "127.0.0.1", "loopback"},
		{"unique local", "fd00::/8", "", "fd00::1", ""},
		{"wide IPv4 range is no IPv6 range", "0.0.0.0/0", "", "fd00::1", "unique local"},
		{"wide IPv6 range is no IPv4 range", "::/0", "", "10.0.0.1", "private"},
		{"deny a public range", "", "8.8.8.0/24", "8.8.8.8", "egress.deny"},
		{"deny inside allow", "10.0.0.0/8", "10.1.0.0/16", "10.1.0.1", "egress.deny"},
		{"deny around allow", "10.1.0.0/16", "10.0.0.0/8", "10.1.0.1", "egress.deny"},
		{"deny and allow the same", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.1", "egress.deny"},
		{"metadata needs its own entry", "169.254.0.0/16 0.0.0.0/0", "", "169.254.169.254", "metadata"},
		{"metadata by its own entry", "169.254.169.254/32", "", "169.254.169.254", ""},
		{"metadata by its own entry beside a wide one", "169.254.0.0/16 169.254.169.254/32", "", "169.254.169.254", ""},
		{"link-local beside metadata", "169.254.0.0/16", "", "169.254.169.253", ""},
		{"public metadata", "168.0.0.0/8", "", "168.63.129.16", "metadata"},
		{"NAT64 to public", "64:ff9b::/96", "", "64:ff9b::8.8.8.8", ""},
		{"NAT64 to private", "64:ff9b::/96", "", "64:ff9b::10.0.0.1", "carries 10.0.0.1"},
		{"NAT64 to private that is allowed", "64:ff9b::/96 10.0.0.0/8", "", "64:ff9b::10.0.0.1", ""},
		{"NAT64 to denied", "64:ff9b::/96", "8.8.8.0/24", "64:ff9b::8.8.8.8", "egress.deny"},
		{"local NAT64 /48 to public", "64:ff9b:1::/48", "", "64:ff9b:1:808:8:800::", ""},
		{"local NAT64 /48 to private", "64:ff9b:1::/48", "", "64:ff9b:1:a00:0:100::", "carries 10.0.0.1"},
		{"local NAT64 /56 to public", "64:ff9b:1:100::/56", "", "64:ff9b:1:108:8:808::", ""},
		{"local NAT64 /56 to private", "64:ff9b:1:100::/56", "", "64:ff9b:1:10a:0:1::", "carries 10.0.0.1"},
		{"local NAT64 /64 to public", "64:ff9b:1:1::/64", "", "64:ff9b:1:1:8:808:800:0", ""},
		{"local NAT64 /64 to private", "64:ff9b:1:1::/64", "", "64:ff9b:1:1:a:0:100:0", "carries 10.0.0.1"},
		{"local NAT64 /96 to public", "64:ff9b:1::/96", "", "64:ff9b:1::8.8.8.8", ""},
		{"local NAT64 /96 to private", "64:ff9b:1::/96", "", "64:ff9b:1::10.0.0.1", "carries 10.0.0.1"},
		{"local NAT64 by a wider range", "64:ff9b::/32", "", "64:ff9b:1:808:8:808:0a00:1", "carries"},
		{"6to4 to public", "2002::/16", "", "2002:808:808::1", ""},
		{"6to4 to private", "2002::/16", "", "2002:a00:1::1", "carries 10.0.0.1"},
		{"Teredo server private", "2001::/32", "", "2001:0:a00:1::f7f7:f7f7", "carries 10.0.0.1"},
		{"Teredo client private", "2001::/32", "", "2001:0:808:808::f5ff:fffe", "carries 10.0.0.1"},
		{"Teredo to public", "2001::/32", "", "2001:0:808:808::f7f7:f7f7", ""},
		{"compatible to private", "::/0", "", "::10.0.0.1", "carries 10.0.0.1"},
		{"translated to private", "::/0", "", "::ffff:0:10.0.0.1", "carries 10.0.0.1"},
		{"ISATAP to private", "2a00::/16", "", "2a00::5efe:10.0.0.1", "carries 10.0.0.1"},
		{"ISATAP to public", "2a00::/16", "", "2a00::5efe:8.8.8.8", ""},
		{"loopback in IPv6", "::1/128", "", "::1", ""},
		{"mapped, everything allowed", "::/0 0.0.0.0/0", "", "::ffff:8.8.8.8", "IPv4-mapped"},
		{"zone, everything allowed", "::/0 0.0.0.0/0", "", "fe80::1%lo", "zone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuard(t, Config{Allow: ranges(strings.Fields(c.allow)...), Deny: ranges(strings.Fields(c.deny)...)})
			v := g.judge(netip.MustParseAddr(c.addr))
			if v.permitted() != (c.why == "") || !strings.Contains(v.why, c.why) {
				t.Errorf("%s: verdict %q, want %q", c.addr, v.why, c.why)
			}
		})
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := New(Config{
		Allow:  []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")},
		Deny:   []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96")},
		Source: []netip.Addr{{}, netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("fe80::1%lo")},
		Proxy:  "http://u:hunter2@proxy",
	})
	if err == nil {
		t.Fatal("New accepted it")
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 8 {
		t.Errorf("%d faults, want 8:\n%v", n, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the proxy's password is in the error: %v", err)
	}
}

// FuzzJudge looks for an address that is permitted though an IPv4 address
// lies inside of it that is not.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"::1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::1", "2001::f5ff:fffe", "::ffff:10.0.0.1", "2a00::5efe:10.0.0.1", "8.8.8.8"} {
		a := netip.MustParseAddr(s)
		f.Add(a.AsSlice(), uint8(0))
		f.Add(a.AsSlice(), uint8(96))
	}
	public := newGuard(f, Config{})
	f.Fuzz(func(t *testing.T, b []byte, bits uint8) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		guards := []*Guard{public, newGuard(t, Config{Allow: ranges("::/0")})}
		if p, err := a.Prefix(int(bits)); err == nil && a.Is6() && !a.Is4In6() {
			guards = append(guards, newGuard(t, Config{Allow: []netip.Prefix{p}}))
		}
		for _, g := range guards {
			if !g.judge(a).permitted() {
				continue
			}
			if a.Is4In6() {
				t.Fatalf("%v is permitted", a)
			}
			for _, inner := range carried(a, narrowest(g.allow, a).Bits()) {
				if v := public.judge(inner); !v.permitted() {
					t.Fatalf("%v is permitted (allow %v) though it carries %v: %s", a, g.allow, inner, v.why)
				}
			}
		}
	})
}

// carried finds embedded IPv4 addresses by hexadecimal text, independently of embedded.
func carried(a netip.Addr, bits int) (found []netip.Addr) {
	if !a.Is6() || a == netip.IPv6Loopback() || a == netip.IPv6Unspecified() {
		return nil
	}
	hex := strings.ReplaceAll(a.StringExpanded(), ":", "")
	at := func(i int, skip string) {
		digits := strings.Replace(hex[i:min(i+8+len(skip), 32)], skip, "", 1)
		if skip != "" {
			digits = hex[i:16] + hex[18:18+8-(16-i)]
		}
		v4, _ := netip.ParseAddr("::" + digits[:4] + ":" + digits[4:])
		b := v4.As16()
		found = append(found, netip.AddrFrom4([4]byte(b[12:])))
	}
	switch {
	case strings.HasPrefix(hex, strings.Repeat("0", 24)),
		strings.HasPrefix(hex, "0000000000000000ffff0000"),
		strings.HasPrefix(hex, "0064ff9b0000000000000000"):
		at(24, "")
	case strings.HasPrefix(hex, "0064ff9b0001"):
		switch bits {
		case 48:
			at(12, "u")
		case 56:
			at(14, "u")
		case 64:
			at(18, "")
		case 96:
			at(24, "")
		}
	case strings.HasPrefix(hex, "2002"):
		at(4, "")
	case strings.HasPrefix(hex, "20010000"):
		at(8, "")
		b := a.As16()
		found = append(found, netip.AddrFrom4([4]byte{255 - b[12], 255 - b[13], 255 - b[14], 255 - b[15]}))
	case hex[16:24] == "00005efe", hex[16:24] == "02005efe":
		at(24, "")
	}
	return found
}

func FuzzLiteral(f *testing.F) {
	for _, s := range []string{"0177.0.0.1", "2130706433", "0x7f.1", "acme.example.", "::1%lo", "é", "..", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		a, ok, err := literal(host)
		if ok && (err != nil || !a.IsValid()) {
			t.Errorf("%q is an address and a fault: %v %v", host, a, err)
		}
	})
}
