package delivery

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// A destination is held when it has failed without one success for longer than
// its schedule lasts, and a tenth more: what was accepted at the beginning is
// dead by then, and without a hold all that follows would die too.
const (
	// failingAttempts is how many must have failed: more than one delivery makes
	// with the default schedule, so that no single event holds a destination.
	failingAttempts = 10
	// failingLeast keeps short schedules from holding for a passing outage.
	failingLeast = time.Hour
	// A clock that ran for failingFirst is stored, and every failingEvery from
	// then on: a flapping destination costs no writes, a dead one few.
	failingFirst = time.Minute
	failingEvery = time.Hour
)

// failingTold are the ages at which a notice says that a destination fails.
var failingTold = [...]time.Duration{8 * time.Hour, 16 * time.Hour}

// outage is the clock of a lane that fails. It counts the time that ends in a
// failure: what ends in a fault of our own, or in the far side's wish to be left
// alone, says nothing, and while the daemon is down nobody looks.
type outage struct {
	attempts int       // failed since the last success; 0: the clock stands at zero
	began    time.Time // the first of them
	since    int64     // mono: began, moved by what does not count
	last     int64     // mono: the last ending that said anything
	told     int       // of failingTold
	keptAt   int64     // mono: when it is stored again
}

// discount takes the time since the last ending out of the clock.
func (o *outage) discount(mono int64) {
	if o.attempts > 0 {
		o.since += mono - o.last
		o.last = mono
	}
}

// holdAfter is how long a lane may fail. Jitter is left out of the horizon: its
// extremes do not add up.
func holdAfter(s retry.Schedule) time.Duration {
	horizon := retry.Schedule{Waits: s.Waits}.Horizon()
	return max(failingLeast, horizon+horizon/10)
}

// recordFailure counts a failure of a lane that is not held.
func (s *Scheduler) recordFailure(l *lane, e *ending, now instant) {
	f, d := &l.outage, l.dest
	if f.attempts == 0 {
		*f = outage{began: now.time().UTC(), since: now.mono, keptAt: now.mono + int64(failingFirst)}
	}
	f.attempts++
	f.last = now.mono
	if l != d.current || !d.active() {
		return // it went on with the settings of before
	}
	lasted := time.Duration(now.mono - f.since)
	if lasted > holdAfter(l.settings.Schedule) && f.attempts >= failingAttempts {
		s.hold(l, fmt.Sprintf("no attempt has succeeded for %s, %d have failed; the last: %s", strings.TrimSuffix(lasted.Round(time.Minute).String(), "0s"), f.attempts, e.fault), now)
		return
	}
	told := f.told
	for f.told < len(failingTold) && lasted >= failingTold[f.told] {
		f.told++
	}
	if f.told > told {
		s.notify(d, Notice{Name: DestinationFailing, Reason: e.fault, Since: f.began, Attempts: f.attempts}, now)
	} else if now.mono < f.keptAt {
		return
	}
	f.keptAt = now.mono + int64(failingEvery)
	d.state.Failing = store.Failing{Settings: l.hash, Since: f.began, Lasted: lasted, Attempts: f.attempts, Told: f.told}
	s.storeState(d)
}

// recordSuccess ends the clock of a lane.
func (s *Scheduler) recordSuccess(l *lane) {
	if l.outage.attempts > 0 {
		l.outage = outage{}
		if l == l.dest.current {
			s.storeNoOutage(l.dest)
		}
	}
}

// resetOutages forgets that d fails, under whatever settings.
func (s *Scheduler) resetOutages(d *dest) {
	for _, l := range d.lanes {
		l.outage = outage{}
	}
	s.storeNoOutage(d)
}

// storeNoOutage has it stored that d does not fail.
func (s *Scheduler) storeNoOutage(d *dest) {
	if d.state.Failing != (store.Failing{}) {
		d.state.Failing = store.Failing{}
		s.storeState(d)
	}
}

// restoreOutage goes on with the clock that the process before this one stored.
func (s *Scheduler) restoreOutage(d *dest, l *lane, now instant) {
	was := d.state.Failing
	if was.Settings != l.hash {
		s.storeNoOutage(d)
	} else if l.outage.attempts == 0 && was.Attempts > 0 {
		l.outage = outage{
			attempts: was.Attempts, began: was.Since, told: was.Told, last: now.mono,
			since: now.mono - int64(was.Lasted), keptAt: now.mono + int64(failingEvery),
		}
	}
}
