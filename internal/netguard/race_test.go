package netguard

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// numbered returns 192.0.2.1:443 and those that follow it.
func numbered(n int) (ts []netip.AddrPort) {
	for i := range n {
		ts = append(ts, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 443))
	}
	return ts
}

// fates are what becomes of attempts at numbered addresses, in turn.
type fates struct {
	begin time.Time
	fate  []func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	after []time.Duration // when each was started
	order []int           // which
}

func (f *fates) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	i := int(to.Addr().As4()[3]) - 1
	f.mu.Lock()
	f.after = append(f.after, time.Since(f.begin))
	f.order = append(f.order, i)
	f.mu.Unlock()
	return f.fate[i](ctx)
}

// conn is a connection that knows whether it was closed.
type conn struct {
	net.Conn
	closed bool
}

func (c *conn) Close() error { c.closed = true; return nil }

func answers(c net.Conn, after time.Duration) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(after):
			return c, nil
		}
	}
}

func fails(err error, after time.Duration) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(after):
			return nil, err
		}
	}
}

func silent(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func panics(context.Context) (net.Conn, error) { panic("hunter2") }

func TestAddressesAreRaced(t *testing.T) {
	type list = []func(context.Context) (net.Conn, error)
	refused := errors.New("refused")
	won := &conn{}
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		fates list
		took  time.Duration
		after []time.Duration // when attempts were started
		last  int             // the one that is remembered; 0: none
	}{
		{"the first answers", list{answers(won, 249*ms), silent}, 249 * ms, []time.Duration{0}, 0},
		{"the first is dead", list{silent, answers(won, 0)}, 250 * ms, []time.Duration{0, 250 * ms}, 1},
		{"two are dead", list{silent, silent, answers(won, 40*ms), silent}, 540 * ms, []time.Duration{0, 250 * ms, 500 * ms}, 2},
		{"the first fails at once", list{fails(refused, 0), answers(won, 0)}, 0, []time.Duration{0, 0}, 1},
		{"several fail", list{fails(refused, 10*ms), fails(refused, 10*ms), answers(won, 0)}, 20 * ms, []time.Duration{0, 10 * ms, 20 * ms}, 2},
		{"the delay begins anew", list{fails(refused, 200*ms), silent, answers(won, 0)}, 450 * ms, []time.Duration{0, 200 * ms, 450 * ms}, 2},
		{"the first is slow but faster", list{answers(won, 300*ms), answers(&conn{}, 300*ms)}, 300 * ms, []time.Duration{0, 250 * ms}, 0},
		{"the last of all", list{silent, silent, silent, silent, silent, silent, silent, answers(won, 0)}, 1750 * ms,
			[]time.Duration{0, 250 * ms, 500 * ms, 750 * ms, 1000 * ms, 1250 * ms, 1500 * ms, 1750 * ms}, 7},
		{"one panics", list{panics, answers(won, 0)}, 0, []time.Duration{0, 0}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuard(t, Config{})
				f := &fates{begin: time.Now(), fate: c.fates}
				targets := numbered(len(c.fates))
				got, err := g.race(t.Context(), "site.example:443", targets, connectDelay, f.dial)
				if err != nil || got != won || won.closed {
					t.Fatalf("%v, %v, closed %v; want the connection", got, err, won.closed)
				}
				if took := time.Since(f.begin); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if !slices.Equal(f.after, c.after) || !slices.IsSorted(f.order) {
					t.Errorf("attempts %v were started after %v, want %v", f.order, f.after, c.after)
				}
				var want netip.Addr
				if c.last > 0 {
					want = targets[c.last].Addr()
				}
				if a := g.lastGood.get("site.example:443"); a != want {
					t.Errorf("%v is remembered, want %v", a, want)
				}
			})
		})
	}
}

// TestLateWinnerIsClosed: the other attempts are cancelled, but one may have connected in that
// moment. If one outlived the race, synctest would say so.
func TestLateWinnerIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		won, late := &conn{}, &conn{}
		f := &fates{begin: time.Now(), fate: []func(context.Context) (net.Conn, error){
			func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return late, nil },
			silent,
			answers(won, 0),
		}}
		got, err := newGuard(t, Config{}).race(t.Context(), "site.example:443", numbered(3), connectDelay, f.dial)
		if err != nil || got != won || won.closed {
			t.Errorf("%v, %v, closed %v; want the first connection, open", got, err, won.closed)
		}
		if !late.closed {
			t.Error("the connection that came too late is open")
		}
	})
}

func TestRaceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		f := &fates{begin: time.Now(), fate: []func(context.Context) (net.Conn, error){silent, silent, silent, silent}}
		_, err := newGuard(t, Config{}).race(ctx, "site.example:443", numbered(4), connectDelay, f.dial)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(f.begin) != 300*time.Millisecond || len(f.after) != 2 {
			t.Errorf("%v after %v and %d attempts, want the deadline after 300ms and 2", err, time.Since(f.begin), len(f.after))
		}
	})
}

func TestOneAddressTakesNoGoroutine(t *testing.T) {
	var callers []string
	_, err := newGuard(t, Config{}).race(t.Context(), "", numbered(1), connectDelay, func(context.Context, netip.AddrPort) (net.Conn, error) {
		pcs := make([]uintptr, 32)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
		for more := true; more; {
			var f runtime.Frame
			f, more = frames.Next()
			callers = append(callers, f.Function)
		}
		panic("hunter2")
	})
	if !slices.ContainsFunc(callers, func(f string) bool { return strings.HasSuffix(f, ".TestOneAddressTakesNoGoroutine") }) {
		t.Errorf("the attempt was called by %v, not by this test", callers)
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") || classOf(err) != destination.Transient {
		t.Errorf("a panic: %v, want a transient error without its text", err)
	}
}

func TestMostTellingFailureIsReported(t *testing.T) {
	failure := func(no error) error { return dialFailure("192.0.2.1:443", true, &net.OpError{Op: "dial", Err: no}) }
	var (
		none    = failure(syscall.EMFILE)
		refused = failure(syscall.ECONNREFUSED)
		reset   = failure(syscall.ECONNRESET)
		timeout = failure(os.ErrDeadlineExceeded)
		away    = failure(syscall.ENETUNREACH)
		host    = failure(syscall.EHOSTUNREACH)
	)
	for _, c := range []struct {
		in   []error
		want error
	}{
		{[]error{refused, reset}, refused},
		{[]error{nil, reset, nil}, reset}, // the deadline came before the others
		{[]error{timeout, refused, none}, none},
		{[]error{timeout, refused}, refused},
		{[]error{away, timeout}, timeout},
		{[]error{host, away}, host},
		{[]error{context.Canceled, refused}, refused},
	} {
		if got := mostTelling(c.in); got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
	if !errors.Is(none, destination.ErrEngine) {
		t.Errorf("%v is no engine fault", none)
	}
}

// blackhole is a port of host that answers no SYN, since its backlog is full.
func blackhole(t testing.TB, host string, port uint16) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	a := netip.MustParseAddr(host)
	if err := errors.Join(
		syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(port), Addr: a.As4()}),
		syscall.Listen(fd, 0),
	); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		c, err := net.DialTimeout("tcp", netip.AddrPortFrom(a, port).String(), 100*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the backlog has no end")
}

// descriptors counts those that are open.
func descriptors(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// TestDeadFirstAddress is the whole way over real sockets, directly and through
// a proxy whose own first address is dead too.
func TestDeadFirstAddress(t *testing.T) {
	good := listen(t, "127.0.0.9:0", greet("good"))
	blackhole(t, "127.0.0.3", good.addr.Port())
	out := listen(t, "127.0.0.7:0", func(c net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil && req.Host == good.addr.String() {
			forward(c, req)
		}
		io.Copy(io.Discard, c) // until the guard hangs up
	})
	blackhole(t, "127.0.0.4", out.addr.Port())
	dns := newNames(t, map[string][]string{
		"half.example":  {"127.0.0.3 127.0.0.9"},
		"proxy.example": {"127.0.0.4 127.0.0.7"},
	})
	for _, proxy := range []string{"", "http://" + addressOf("proxy.example", out)} {
		g := newGuard(t, Config{Resolver: dns.resolver, Allow: ranges("127.0.0.0/8"), Proxy: proxy})
		for range 3 {
			before := descriptors(t)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			c, err := g.DialContext(ctx, "tcp", addressOf("half.example", good))
			if err != nil {
				t.Fatal(err)
			}
			greeting(t, c, "good")
			c.Close()
			for descriptors(t) > before && ctx.Err() == nil { // the far ends are in this process too
				runtime.Gosched()
			}
			if n := descriptors(t); n > before {
				t.Errorf("proxy %q: %d descriptors are open, %d before", proxy, n, before)
			}
		}
		if a := g.lastGood.get(addressOf("half.example", good)); a != good.addr.Addr() {
			t.Errorf("proxy %q: %v is remembered, want %v", proxy, a, good.addr.Addr())
		}
	}
}
