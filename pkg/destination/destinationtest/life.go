package destinationtest

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// openConnectsNowhere: a far side that is down must not delay a reload.
func openConnectsNowhere(b *bench) {
	b.net.change(func() { b.net.vanish = true })
	var d destination.Destination
	b.sooner("Open", func() { d = b.far.Open(b.TB, b.lent()) })
	b.sooner("Close", func() {
		if err := d.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	if n := b.net.dialled(); n > 0 {
		b.Errorf("opening and closing made %d connections", n)
	}
}

// closeSparesOthers: a destination that is replaced in a reload must not take
// connections from the others.
func closeSparesOthers(b *bench) {
	closing, staying := b.far.Open(b.TB, b.lent()), b.open()
	b.send(staying, plain(b.TB, 1))
	b.send(closing, plain(b.TB, 2))
	b.send(staying, plain(b.TB, 3))
	before := b.net.dialled()
	b.send(staying, plain(b.TB, 4))
	steady := b.net.dialled() == before // else it never keeps a connection
	if err := closing.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
	before = b.net.dialled()
	b.send(staying, plain(b.TB, 5))
	if n := b.net.dialled() - before; steady && n > 0 {
		b.Errorf("after another destination was closed, this one had to connect %d times", n)
	}
}

// closeLeavesNothing: neither connections nor goroutines outlive Close, after
// successes and failures, many at once.
func closeLeavesNothing(b *bench) {
	before := goroutines()
	d := b.far.Open(b.TB, b.lent())
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() { _, _ = d.Send(b.ctx(), plain(b.TB, n)) })
	}
	all.Wait()
	for n, f := range b.kind.Failures {
		b.far.Break(b.TB, f)
		_, _ = d.Send(b.ctx(), plain(b.TB, 100+n))
		b.far.Mend(b.TB)
	}
	b.closes(d, before)
}

// closeAfterAnAbortedSend: what an aborted Send left open is ended by Close.
func closeAfterAnAbortedSend(b *bench) {
	before := goroutines()
	d := b.far.Open(b.TB, b.lent())
	b.send(d, plain(b.TB, 1))
	b.stall()
	b.cancelled("Send", func(ctx context.Context) error {
		_, err := d.Send(ctx, plain(b.TB, 2))
		return err
	})
	b.net.change(func() { b.net.stall = false })
	b.closes(d, before)
}

// closes closes d and waits for everything to end that began after before was taken.
func (b *bench) closes(d destination.Destination, before map[string]string) {
	b.Helper()
	b.sooner("Close", func() {
		if err := d.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	})
	b.pool.CloseIdle() // those are the engine's
	if !b.net.until(b.kind.patience, func() bool { return len(b.net.lines) == 0 }) {
		b.net.mu.Lock()
		b.Errorf("%d connections outlive Close", len(b.net.lines))
		b.net.mu.Unlock()
		b.net.cut()
	}
	// Nothing tells when a goroutine ends, so this looks again and again.
	for deadline := time.Now().Add(b.kind.patience); ; runtime.Gosched() {
		left := b.begun(before)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d goroutines outlive Close:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	}
}

// begun returns the goroutines that were not there before and are not the far side's.
func (b *bench) begun(before map[string]string) (left []string) {
	for id, stack := range goroutines() {
		if _, old := before[id]; old || b.background(stack) {
			continue
		}
		left = append(left, stack)
	}
	return left
}

func (b *bench) background(stack string) bool {
	for _, name := range b.kind.Background {
		if strings.Contains(stack, name) {
			return true
		}
	}
	// Timers and finalizers of the runtime and testing's own.
	return strings.Contains(stack, "destinationtest.goroutines(") || strings.Contains(stack, "created by runtime") || strings.Contains(stack, "created by testing.")
}

// goroutines returns the stacks of all goroutines by their number.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	all := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		all[id] = stack
	}
	return all
}
