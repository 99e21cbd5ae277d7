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
	tell := f.Tell(lasted)
	if !tell && !f.Store(now.mono) {
		return
	}
	f.Stored(now.mono)
	failing := store.Failing{Settings: l.hash, Since: f.Began, Lasted: lasted, Attempts: f.Attempts, Told: f.Told}
	change := func(st *store.DestinationState) { st.Failing = worse(st.Failing, failing) }
	if !tell {
		s.storeState(d, change)
		return
	}
	told := func(st store.DestinationState) bool {
		return st.Failing.Settings == failing.Settings && st.Failing.Told >= failing.Told
	}
	s.storeNews(d, Notice{Name: DestinationFailing, Reason: e.Fault, Since: f.Began, Attempts: f.Attempts}, told, change, now)
}

// worse is how long a destination has failed, by what is stored and what this daemon has seen:
// each daemon sees its own attempts.
func worse(stored, seen store.Failing) store.Failing {
	if stored.Settings != seen.Settings || stored.Attempts == 0 {
		return seen
	}
	if stored.Since.Before(seen.Since) {
		seen.Since = stored.Since
	}
	seen.Lasted, seen.Attempts, seen.Told = max(stored.Lasted, seen.Lasted), max(stored.Attempts, seen.Attempts), max(stored.Told, seen.Told)
	return seen
}

// recordSuccess ends the clock of a lane.
func (s *Scheduler) recordSuccess(l *lane) {
	l.outage = policy.Outage{}
	if l == l.dest.current && l.dest.state.Failing.Settings == l.hash {
		s.storeNoOutage(l.dest) // it may be another daemon that it fails with
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
