package simulation

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// In some runs whose store takes its time, haste makes people change their minds before they are answered,
// and destinations try again as fast. The engine then hears of a delivery's changes in any order. It is
// drawn from numbers of its own, so that the same seeds stay the same otherwise.
func (d *drawing) haste() {
	s := d.s
	h := &drawing{Rand: rand.New(rand.NewPCG(s.Seed, 0x4a57e)), s: s}
	if s.Lag == 0 || h.chance(0.4) {
		return
	}
	for i := range s.Actions {
		if a := &s.Actions[i]; a.Verb == Cancel || a.Verb == Retry {
			a.Minds, a.Pause = 1+h.IntN(6), h.scale(time.Microsecond, 2*s.Lag)
		}
	}
	for _, dest := range s.Dests {
		for _, v := range dest.Versions {
			if h.chance(0.3) {
				waits := make([]time.Duration, 1+h.IntN(10))
				for i := range waits {
					waits[i] = h.scale(time.Microsecond, 2*s.Lag)
				}
				v.Schedule = retry.Schedule{Waits: waits, Jitter: v.Schedule.Jitter}
			}
		}
	}
}

// change makes the change that a person wants of some deliveries, and its opposite each time they change
// their mind.
func (e *engine) change(p *process, a *Action) {
	ids := e.model.pick(a.Dest, a.Count, a.Pick)
	if len(ids) == 0 {
		return
	}
	verb := a.Verb
	for n := 0; ; n++ {
		e.ops.Go(func() { e.move(p, verb, ids) })
		if n == a.Minds {
			return
		}
		if verb = Cancel; a.Verb == Cancel == (n%2 == 0) {
			verb = Retry
		}
		wait := time.NewTimer(a.Pause)
		select {
		case <-wait.C:
		case <-p.died:
			wait.Stop()
			return
		}
	}
}

func (e *engine) move(p *process, verb Verb, ids []store.DeliveryID) {
	m := e.model
	now := m.wallTime(time.Now())
	var err error
	if verb == Cancel {
		_, err = p.sched.Move(context.Background(), now, store.Cancel, ids)
	} else {
		done := m.byHand(p, m.destsOf(ids))
		var moved []store.Moved
		moved, err = p.sched.Move(context.Background(), now, store.Retry, ids)
		done(m.destsOf(broughtBack(moved)))
	}
	if err != nil && !p.dead.Load() {
		m.fault(nil, "%v: %v", verb, err)
	}
}
