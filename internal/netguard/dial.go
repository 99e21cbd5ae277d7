package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const (
	// dialTimeout bounds one DialContext, look-up included. It is needed
	// besides the caller's deadline: net/http dials without the request's, so
	// that a later request can use the connection.
	dialTimeout = 15 * time.Second
	// minShare is the least time that one address gets, while there is any.
	minShare = 2 * time.Second
	// maxAddresses bounds how many addresses of one name are tried: a hostile
	// name server can answer with hundreds.
	maxAddresses = 8
)

// DialContext connects to address, which is host:port, after judging what it
// resolves to; network is tcp, tcp4 or tcp6. A refusal is a *destination.Fault
// of class Misconfigured that says which address and why; a name that cannot
// be resolved and a failed connection are transient; a fault of this machine
// (no descriptors, a source address it does not have) wraps destination.ErrEngine.
//
// A name may resolve to permitted and refused addresses: only the permitted
// ones are used, and it is refused when there are none. Connections go to the
// very address that was judged, so a refused neighbour gains an attacker
// nothing, while refusing them all would let one stray private record of a
// legitimate name hold its destination.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	targets, err := g.targets(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if g.proxy != nil {
		return g.proxy.connect(ctx, g, targets)
	}
	return g.dialAny(ctx, targets)
}

// targets returns what address may be reached at, at least one, in the order to try.
func (g *Guard) targets(ctx context.Context, network, address string) ([]netip.AddrPort, error) {
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return nil, refuse(fmt.Sprintf("%.300q over %.20q", address, network), "only TCP is allowed")
	}
	host, port, err := split(address)
	if err != nil {
		return nil, refuse(fmt.Sprintf("%.300q", address), err.Error())
	}
	if err := g.mayAsk(address, port); err != nil {
		return nil, err
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var good []netip.Addr
	var first error // why the first of the others is not used
	for _, a := range addrs {
		if network == "tcp4" && !a.Is4() || network == "tcp6" && !a.Is6() {
			continue
		}
		v := g.judge(a)
		switch {
		case !v.permitted():
			first = cmpErr(first, refusal(host, a, v))
		case g.proxy == nil && !g.source.serves(a):
			first = cmpErr(first, refuse(at(host, a), "egress.source has no address of that family"))
		default:
			good = append(good, a)
		}
	}
	if len(good) == 0 {
		if first == nil {
			first = fmt.Errorf("resolve %s: no address for %s", host, network)
		}
		return nil, first
	}
	good = interleave(good)
	targets := make([]netip.AddrPort, min(len(good), maxAddresses))
	for i := range targets {
		targets[i] = netip.AddrPortFrom(good[i], port)
	}
	return targets, nil
}

func cmpErr(first, next error) error {
	if first != nil {
		return first
	}
	return next
}

// resolve returns the addresses of host, which is a name or an address.
func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	a, ok, err := literal(host)
	if err != nil {
		return nil, refuse(fmt.Sprintf("%.300q", host), err.Error())
	}
	if ok {
		return []netip.Addr{a}, nil
	}
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		// The resolver's own text names the server it asked, which is the operator's.
		why := err.Error()
		if e, ok := errors.AsType[*net.DNSError](err); ok {
			why = e.Err
		}
		return nil, &failure{fmt.Sprintf("resolve %s: %s", host, why), err}
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap() // the resolver wraps plain IPv4 answers so
	}
	return addrs, nil
}

// interleave alternates families, beginning with that of the first address,
// so that a dead family costs one share of the deadline and not all.
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

// dialAny tries the targets in turn, each with its share of what time is left.
// It returns the first failure when all fail.
func (g *Guard) dialAny(ctx context.Context, targets []netip.AddrPort) (net.Conn, error) {
	var first error
	for i, t := range targets {
		c, err := g.dialOne(ctx, t, share(ctx, len(targets)-i))
		if err == nil {
			return c, nil
		}
		first = cmpErr(first, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// share returns how much of ctx's time the next of n addresses may use.
func share(ctx context.Context, n int) time.Duration {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	return min(left, max(left/time.Duration(n), minShare))
}

func (g *Guard) dialOne(ctx context.Context, to netip.AddrPort, within time.Duration) (net.Conn, error) {
	from := g.source.next(to.Addr())
	d := net.Dialer{Timeout: within}
	c, err := d.DialTCP(ctx, "tcp", from, to)
	if err != nil {
		return nil, dialFailure(to.String(), from.IsValid(), err)
	}
	return c, nil
}

// dialFailure words a failed connection without the machine's own addresses.
func dialFailure(to string, bound bool, err error) error {
	why := err
	if e, ok := errors.AsType[*net.OpError](err); ok {
		why = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](why); ok {
		why = e.Err
	}
	text := fmt.Sprintf("connect to %s: %v", to, why)
	switch no, _ := errors.AsType[syscall.Errno](err); {
	case no == syscall.EMFILE, no == syscall.ENFILE, no == syscall.ENOBUFS, bound && no == syscall.EADDRNOTAVAIL:
		return fmt.Errorf("%s: %w", text, destination.ErrEngine)
	}
	return &failure{text, err}
}

// failure is an error with a text of its own, that still is what caused it.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// Timeout tells net/http and others that waiting was in vain.
func (f *failure) Timeout() bool {
	e, ok := errors.AsType[net.Error](f.cause)
	return ok && e.Timeout()
}

// Temporary completes net.Error; nobody should ask.
func (f *failure) Temporary() bool { return f.Timeout() }

func refuse(what, why string) error {
	return destination.Misconfigure(fmt.Errorf("connections to %s are refused: %s", what, why))
}

// refusal words the refusal of an address.
func refusal(host string, a netip.Addr, v verdict) error {
	if v.final {
		return refuse(at(host, a), "it is "+v.why)
	}
	return refuse(at(host, a), "it is "+v.why+"; the operator can permit it with egress.allow")
}

func at(host string, a netip.Addr) string {
	if shown := a.String(); shown != host {
		return host + " at " + shown
	}
	return host
}
