package destinationtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// promptly is how long a Send may take to notice that it should end. It is
// generous towards a busy machine and far below any timeout of a protocol.
const promptly = 5 * time.Second

// bench is what one case works with: a far side and a network to it.
type bench struct {
	testing.TB
	kind Kind
	far  FarSide
	net  *network
	trap *trap
	deps destination.Deps
	pool *exchange.Pool
}

func newBench(tb testing.TB, k Kind) *bench {
	if k.patience == 0 {
		k.patience = promptly
	}
	b := &bench{TB: tb, kind: k, net: newNetwork(), trap: &trap{}, far: k.Start(tb)}
	tb.Cleanup(b.net.close) // before the far side ends: nothing may keep it waiting
	dial := b.trap.dial(b.net.dial)
	b.pool = exchange.NewPool(dial, exchange.Limits{All: 64, Owner: 64})
	tb.Cleanup(b.pool.Close)
	b.deps = destination.Deps{
		Log:       slog.New(slog.DiscardHandler),
		Dial:      dial,
		Payloads:  &payloads{nowhere{}, b.trap},
		Brand:     "terra",
		UserAgent: "Fantail/test",
	}
	return b
}

// lent is what the engine lends to one destination: the exchange is its own.
func (b *bench) lent() destination.Deps {
	deps := b.deps
	deps.Exchange = b.pool.Client("acme", nil)
	deps.HTTP = deps.Exchange.HTTP()
	return deps
}

// open opens a destination that is closed when the case ends.
func (b *bench) open() destination.Destination {
	b.Helper()
	d := b.far.Open(b.TB, b.lent())
	if d == nil {
		b.Fatal("Open returned no destination")
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	return d
}

// ctx ends with the case, and long before a hanging case would end the whole run.
func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	b.Cleanup(cancel)
	return ctx
}

// send sends and expects success.
func (b *bench) send(d destination.Destination, x destination.Delivery) destination.Receipt {
	b.Helper()
	r, err := d.Send(b.ctx(), x)
	if err != nil {
		b.Fatalf("send %s: %v", x.ID, err)
	}
	return r
}

// want asserts that the far side holds exactly what it should of the deliveries.
func (b *bench) want(of ...destination.Delivery) {
	b.Helper()
	missing := map[string]int{}
	for _, x := range of {
		for _, body := range b.stores(x) {
			missing[string(body)]++
		}
	}
	for _, body := range b.far.Stored(b.TB) {
		if missing[string(body)]--; missing[string(body)] < 0 {
			b.Errorf("the far side holds what nobody sent, or twice: %.300q", body)
		}
	}
	for body, n := range missing {
		if n > 0 {
			b.Errorf("the far side lacks %.300q", body)
		}
	}
}

func (b *bench) stores(x destination.Delivery) [][]byte {
	if b.kind.Stores == nil {
		return [][]byte{x.Event.Body}
	}
	return b.kind.Stores(x.Event)
}

// wantClass asserts that err is of a class.
func (b *bench) wantClass(err error, want destination.Class) {
	b.Helper()
	if err == nil {
		b.Fatalf("it succeeded, want a failure of class %v", want)
	}
	if got, _ := destination.ClassOf(err); got != want {
		b.Errorf("%v is %v, want %v", err, got, want)
	}
}

// sooner runs f and fails the case if it does not return promptly.
func (b *bench) sooner(what string, f func()) {
	b.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(b.kind.patience):
		b.net.close() // whatever hangs must not outlive the case
		b.Fatalf("%s did not return within %v", what, b.kind.patience)
	}
}

// wantHidden asserts that no secret shows in what a print of v says.
func (b *bench) wantHidden(what string, v any) {
	b.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, v)
		for _, s := range b.kind.Secrets {
			if strings.Contains(text, s) {
				b.Errorf("%s printed with %s shows the secret %q: %.1000s", what, verb, s, text)
				return
			}
		}
	}
}

// wantHiddenIn asserts it of an error and of all errors that it was made of:
// whoever logs one of them must not log a secret.
func (b *bench) wantHiddenIn(err error) {
	b.Helper()
	if err == nil {
		return
	}
	b.wantHidden("the error", err)
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			b.wantHiddenIn(e)
		}
		return
	}
	b.wantHiddenIn(errors.Unwrap(err))
}

// clone is a delivery whose event nobody else holds.
func clone(x destination.Delivery) destination.Delivery {
	e := *x.Event
	e.Body = bytes.Clone(e.Body)
	x.Event = &e
	return x
}
