package destinationtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Lend gives a destination under test the operator's payload store. The far side
// of a kind with Links calls it in Open, so that the suite can have store panic.
func Lend(deps *destination.Deps, store destination.PayloadStore) {
	if p, ok := deps.Payloads.(*payloads); ok {
		store = &payloads{store, p.trap}
	}
	deps.Payloads = store
}

// trap makes what a destination is lent panic, as a mistake in it or in a library
// would.
type trap struct {
	network  atomic.Bool // every use of the network
	payloads atomic.Bool // every use of the store for what has mark
	sprung   atomic.Int64
}

// mark is in the payloads that the store panics at.
const mark = `"mark":"panic"`

func (t *trap) spring() {
	t.sprung.Add(1)
	var none map[string]int
	none["x"] = 1 //nolint:staticcheck // this is the panic
}

// dial is a destination.DialFunc.
func (t *trap) dial(via destination.DialFunc) destination.DialFunc {
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		if t.network.Load() {
			t.spring()
		}
		return via(ctx, kind, address)
	}
}

// payloads is a store with a trap.
type payloads struct {
	destination.PayloadStore
	trap *trap
}

func (p *payloads) Put(ctx context.Context, developer string, x event.Payload) error {
	if p.trap.payloads.Load() && bytes.Contains(x.Body, []byte(mark)) {
		p.trap.spring()
	}
	return p.PayloadStore.Put(ctx, developer, x)
}

// marked builds the nth delivery of an event of three items, the second of which
// has the mark. Kinds that store items store several at a time.
func (b *bench) marked(n int) destination.Delivery {
	return Delivery(b.TB, n, fmt.Appendf(nil, `{"type":"daily","version":"2022-03-16","user":{"user_id":"user-%[1]d"},"data":[`+
		`{"metadata":{"start_time":"2026-07-01T00:00:00Z"}},{%[2]s,"metadata":{"start_time":"2026-07-02T00:00:00Z"}},{"metadata":{"start_time":"2026-07-03T00:00:00Z"}}]}`, n, mark))
}

// guarded sends as the engine does: a panic in this goroutine is a failure, and
// one in another ends the process, and this test with it.
func (b *bench) guarded(d destination.Destination, x destination.Delivery) error {
	return destination.Guard(func() error { _, err := d.Send(b.ctx(), x); return err })
}

// panicsAreFailures: a panic anywhere below Send, in whatever goroutine, fails the
// delivery and nothing else. What it held (a connection of few, a turn) is given
// back, so that the destination works once there is no more reason to panic.
func panicsAreFailures(b *bench) {
	before := goroutines()
	d := b.far.Open(b.TB, b.lent())
	cold := b.far.Open(b.TB, b.lent()) // which has fetched no credentials yet
	first := plain(b.TB, 1)
	b.send(d, first)
	b.net.cut()
	b.trap.network.Store(true)
	for range 2 {
		var all sync.WaitGroup
		for n := range 16 { // more than any kind has connections, so that some wait for one
			all.Go(func() {
				x := plain(b.TB, 100+n)
				if n%2 == 0 {
					x = b.marked(100 + n)
				}
				to := d
				if n%4 > 1 {
					to = cold
				}
				err := b.guarded(to, x)
				if err == nil {
					b.Error("a Send without a network succeeded")
				} else if class, _ := destination.ClassOf(err); class != destination.Transient {
					b.Errorf("%v is %v", err, class)
				}
				b.wantHiddenIn(err)
			})
		}
		b.sooner("Sends that panic", all.Wait)
	}
	if c, ok := d.(destination.Checker); ok && !b.kind.Connects { // one that only connects is lent nothing that panics in its own goroutine
		if err := destination.Guard(func() error { return c.Check(b.ctx()) }); err == nil {
			b.Error("a Check without a network succeeded")
		}
	}
	b.trap.network.Store(false)
	if b.trap.sprung.Load() == 0 {
		b.Error("nothing panicked: does it use the network of Deps?")
	}
	sent := []destination.Delivery{first}
	for n := range 8 {
		sent = append(sent, plain(b.TB, 200+n))
	}
	var all sync.WaitGroup
	for n, x := range sent[1:] {
		all.Go(func() { b.recovers([]destination.Destination{d, cold}[n%2], x) })
	}
	b.sooner("Sends after panics", all.Wait)
	b.want(sent...)
	if err := cold.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
	b.closes(d, before)
}

// payloadPanicsAlone: a panic in the store of payloads fails the delivery that it
// was for.
func payloadPanicsAlone(b *bench) {
	d := b.open()
	bad, good := b.marked(1), plain(b.TB, 2)
	b.trap.payloads.Store(true)
	if err := b.guarded(d, bad); err == nil || b.trap.sprung.Load() == 0 {
		b.Errorf("a Send whose payload panics: %v, and %d panics: does Open of the far side call Lend?", err, b.trap.sprung.Load())
	}
	b.send(d, good)
	sent := []destination.Delivery{good}
	if batcher, ok := d.(destination.Batcher); ok && batcher.MaxBatch() > 2 {
		left, right := plain(b.TB, 3), plain(b.TB, 4)
		var rs []destination.Result
		if err := destination.Guard(func() error {
			rs = b.results(b.ctx(), batcher, []destination.Delivery{left, bad, right})
			return nil
		}); err != nil {
			b.Fatalf("the panic of one delivery is that of the whole batch: %v", err)
		}
		if rs[0].Err != nil || rs[1].Err == nil || rs[2].Err != nil {
			b.Errorf("the second of three panics, and they fail with: %v; %v; %v", rs[0].Err, rs[1].Err, rs[2].Err)
		}
		b.wantClass(rs[1].Err, destination.Transient)
		sent = append(sent, left, right)
	}
	b.want(sent...)
	b.trap.payloads.Store(false)
	b.send(d, bad)
	b.want(append(sent, bad)...)
}

// nowhere is a payload store that keeps nothing.
type nowhere struct{}

func (nowhere) Put(context.Context, string, event.Payload) error { return nil }
func (nowhere) Link(context.Context, string, string, time.Duration) (destination.Link, error) {
	return destination.Link{}, destination.ErrEngine
}
