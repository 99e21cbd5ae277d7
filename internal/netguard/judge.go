package netguard

import (
	"fmt"
	"net/netip"
	"slices"
)

// rule says why a range is refused unless it is allowed.
type rule struct {
	prefix netip.Prefix
	why    string
}

// refused lists what is not the public internet, narrower ranges before wider ones. Sources: the
// IANA special-purpose registries for IPv4 and IPv6. IPv6 is permitted by 2000::/3 alone, the
// only block that IANA assigns from. The IPv6 entries outside of it are there to give a reason.
var refused = []rule{
	rules("0.0.0.0/8", "an address of this host"),
	rules("10.0.0.0/8", "a private address"),
	rules("100.64.0.0/10", "an address shared behind carrier-grade NAT"),
	rules("127.0.0.0/8", "a loopback address"),
	rules("169.254.0.0/16", "a link-local address"),
	rules("172.16.0.0/12", "a private address"),
	rules("192.0.0.0/24", "an address for protocol assignments"),
	rules("192.0.2.0/24", "an address for documentation"),
	rules("192.88.99.0/24", "an address of 6to4 relays"),
	rules("192.168.0.0/16", "a private address"),
	rules("198.18.0.0/15", "an address for benchmarks"),
	rules("198.51.100.0/24", "an address for documentation"),
	rules("203.0.113.0/24", "an address for documentation"),
	rules("224.0.0.0/4", "a multicast address"),
	rules("255.255.255.255/32", "the broadcast address"),
	rules("240.0.0.0/4", "a reserved address"),

	rules("::/128", "the unspecified address"),
	rules("::1/128", "a loopback address"),
	rules("::ffff:0:0/96", "an IPv4-mapped address"),
	rules("::ffff:0:0:0/96", "an IPv4-translated address"),
	rules("::/96", "an IPv4-compatible address"),
	rules("64:ff9b::/96", "a NAT64 address"),
	rules("64:ff9b:1::/48", "a local NAT64 address"),
	rules("100::/64", "a discard address"),
	rules("100:0:0:1::/64", "a dummy address"),
	rules("2001::/32", "a Teredo address"),
	rules("2001::/23", "an address for protocol assignments"),
	rules("2001:db8::/32", "an address for documentation"),
	rules("2002::/16", "a 6to4 address"),
	rules("3fff::/20", "an address for documentation"),
	rules("5f00::/16", "a segment routing address"),
	rules("fc00::/7", "a unique local address"),
	rules("fe80::/10", "a link-local address"),
	rules("fec0::/10", "a site-local address"),
	rules("ff00::/8", "a multicast address"),
}

func rules(prefix, why string) rule { return rule{netip.MustParsePrefix(prefix), why} }

var globalUnicast = netip.MustParsePrefix("2000::/3")

// metadata are the addresses where clouds hand credentials to their machines,
// some of them public (Azure). A wider range in Allow does not open them.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"),    // AWS, GCP, Azure, Oracle, DigitalOcean, OpenStack...
	netip.MustParseAddr("169.254.170.2"),      // AWS ECS
	netip.MustParseAddr("169.254.170.23"),     // AWS EKS pod identity
	netip.MustParseAddr("169.254.0.23"),       // Tencent
	netip.MustParseAddr("169.254.42.42"),      // Scaleway
	netip.MustParseAddr("100.100.100.200"),    // Alibaba
	netip.MustParseAddr("168.63.129.16"),      // Azure
	netip.MustParseAddr("192.0.0.192"),        // Oracle
	netip.MustParseAddr("fd00:ec2::254"),      // AWS
	netip.MustParseAddr("fd00:ec2::23"),       // AWS EKS pod identity
	netip.MustParseAddr("fd20:ce::254"),       // GCP
	netip.MustParseAddr("fd00:42::42"),        // Scaleway
	netip.MustParseAddr("fd00:c1::a9fe:a9fe"), // Oracle
}

// verdict is why an address is refused; the zero verdict permits it.
type verdict struct {
	why   string
	final bool // no setting can permit it
}

func (v verdict) permitted() bool { return v.why == "" }

// judge decides about one address, which has its zone if it came with one. An IPv4-mapped IPv6
// address (::ffff:192.0.2.1) is never permitted. A resolver answers in that form, so callers
// unmap its answers first.
func (g *Guard) judge(a netip.Addr) verdict {
	switch {
	case !a.IsValid():
		return verdict{"no address", true}
	case a.Zone() != "":
		return verdict{"an address with a zone", true}
	case a.Is4In6():
		return verdict{"an IPv4-mapped address", true}
	case contains(g.deny, a):
		return verdict{"in a range of egress.deny", true}
	}
	if v := g.strays(a); !v.permitted() {
		return v
	}
	allowed := narrowest(g.allow, a)
	for inner := range embedded(a, allowed) {
		if v := g.judge(inner); !v.permitted() {
			return verdict{fmt.Sprintf("an address that carries %v, %s", inner, v.why), v.final}
		}
	}
	if slices.Contains(metadata, a) {
		if allowed.IsSingleIP() {
			return verdict{}
		}
		return verdict{why: "a metadata address of a cloud"}
	}
	if allowed.IsValid() {
		return verdict{}
	}
	for _, r := range refused {
		if r.prefix.Contains(a) {
			return verdict{why: r.why}
		}
	}
	if isISATAP(a) {
		return verdict{why: "an ISATAP address"}
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return verdict{why: "not a public address"}
	}
	return verdict{}
}

func contains(ps []netip.Prefix, a netip.Addr) bool { return narrowest(ps, a).IsValid() }

// narrowest returns the longest prefix that contains a, else the zero Prefix.
func narrowest(ps []netip.Prefix, a netip.Addr) (found netip.Prefix) {
	for _, p := range ps {
		if p.Contains(a) && (!found.IsValid() || p.Bits() > found.Bits()) {
			found = p
		}
	}
	return found
}

// Refuses says why a guard with these settings refuses an address, "" when it does not.
func (c Config) Refuses(a netip.Addr) string {
	g := Guard{allow: c.Allow, deny: c.Deny}
	return g.judge(a.Unmap()).why
}
