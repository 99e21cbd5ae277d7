// Package netguard is the one guard for every outgoing connection: it resolves
// names, judges the addresses, and connects to what it has judged.
package netguard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
)

// Config says what is allowed besides public addresses, and how to get out.
type Config struct {
	// Allow permits ranges that are refused by default. Two kinds of addresses need more: a metadata
	// address needs a prefix of that one address, and an address that carries an IPv4 address inside
	// (NAT64, 6to4, Teredo...) also needs the inner one to be permitted.
	Allow []netip.Prefix
	// Deny refuses ranges; it wins over Allow. A network that translates its own NAT64 prefix should
	// be named here: nothing else can recognise it.
	Deny     []netip.Prefix
	Proxy    string        // http://[user:password@]host:port; "" for none; never taken from the environment
	Source   []netip.Addr  // local addresses to connect from, in turn; families that none belongs to are not used
	Resolver *net.Resolver // nil: the system's
}

// Guard connects only to addresses that are allowed. Its methods may be called
// from several goroutines at once.
type Guard struct {
	allow, deny []netip.Prefix
	resolver    *net.Resolver
	source      sources
	proxy       *proxy // nil: none
	lastGood    lastGood
	confined    uint16 // the only port, and allow the only addresses; 0: see [Guard.Metadata]
}

// New checks c, reporting every fault at once, and builds a guard. It opens nothing.
func New(c Config) (*Guard, error) {
	g := &Guard{resolver: c.Resolver}
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	var faults []error
	prefixes := func(key string, in []netip.Prefix) (out []netip.Prefix) {
		for _, p := range in {
			switch {
			case !p.IsValid():
				faults = append(faults, fmt.Errorf("%s: %v is not a range of addresses", key, p))
			case p.Addr().Is4In6():
				faults = append(faults, fmt.Errorf("%s: %v: write the range as IPv4", key, p))
			default:
				out = append(out, p)
			}
		}
		return out
	}
	g.allow = prefixes("allow", c.Allow)
	g.deny = prefixes("deny", c.Deny)
	for _, a := range c.Source {
		a = a.Unmap()
		switch {
		case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "":
			faults = append(faults, fmt.Errorf("source: %v is not a local address", a))
		case a.Is4():
			g.source.v4 = append(g.source.v4, a)
		default:
			g.source.v6 = append(g.source.v6, a)
		}
	}
	if c.Proxy != "" {
		p, err := parseProxy(c.Proxy)
		if err != nil {
			faults = append(faults, err)
		}
		g.proxy = p
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return g, nil
}

// sources hands out the local addresses of each family in turn.
type sources struct {
	v4, v6       []netip.Addr
	turn4, turn6 atomic.Uint32
}

// serves tells whether connections to a may be made at all.
func (s *sources) serves(a netip.Addr) bool {
	if len(s.v4)+len(s.v6) == 0 {
		return true
	}
	return a.Is4() && len(s.v4) > 0 || a.Is6() && len(s.v6) > 0
}

// next returns the address to connect to a from; the zero AddrPort leaves the choice to the system.
func (s *sources) next(a netip.Addr) netip.AddrPort {
	list, turn := s.v4, &s.turn4
	if a.Is6() {
		list, turn = s.v6, &s.turn6
	}
	if len(list) == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(list[turn.Add(1)%uint32(len(list))], 0)
}
