package delivery

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// recordFailure counts a failure of a lane that is not held.
func (s *Scheduler) recordFailure(l *lane, e *policy.Ending, now instant) {
	f, d := &l.outage, l.dest
	f.Fail(now.time().UTC(), now.mono)
	if l != d.current || !d.active() {
		return // it went on with the settings of before
	}
	lasted := f.Lasted(now.mono)
	if f.Holds(l.settings.Schedule, lasted) {
		s.hold(l, fmt.Sprintf("no attempt has succeeded for %s, %d have failed; the last: %s", strings.TrimSuffix(lasted.Round(time.Minute).String(), "0s"), f.Attempts, e.Fault), now)
		return
	}
	if f.Tell(lasted) {
		s.notify(d, Notice{Name: DestinationFailing, Reason: e.Fault, Since: f.Began, Attempts: f.Attempts}, now)
	} else if !f.Store(now.mono) {
		return
	}
	f.Stored(now.mono)
	d.state.Failing = store.Failing{Settings: l.hash, Since: f.Began, Lasted: lasted, Attempts: f.Attempts, Told: f.Told}
	s.storeState(d)
}

// recordSuccess ends the clock of a lane.
func (s *Scheduler) recordSuccess(l *lane) {
	if l.outage.Attempts > 0 {
		l.outage = policy.Outage{}
		if l == l.dest.current {
			s.storeNoOutage(l.dest)
		}
	}
}

// restoreOutage goes on with the clock that the process before this one stored, and
// with the failures that it counted towards opening the breaker.
func (s *Scheduler) restoreOutage(d *dest, l *lane, now instant) {
	was := d.state.Failing
	if was.Settings != l.hash {
		s.storeNoOutage(d)
	} else if l.outage.Attempts == 0 && was.Attempts > 0 {
		l.outage = policy.Restored(was, now.mono)
		l.breaker.Resume(was.Attempts, was.Lasted, now.mono)
	}
}
