package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
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
	held := d.state.Held
	d.state.Held, d.state.Settings = true, l.hash
	since, attempts := l.outage.Began, l.outage.Attempts
	s.resetOutages(d)
	if !d.state.Paused {
		d.state.Reason = why
		if !held {
			d.state.Since = now.time().UTC()
		}
	}
	s.emptyWindows(l)
	s.storeState(d)
	if !held {
		s.notify(d, Notice{Name: DestinationHeld, Reason: why, Since: since, Attempts: attempts}, now)
	}
}

// unhold ends a hold.
func (s *Scheduler) unhold(d *dest, why string, now instant) {
	since := d.state.Since
	d.state.Held, d.state.Settings = false, 0
	if !d.state.Paused {
		d.state.Reason, d.state.Since = "", time.Time{}
	}
	for _, l := range d.lanes {
		l.hold = policy.Pacer{}
	}
	s.storeState(d)
	s.notify(d, Notice{Name: DestinationResumed, Reason: why, Since: since}, now)
}
