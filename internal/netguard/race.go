package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// connectDelay is how long an address has before the next one is tried beside
// it: the Connection Attempt Delay that RFC 8305, section 5, recommends.
const connectDelay = 250 * time.Millisecond

// dialFunc makes one connection. It returns soon after ctx has ended.
type dialFunc func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

// race connects to one of targets, the addresses of name in the order to try (RFC 8305, section
// 5). It starts with the first. After delay, or at once when one has failed, it tries the next
// one as well. It returns and remembers the first connection, cancels the other attempts, and
// closes those that connect all the same. All have ended when race returns. One target, the
// usual case, takes no goroutine.
//
// All targets, at most maxAddresses, may be tried at a time. A lower bound would have to give up
// silent ones, and a lost packet is sent again only after a second.
func (g *Guard) race(ctx context.Context, name string, targets []netip.AddrPort, delay time.Duration, dial dialFunc) (net.Conn, error) {
	if len(targets) == 1 {
		return attempt(ctx, targets[0], dial)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		target int
		conn   net.Conn
		err    error
	}
	results := make(chan result)
	next := time.NewTimer(delay)
	defer next.Stop()
	started, running := 0, 0
	start := func() {
		i := started
		started++
		running++
		next.Reset(delay)
		go func() {
			c, err := attempt(ctx, targets[i], dial)
			results <- result{i, c, err}
		}()
	}
	start()
	failures := make([]error, len(targets))
	for running > 0 {
		select {
		case <-next.C:
		case r := <-results:
			running--
			if r.err == nil {
				cancel()
				for ; running > 0; running-- {
					if late := <-results; late.conn != nil {
						late.conn.Close()
					}
				}
				if r.target > 0 {
					g.lastGood.set(name, targets[r.target].Addr())
				}
				return r.conn, nil
			}
			failures[r.target] = r.err
		}
		if started < len(targets) && ctx.Err() == nil {
			start()
		}
	}
	return nil, mostTelling(failures)
}

// attempt calls dial and turns a panic into an error. The goroutines of race have no caller
// that could recover it, so that it would end the process. As an error it reaches the log of
// the attempt.
func attempt(ctx context.Context, to netip.AddrPort, dial dialFunc) (c net.Conn, err error) {
	err = destination.Guard(func() (err error) {
		c, err = dial(ctx, to)
		return err
	})
	return c, err
}

// mostTelling chooses the failure to report; at least one is not nil. Of several that tell as
// much it chooses that of the address tried first.
func mostTelling(failures []error) (best error) {
	for _, err := range failures {
		if err != nil && (best == nil || telling(err) > telling(best)) {
			best = err
		}
	}
	return best
}

// telling ranks the failures of one name's addresses.
func telling(err error) int {
	no, _ := errors.AsType[syscall.Errno](err)
	e, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, destination.ErrEngine):
		// This address was never tried, and might have answered. Whatever became of the others, the far
		// side is not to blame.
		return 3
	case no == syscall.ENETUNREACH, no == syscall.EHOSTUNREACH, no == syscall.EADDRNOTAVAIL, no == syscall.EAFNOSUPPORT:
		// Mostly the failure of IPv6, on a machine or network without it. It would hide what is wrong
		// with the address that counts.
		return 0
	case ok && e.Timeout(), errors.Is(err, context.Canceled):
		return 1
	}
	return 2 // somebody answered
}
