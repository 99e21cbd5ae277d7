package delivery

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Pause stops attempts of a destination until Resume; durable on return. store.ErrNotFound if there is none such.
func (s *Scheduler) Pause(ctx context.Context, id uint32, reason string) error {
	return s.changeState(ctx, id, func(d *dest, now instant) {
		if !d.state.Paused {
			d.state.Since = now.time().UTC()
		}
		d.state.Paused, d.state.Reason = true, reason
		for _, l := range d.lanes {
			s.emptyWindows(l)
		}
		s.resetOutages(d)
	})
}

// Resume ends a pause and a hold, and whatever wait the far side has asked for.
func (s *Scheduler) Resume(ctx context.Context, id uint32) error {
	return s.changeState(ctx, id, func(d *dest, now instant) {
		if d.state.Held {
			s.notify(d, Notice{Name: DestinationResumed, Reason: ByHand, Since: d.state.Since}, now)
		}
		d.state = store.DestinationState{}
		for _, l := range d.lanes {
			l.hold, l.outage = policy.Pacer{}, policy.Outage{}
			l.retryAfter = policy.RetryAfter{}
		}
	})
}

// TryNow ends the wait that the far side of a destination asked for, whatever
// settings it was asked with: a person wants to see what it says now.
func (s *Scheduler) TryNow(dest uint32) {
	now := s.lock()
	defer s.unlock(now)
	if d := s.dests[dest]; d != nil {
		for _, l := range d.lanes {
			l.retryAfter = policy.RetryAfter{}
		}
		s.considerAll(d, now)
	}
}
