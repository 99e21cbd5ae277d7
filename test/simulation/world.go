package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// ending is what came of an attempt, as the far side knows it.
type ending uint8

const (
	running ending = iota
	taken          // it answered that it has the event
	failed         // anything that is to be tried again: refusals, timeouts, panics, lost answers
	asked          // it asked to wait
	refused        // it will never take this event
	misset         // it will take nothing with these settings
	ours           // our own payload store failed
	cut            // the engine stopped
	killed         // the process died meanwhile
)

var endings = [...]string{"running", "taken", "failed", "asked to wait", "refused", "misset", "our own fault", "cut", "killed"}

func (e ending) String() string { return endings[e] }

// world is the far side of every destination.
type world struct {
	sc    *Scenario
	model *Model
	began time.Time

	mu   sync.Mutex
	open map[*place]bool
}

// place is one open destination: an address, as one process sees it.
type place struct {
	world   *world
	dest    *Dest
	version *Version
	process *process
	hook    destination.Destination // what it is over the wire; nil: it is none

	mu     sync.Mutex
	sends  int
	closed bool
}

var _ destination.Destination = (*place)(nil)

// batching is a place that takes several deliveries at once.
type batching struct{ *place }

var _ destination.Batcher = batching{}

// visit opens the address of a version for a process.
func (w *world) visit(p *process, d *Dest, version int) destination.Destination {
	at := &place{world: w, dest: d, version: d.Versions[version], process: p, hook: w.hook(p, d)}
	w.mu.Lock()
	w.open[at] = true
	w.mu.Unlock()
	if d.Batch > 0 {
		return batching{at}
	}
	return at
}

// left returns the places that a process has not closed.
func (w *world) left(p *process) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := range w.open {
		if at.process == p {
			n++
			delete(w.open, at)
		}
	}
	return n
}

var errDead = errors.New("this process is dead")

func (p *place) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sends++
	if p.closed {
		p.world.model.fault(nil, "%s: Send after Close", p.dest.Name)
	}
}

func (p *place) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sends--
}

func (p *place) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sends > 0 {
		p.world.model.fault(nil, "%s: Close while %d Sends run", p.dest.Name, p.sends)
	}
	if p.closed {
		p.world.model.fault(nil, "%s: closed twice", p.dest.Name)
	}
	p.closed = true
	if p.hook != nil {
		p.hook.Close()
	}
	p.world.mu.Lock()
	delete(p.world.open, p)
	p.world.mu.Unlock()
	return nil
}

func (p *place) Send(ctx context.Context, d destination.Delivery) (destination.Receipt, error) {
	p.enter()
	defer p.leave()
	a := p.world.model.started(p, []destination.Delivery{d}, deadline(ctx))
	if a == nil {
		return destination.Receipt{}, errDead
	}
	r := p.answer(ctx, a.tries[0], d)
	return r.Receipt, r.Err
}

func (b batching) MaxBatch() int { return b.dest.Batch }

func (b batching) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	b.enter()
	defer b.leave()
	a := b.world.model.started(b.place, ds, deadline(ctx))
	rs := make([]destination.Result, len(ds))
	if a == nil {
		for i := range rs {
			rs[i].Err = errDead
		}
		return rs
	}
	// A call of a batch lasts as long as its first delivery, which may also spoil the call for all.
	for i := range ds {
		rs[i] = b.answer(ctx, a.tries[i], ds[i])
	}
	return rs
}

func deadline(ctx context.Context) int64 {
	if t, ok := ctx.Deadline(); ok {
		return t.UnixNano()
	}
	return 0
}

// answer behaves as the weather says, and tells the model what came of it.
func (p *place) answer(ctx context.Context, t *try, d destination.Delivery) (r destination.Result) {
	m := p.world.model
	spell, roll := t.call.spell, t.roll
	wait := time.Duration(0)
	if t == t.call.tries[0] {
		// Each attempt has a nanosecond of its own, so that which one ends first is never left to chance.
		wait = 1 + roll.upTo(spell.Latency) + time.Duration(roll.next()%1000)
	}
	if t.d.poison(p.process) {
		m.note(t.d, "kills the process")
		p.process.engine.cutPower(p.process, false, 100)
		<-ctx.Done()
		return destination.Result{Err: errDead}
	}
	if spell.Mode == Hanging {
		<-ctx.Done()
	}
	if !sleep(ctx, wait) {
		return p.interrupted(ctx, t)
	}
	fails := func(text string) destination.Result {
		m.ended(t, failed, 0)
		return destination.Result{Receipt: destination.Receipt{Code: 503}, Err: errors.New(text)}
	}
	switch spell.Mode {
	case Down:
		return fails("connection refused")
	case Flaky:
		if roll.chance(0.4) {
			return fails("now and then")
		}
	case Deaf:
		m.took(t)
		if roll.chance(0.5) {
			return fails("connection reset")
		}
		<-ctx.Done()
		return p.interrupted(ctx, t)
	case Busy:
		if spell.lenient(p.world.sc.Seed) && roll.chance(0.5) {
			break
		}
		m.ended(t, asked, spell.After)
		return destination.Result{Receipt: destination.Receipt{Code: 429}, Err: destination.Throttle(errors.New("busy"), spell.After)}
	case Picky:
		if refuse := throw(p.world.sc.Seed, uint64(t.d.ordinal), 7); refuse.chance(0.4) {
			m.ended(t, refused, 0)
			return destination.Result{Receipt: destination.Receipt{Code: 422}, Err: destination.Reject(errors.New("not for us"))}
		}
	case Misset:
		m.ended(t, misset, 0)
		return destination.Result{Receipt: destination.Receipt{Code: 401}, Err: destination.Misconfigure(errors.New("who are you"))}
	case Wild:
		if t.call.batch == 1 && roll.chance(0.7) {
			m.ended(t, failed, 0)
			panic("the driver is broken")
		}
	case Ailing:
		m.ended(t, ours, 0)
		return destination.Result{Err: fmt.Errorf("storing the payload: %w", destination.ErrEngine)}
	}
	if p.hook != nil {
		return p.post(ctx, t, d)
	}
	m.took(t)
	m.ended(t, taken, 0)
	return destination.Result{Receipt: destination.Receipt{Code: 200, Answer: "ok", Address: "192.0.2.1:443"}}
}

// interrupted is an attempt that was cut: by its timeout, or because the engine stops.
func (p *place) interrupted(ctx context.Context, t *try) destination.Result {
	m := p.world.model
	if ctx.Err() == context.DeadlineExceeded {
		// As real clients do, the far side takes a moment to give up.
		wait := time.NewTimer(time.Duration(1 + t.roll.next()%100_000))
		<-wait.C
		m.ended(t, failed, 0)
		return destination.Result{Err: ctx.Err()}
	}
	if errors.Is(context.Cause(ctx), delivery.ErrShutdown) {
		m.ended(t, cut, 0)
	} else {
		m.ended(t, killed, 0)
	}
	return destination.Result{Err: context.Cause(ctx)}
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// same tells whether two events have the same bytes.
func same(a, b []byte) bool { return bytes.Equal(a, b) }
