package destinationtest

import (
	"bytes"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func declaresItsAbilities(b *bench) {
	d := b.open()
	_, batches := d.(destination.Batcher)
	_, checks := d.(destination.Checker)
	_, explains := d.(destination.Explainer)
	for _, a := range []struct {
		name           string
		declared, does bool
	}{{"Batcher", b.kind.Batches, batches}, {"Checker", b.kind.Checks, checks}, {"Explainer", b.kind.Explains, explains}} {
		if a.declared != a.does {
			b.Errorf("%s: declared %v, implemented %v: cases would be missing", a.name, a.declared, a.does)
		}
	}
	if len(b.kind.Secrets) == 0 {
		b.Error("no secret is declared: nothing could leak")
	}
	if len(b.kind.Failures) == 0 {
		b.Error("no failure is declared: nothing would be classified")
	}
}

// preservesBytes: a body arrives as it was accepted.
func preservesBytes(b *bench) {
	d := b.open()
	all := bodies(b.TB)
	var sent []destination.Delivery
	for n, name := range slices.Sorted(maps.Keys(all)) {
		x := Delivery(b.TB, n, all[name])
		if _, err := d.Send(b.ctx(), x); err != nil {
			b.Errorf("%s: %v", name, err)
			continue
		}
		sent = append(sent, x)
	}
	b.want(sent...)
}

// leavesTheEventAlone: other destinations read the same event at the same time.
func leavesTheEventAlone(b *bench) {
	d := b.open()
	for n, body := range [][]byte{
		[]byte(`{"type":"auth","user":{"user_id":"u1"}}`),
		[]byte(`{"type":"sleep","version":"2022-03-16","user":{"user_id":"u1"},"data":[{"metadata":{"start_time":"2026-07-01T22:10:00Z"}}]}`),
	} {
		x := Delivery(b.TB, n, body)
		before := clone(x)
		b.send(d, x)
		body, want := x.Event.Body, before.Event.Body
		a, e := *x.Event, *before.Event
		a.Body, e.Body = nil, nil
		if !bytes.Equal(body, want) || a.Reference != e.Reference || a.Developer != e.Developer || a.ID != e.ID || a.Envelope != e.Envelope || !a.Ordering.Equal(e.Ordering) {
			b.Errorf("the event was changed from %+v %s to %+v %s", e, want, a, body)
		}
	}
}

// storesARepeatOnce: a crash after the far side's yes repeats an attempt, with
// other settings of time but the same id.
func storesARepeatOnce(b *bench) {
	d := b.open()
	x := plain(b.TB, 1)
	for range 3 {
		b.send(d, x)
		x.Attempt++
	}
	other := b.open()
	b.send(other, x)
	b.want(x)
}

func sendsConcurrently(b *bench) {
	d := b.open()
	var sent []destination.Delivery
	var all sync.WaitGroup
	for n := range 32 {
		x := plain(b.TB, n)
		sent = append(sent, x)
		all.Go(func() {
			if _, err := d.Send(b.ctx(), x); err != nil {
				b.Errorf("send %d of 32 at once: %v", n, err)
			}
		})
	}
	all.Wait()
	b.want(sent...)
}

// receiptIsSound looks at the receipts of a success and of every failure.
func receiptIsSound(b *bench) {
	d := b.open()
	b.wantSound("success", b.send(d, plain(b.TB, 0)))
	for n, f := range b.kind.Failures {
		b.far.Break(b.TB, f)
		r, _ := d.Send(b.ctx(), plain(b.TB, n+1))
		b.wantSound(f.Name, r)
		b.far.Mend(b.TB)
	}
}

func (b *bench) wantSound(when string, r destination.Receipt) {
	b.Helper()
	if len(r.Answer) > 1<<10 {
		b.Errorf("%s: the receipt's answer has %d bytes, want at most 1024", when, len(r.Answer))
	}
	if _, _, err := net.SplitHostPort(r.Address); r.Address != "" && err != nil {
		b.Errorf("%s: the receipt's address %q is not host:port", when, r.Address)
	}
	b.wantHidden(when+": the receipt", r)
}

// reusesConnections: a connection per delivery would cost more than the delivery.
func reusesConnections(b *bench) {
	d := b.open()
	for n := range 10 {
		b.send(d, plain(b.TB, n))
		for i, f := range b.kind.Failures {
			if f.Breaks {
				continue
			}
			b.far.Break(b.TB, f)
			_, _ = d.Send(b.ctx(), plain(b.TB, 100*n+50+i))
			b.far.Mend(b.TB)
		}
	}
	if n := b.net.dialled(); n > b.kind.Connections {
		b.Errorf("%d connections for Sends one after the other, want at most %d", n, b.kind.Connections)
	}
}

// poisonFailsAlone: what is refused for its own sake spoils nothing else.
func poisonFailsAlone(b *bench) {
	d := b.open()
	before, after := plain(b.TB, 1), plain(b.TB, 2)
	poison, class := b.kind.Poison(b.TB)
	b.send(d, before)
	_, err := d.Send(b.ctx(), poison)
	b.wantClass(err, class)
	b.send(d, after)
	b.want(before, after)
}
