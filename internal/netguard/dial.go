package netguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fault"
)

// dialTimeout bounds one DialContext, look-up included. The caller's deadline is not enough:
// net/http dials without the request's deadline, so that a later request can use the connection.
const dialTimeout = 15 * time.Second

// DialContext connects to address, which is host:port, after judging what it
// resolves to; network is tcp, tcp4 or tcp6. A refusal is a *destination.Fault
// of class Misconfigured that says which address and why; a name that cannot
// be resolved and a failed connection are transient; a fault of this machine
// (no descriptors, a source address it does not have) wraps destination.ErrEngine.
//
// A name may resolve to permitted and refused addresses. Only the permitted ones are used; when
// there are none the name is refused. Connections go to the very address that was judged, so an
// attacker gains nothing by a refused address beside it. Refusing the whole name would let one
// stray private record hold the destination of a legitimate name. The permitted addresses are
// raced (RFC 8305), so that a dead one costs a quarter of a second. Where all fail, the most
// telling failure is returned.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	targets, err := g.targets(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if g.proxy != nil {
		return g.proxy.connect(ctx, g, address, targets)
	}
	return g.race(ctx, address, targets, connectDelay, g.dialOne)
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
	fit := func(a netip.Addr) bool { return network != "tcp6" && g.unfit(host, a) == nil }
	addrs, err := g.resolve(ctx, host, fit)
	if err != nil {
		return nil, err
	}
	var good []netip.Addr
	var first error // why the first of the others is not used
	for _, a := range addrs {
		if network == "tcp4" && !a.Is4() || network == "tcp6" && !a.Is6() {
			continue
		}
		if why := g.unfit(host, a); why == nil {
			good = append(good, a)
		} else if first == nil {
			first = why
		}
	}
	if len(good) == 0 {
		if first == nil {
			first = fmt.Errorf("resolve %s: no address for %s", host, network)
		}
		return nil, first
	}
	return g.order(address, good, port), nil
}

// unfit says why a, an address of host, may not be connected to; nil when it may.
func (g *Guard) unfit(host string, a netip.Addr) error {
	if v := g.judge(a); !v.permitted() {
		return refusal(host, a, v)
	}
	if g.proxy == nil && !g.source.serves(a) {
		return refuse(at(host, a), "egress.source has no address of that family")
	}
	return nil
}

func (g *Guard) dialOne(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	from := g.source.next(to.Addr())
	c, err := new(net.Dialer).DialTCP(ctx, "tcp", from, to)
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
	text := "connect to " + to + ": " + fault.Describe(why)
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

// Temporary is there because net.Error still wants it.
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
