package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// lookupDelay is how long a name server has for both families before an
	// answer for IPv4 alone is enough.
	lookupDelay = 250 * time.Millisecond
	// maxAddresses bounds how many addresses of one name are tried: a hostile
	// name server can answer with hundreds.
	maxAddresses = 8
)

// resolve returns the addresses of host, which is a name or an address. When it has an IPv4
// address that is fit, it may leave out those of IPv6.
func (g *Guard) resolve(ctx context.Context, host string, fit func(netip.Addr) bool) ([]netip.Addr, error) {
	a, ok, err := literal(host)
	if err != nil {
		return nil, refuse(fmt.Sprintf("%.300q", host), err.Error())
	}
	if ok {
		return []netip.Addr{a}, nil
	}
	addrs, err := g.lookup(ctx, host, fit)
	if err != nil {
		// The resolver's own text names the operator's name server.
		why := err.Error()
		if e, ok := errors.AsType[*net.DNSError](err); ok {
			why = e.Err
		}
		return nil, &failure{fmt.Sprintf("resolve %s: %s", host, why), err}
	}
	return addrs, nil
}

// lookup asks for A and AAAA. The resolver waits for both answers, and a name server that drops
// the question for AAAA would use up the deadline. So when they take long, lookup asks for A once
// more, alone. That answer ends the wait if one of its addresses is fit. An answer of refused
// addresses alone does not: it would hold the destination while good ones are on their way.
func (g *Guard) lookup(ctx context.Context, host string, fit func(netip.Addr) bool) ([]netip.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ask := func(network string) ([]netip.Addr, error) {
		addrs, err := g.resolver.LookupNetIP(ctx, network, host)
		for i, a := range addrs {
			addrs[i] = a.Unmap() // the resolver wraps plain IPv4 answers so
		}
		return addrs, err
	}
	alone := make(chan []netip.Addr, 1)
	late := time.AfterFunc(lookupDelay, func() {
		defer func() { _ = recover() }() // nobody else would, and there is the other answer
		if addrs, err := ask("ip4"); err == nil && slices.ContainsFunc(addrs, fit) {
			alone <- addrs
			cancel()
		}
	})
	defer late.Stop()
	addrs, err := ask("ip")
	if err != nil {
		select {
		case addrs = <-alone:
			err = nil
		default:
		}
	}
	return addrs, err
}

// order returns the addresses of name to try, in order: first the one that answered when others
// did not, then families in turn.
func (g *Guard) order(name string, addrs []netip.Addr, port uint16) []netip.AddrPort {
	if len(addrs) > 1 {
		a := g.lastGood.get(name)
		if i := slices.Index(addrs, a); i > 0 {
			copy(addrs[1:i+1], addrs)
			addrs[0] = a
		}
	}
	targets := make([]netip.AddrPort, 0, min(len(addrs), maxAddresses))
	for _, a := range interleave(addrs) {
		t := netip.AddrPortFrom(a, port)
		if len(targets) < maxAddresses && !slices.Contains(targets, t) {
			targets = append(targets, t)
		}
	}
	return targets
}

// interleave alternates families, beginning with that of the first address (RFC
// 8305, section 4), so that all addresses of a dead family cost one delay.
func interleave(in []netip.Addr) []netip.Addr {
	var lead, other []netip.Addr
	for _, a := range in {
		if a.Is4() == in[0].Is4() {
			lead = append(lead, a)
		} else {
			other = append(other, a)
		}
	}
	out := make([]netip.Addr, 0, len(in))
	for i := range max(len(lead), len(other)) {
		if i < len(lead) {
			out = append(out, lead[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out
}
