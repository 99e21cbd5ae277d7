package delivery

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// Pause stops attempts of a destination until Resume; durable on return. store.ErrNotFound if there is none such.
func (s *Scheduler) Pause(ctx context.Context, id uint32, reason string) error {
	return s.changeState(ctx, id, func(d *dest, now instant) func(*store.DestinationState) {
		for _, l := range d.lanes {
			s.emptyWindows(l)
			l.outage = policy.Outage{}
		}
		at := now.time().UTC()
		return func(st *store.DestinationState) {
			if !st.Paused {
				st.Since = at
			}
			st.Paused, st.Reason, st.Failing = true, reason, store.Failing{}
		}
	})
}

// Resume ends a pause and a hold, and whatever wait the far side has asked for.
func (s *Scheduler) Resume(ctx context.Context, id uint32) error {
	return s.changeState(ctx, id, func(d *dest, now instant) func(*store.DestinationState) {
		if d.state.Held {
			s.notify(d, Notice{Name: DestinationResumed, Reason: ByHand, Since: d.state.Since}, now)
		}
		for _, l := range d.lanes {
			l.hold, l.outage = policy.Pacer{}, policy.Outage{}
			l.retryAfter = policy.RetryAfter{}
		}
		return func(st *store.DestinationState) { *st = store.DestinationState{} }
	})
}

// ForgetUser takes the name of a user out of why destinations of a developer are paused or
// held, as out of the acts that say so; durable on return.
func (s *Scheduler) ForgetUser(ctx context.Context, developer, user string) error {
	var named []uint32
	now := s.lock()
	for id, d := range s.dests {
		if d.key.Developer == developer && d.stateKnown && withoutUser(d.state.Reason, user) != d.state.Reason {
			named = append(named, id)
		}
	}
	s.unlock(now)
	for _, id := range named {
		if err := s.changeState(ctx, id, func(*dest, instant) func(*store.DestinationState) {
			return func(st *store.DestinationState) { st.Reason = withoutUser(st.Reason, user) }
		}); err != nil {
			return err
		}
	}
	return nil
}

func withoutUser(reason, user string) string {
	a := store.Act{Reason: reason}
	a.Forget(user)
	return a.Reason
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
