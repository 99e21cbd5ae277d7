package destinationtest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func classifies(b *bench, f Failure) {
	b.far.Break(b.TB, f)
	_, err := b.open().Send(b.ctx(), plain(b.TB, 1))
	b.wantClass(err, f.Class)
	if _, wait := destination.ClassOf(err); wait != f.Wait {
		b.Errorf("%v asks to wait %v, want %v", err, wait, f.Wait)
	}
	if errors.Is(err, destination.ErrEngine) != f.Engine {
		b.Errorf("%v is a fault of the engine: %v, want %v", err, !f.Engine, f.Engine)
	}
	if err.Error() == "" {
		b.Error("the error says nothing")
	}
}

// recoversFrom: nothing of a failure stays behind in the destination, and a
// failed attempt may be repeated.
func recoversFrom(b *bench, f Failure) {
	d := b.open()
	before, x := plain(b.TB, 1), plain(b.TB, 2)
	b.send(d, before)
	b.far.Break(b.TB, f)
	if _, err := d.Send(b.ctx(), x); err == nil {
		b.Fatal("it succeeded at a broken far side")
	}
	b.far.Mend(b.TB)
	b.recovers(d, x)
	b.want(before, x)
}

// recovers expects a Send to succeed soon: connections that died may each cost one.
func (b *bench) recovers(d destination.Destination, x destination.Delivery) {
	b.Helper()
	var err error
	for range 5 {
		if _, err = d.Send(b.ctx(), x); err == nil {
			return
		}
	}
	b.Fatalf("it does not recover by itself: %v", err)
}

// neverRetries: the engine counts, spaces and logs attempts, and it cannot
// those that it does not see. But for one: what is sent over a kept connection
// that had ended goes out once more.
func neverRetries(b *bench, f Failure) {
	d := b.open()
	most := 1
	if f.Breaks {
		most = 2
	}
	b.far.Break(b.TB, f)
	before := b.kind.Requests(b.TB, b.far)
	if _, err := d.Send(b.ctx(), plain(b.TB, 1)); err == nil {
		b.Fatal("it succeeded at a broken far side")
	}
	if n := b.kind.Requests(b.TB, b.far) - before; n > most {
		b.Errorf("one Send made %d requests, want at most %d", n, most)
	}
}

func unreachableIsTransient(b *bench) {
	d := b.open()
	b.net.change(func() { b.net.refuse = true })
	x := plain(b.TB, 1)
	var err error
	b.sooner("Send to a far side that refuses connections", func() { _, err = d.Send(b.ctx(), x) })
	b.wantClass(err, destination.Transient)
	b.wantHiddenIn(err)
	b.net.change(func() { b.net.refuse = false })
	b.recovers(d, x)
	b.want(x)
}

// cutIsTransient: the connection breaks while the answer is awaited.
func cutIsTransient(b *bench) {
	b.cutInFlight(b.open(), plain(b.TB, 1))
}

// cutInFlight breaks the connection of a Send and expects it to say so. Until
// its end no other connection can be made, so that a retry would fail, too.
func (b *bench) cutInFlight(d destination.Destination, x destination.Delivery) {
	b.Helper()
	b.stall()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = d.Send(b.ctx(), x)
	}()
	b.untilHeld()
	b.net.change(func() { b.net.refuse = true })
	b.net.cut()
	b.sooner("Send whose connection broke", func() { <-done })
	b.wantClass(err, destination.Transient)
	b.wantHiddenIn(err)
	b.net.change(func() { b.net.refuse, b.net.stall = false, false })
}

// recoversFromCut: connections that broke, idle or in use, are replaced for ever.
func recoversFromCut(b *bench) {
	d := b.open()
	var sent []destination.Delivery
	for n := range 3 {
		x, y := plain(b.TB, 2*n), plain(b.TB, 2*n+1)
		b.recovers(d, x)
		b.net.cut()
		b.recovers(d, y)
		b.cutInFlight(d, y)
		sent = append(sent, x, y)
	}
	b.recovers(d, sent[0])
	if !b.kind.Duplicates {
		b.want(sent...)
	}
}

func refusesWhenCancelled(b *bench) {
	d := b.open()
	ctx, cancel := context.WithCancel(b.ctx())
	cancel()
	var err error
	b.sooner("Send with a cancelled context", func() { _, err = d.Send(ctx, plain(b.TB, 1)) })
	b.wantClass(err, destination.Transient)
}

func honoursCancel(b *bench) {
	d := b.open()
	b.send(d, plain(b.TB, 1)) // in the middle of a healthy life
	b.stall()
	b.cancelled("Send", func(ctx context.Context) error {
		_, err := d.Send(ctx, plain(b.TB, 2))
		return err
	})
}

func honoursCancelWhileConnecting(b *bench) {
	d := b.open()
	b.net.change(func() { b.net.vanish = true })
	b.cancelled("Send", func(ctx context.Context) error {
		_, err := d.Send(ctx, plain(b.TB, 1))
		return err
	})
}

// cancelled calls f, cancels it once the network holds something up, and
// expects it to give up at once without blaming anybody.
func (b *bench) cancelled(what string, f func(context.Context) error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() { defer close(done); err = f(ctx) }()
	b.untilHeld()
	cancel()
	b.sooner(what+" that was cancelled", func() { <-done })
	b.wantClass(err, destination.Transient)
	b.wantHiddenIn(err)
}

func honoursDeadline(b *bench) {
	d := b.open()
	b.stall()
	ctx, cancel := context.WithTimeout(b.ctx(), 100*time.Millisecond)
	defer cancel()
	var err error
	b.sooner("Send whose time is up", func() { _, err = d.Send(ctx, plain(b.TB, 1)) })
	b.wantClass(err, destination.Transient)
	b.wantHiddenIn(err)
}

// stall lets nothing through until the case ends.
func (b *bench) stall() { b.net.change(func() { b.net.stall, b.net.held = true, false }) }

func (b *bench) untilHeld() {
	b.Helper()
	if !b.net.until(b.kind.patience, func() bool { return b.net.held }) {
		b.Fatal("the destination sent nothing and connected nowhere: does it use the network of Deps?")
	}
}

// hidesSecrets tries every failure, and prints the destination itself, which
// String and GoString keep short.
func hidesSecrets(b *bench) {
	d := b.open()
	b.wantHidden("the destination", d)
	for n, f := range b.kind.Failures {
		b.far.Break(b.TB, f)
		r, err := d.Send(b.ctx(), plain(b.TB, n))
		b.wantHiddenIn(err)
		b.wantHidden(f.Name+": the receipt", r)
		b.far.Mend(b.TB)
	}
}
