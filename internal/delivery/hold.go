package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// A held destination is probed with its earliest due delivery this often.
const (
	holdFirst = time.Minute
	holdMost  = time.Hour
)

// hold holds the destination: with these settings no event gets through.
func (s *Scheduler) hold(l *lane, why string, now instant) {
	d := l.dest
	if l.hold.At <= now.mono || !l.held() {
		l.hold.Next(now.mono, holdFirst, holdMost)
	}
	if l.held() && d.state.Reason == why {
		return
	}
	notice := Notice{Name: DestinationHeld, Reason: why, Since: l.outage.Began, Attempts: l.outage.Attempts}
	for _, l := range d.lanes {
		l.outage = policy.Outage{}
	}
	s.emptyWindows(l)
	hash, at := l.hash, now.time().UTC()
	held := func(st store.DestinationState) bool { return st.Held && st.Settings == hash }
	s.storeNews(d, notice, held, func(st *store.DestinationState) {
		if !st.Paused {
			st.Reason = why
			if !held(*st) {
				st.Since = at
			}
		}
		st.Held, st.Settings, st.Failing = true, hash, store.Failing{}
	}, now)
}

// storeNews changes the state of d and tells of it, unless it was like that already. Several
// daemons find the same within moments: there the store says who was the first.
func (s *Scheduler) storeNews(d *dest, n Notice, was func(store.DestinationState) bool, change func(*store.DestinationState), now instant) {
	c := stateChange{make: change}
	if s.shared != nil {
		c.tell, c.was = &n, was
	} else if !was(d.state) {
		s.notify(d, n, now)
	}
	s.storeChange(d, c)
}

// unhold ends a hold.
func (s *Scheduler) unhold(d *dest, why string, now instant) {
	for _, l := range d.lanes {
		l.hold = policy.Pacer{}
	}
	hash := d.state.Settings
	ended := func(st store.DestinationState) bool { return !st.Held || st.Settings != hash }
	s.storeNews(d, Notice{Name: DestinationResumed, Reason: why, Since: d.state.Since}, ended, func(st *store.DestinationState) {
		if ended(*st) {
			return
		}
		st.Held, st.Settings = false, 0
		if !st.Paused {
			st.Reason, st.Since = "", time.Time{}
		}
	}, now)
}
