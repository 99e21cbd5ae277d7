package destinationtest

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// batch opens the destination and returns it with a full batch of deliveries,
// or twenty when it takes more.
func (b *bench) batch() (destination.Batcher, []destination.Delivery) {
	b.Helper()
	d, ok := b.open().(destination.Batcher)
	if !ok {
		b.Fatal("it is declared to be a Batcher and is none")
	}
	n := d.MaxBatch()
	if n < 1 {
		b.Fatalf("the largest batch is %d", n)
	}
	var ds []destination.Delivery
	for i := range min(n, 20) {
		ds = append(ds, plain(b.TB, i))
	}
	return d, ds
}

// results calls SendBatch and checks the form of what it returns.
func (b *bench) results(ctx context.Context, d destination.Batcher, ds []destination.Delivery) []destination.Result {
	b.Helper()
	rs := d.SendBatch(ctx, ds)
	if len(rs) != len(ds) {
		b.Fatalf("%d results for %d deliveries", len(rs), len(ds))
	}
	for i, r := range rs {
		b.wantSound(fmt.Sprintf("result %d", i), r.Receipt)
		b.wantHiddenIn(r.Err)
	}
	return rs
}

func batchStoresEach(b *bench) {
	d, ds := b.batch()
	for _, part := range [][]destination.Delivery{ds[:1], ds[1:]} {
		if len(part) == 0 {
			continue
		}
		for i, r := range b.results(b.ctx(), d, part) {
			if r.Err != nil {
				b.Errorf("delivery %d of %d: %v", i, len(part), r.Err)
			}
		}
	}
	b.want(ds...)
}

// batchStoresARepeatOnce: one by one or in a batch, a delivery is the same.
func batchStoresARepeatOnce(b *bench) {
	d, ds := b.batch()
	b.send(d.(destination.Destination), ds[0])
	for range 2 {
		for i, r := range b.results(b.ctx(), d, ds) {
			if r.Err != nil {
				b.Errorf("delivery %d: %v", i, r.Err)
			}
		}
	}
	b.want(ds...)
}

// batchFailsInPart: a refused delivery costs its neighbours nothing, and the
// results are in the order of the deliveries.
func batchFailsInPart(b *bench) {
	d, ds := b.batch()
	poison, class := b.kind.Poison(b.TB)
	at := len(ds) / 2
	mixed := append([]destination.Delivery(nil), ds...)
	mixed[at] = poison
	for i, r := range b.results(b.ctx(), d, mixed) {
		if i == at {
			b.wantClass(r.Err, class)
		} else if r.Err != nil {
			b.Errorf("delivery %d fails with its neighbour: %v", i, r.Err)
		}
	}
	b.want(append(append([]destination.Delivery(nil), ds[:at]...), ds[at+1:]...)...)
}

func batchFailsWhole(b *bench, f Failure) {
	d, ds := b.batch()
	b.far.Break(b.TB, f)
	for i, r := range b.results(b.ctx(), d, ds) {
		if got, wait := destination.ClassOf(r.Err); r.Err == nil || got != f.Class || wait != f.Wait {
			b.Errorf("delivery %d: %v is %v, waits %v; want %v, %v", i, r.Err, got, wait, f.Class, f.Wait)
		}
	}
}

func batchHonoursCancel(b *bench) {
	d, ds := b.batch()
	b.stall()
	b.cancelled("SendBatch", func(ctx context.Context) error {
		var first error
		for i, r := range d.SendBatch(ctx, ds) {
			if r.Err == nil {
				b.Errorf("delivery %d succeeded over a dead connection", i)
			} else if first == nil {
				first = r.Err
			}
		}
		return first
	})
}

func (b *bench) checker() destination.Checker {
	b.Helper()
	c, ok := b.open().(destination.Checker)
	if !ok {
		b.Fatal("it is declared to be a Checker and is none")
	}
	return c
}

// checkLeavesNothing: a probe may be repeated for ever at somebody's far side.
func checkLeavesNothing(b *bench) {
	if err := b.checker().Check(b.ctx()); err != nil {
		b.Errorf("check of a healthy far side: %v", err)
	}
	b.want()
	if b.net.dialled() == 0 {
		b.Error("the check asked nobody")
	}
}

func checkFinds(b *bench, f Failure) {
	b.far.Break(b.TB, f)
	err := b.checker().Check(b.ctx())
	b.wantClass(err, f.Class)
	b.wantHiddenIn(err)
	b.want()
}

func checkHonoursCancel(b *bench) {
	c := b.checker()
	if b.kind.Connects { // nothing may be sent that could stall
		b.net.change(func() { b.net.vanish, b.net.held = true, false })
	} else {
		b.stall()
	}
	b.cancelled("Check", c.Check)
}

func explainSendsNothing(b *bench) {
	d, ok := b.open().(destination.Explainer)
	if !ok {
		b.Fatal("it is declared to be an Explainer and is none")
	}
	b.net.change(func() { b.net.vanish = true })
	x := plain(b.TB, 1)
	var e destination.Explanation
	var err error
	b.sooner("Explain", func() { e, err = d.Explain(x) })
	if err != nil {
		b.Fatalf("explain: %v", err)
	}
	if e.Target == "" || e.Body == "" {
		b.Errorf("the explanation lacks its target or its body: %+v", e)
	}
	b.wantHidden("the explanation", e)
	if n := b.net.dialled(); n > 0 {
		b.Errorf("explaining made %d connections", n)
	}
	b.net.change(func() { b.net.vanish = false })
	b.want()
}
