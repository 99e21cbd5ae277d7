package delivery

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
)

// A destination that was in flight at three crashes running waits apart, for a
// minute at first and twice as long after each crash of its trials, up to an hour:
// a server that kills the process whenever it is asked costs three crashes, six
// more in the next half hour and one an hour then, whatever waits for it. A
// trial is one delivery, the one due first, and nothing else of that destination.
// One that ends without a crash has the destination served as before, unless
// another delivery of it was in flight at three crashes itself.
//
// A trial keeps others from beginning for trialTime, so that a hundred destinations
// that hang over three kills are tried within nine minutes. Where a crash has ended
// a trial before, the next keeps others from beginning until its timeout: what kills
// late is tried alone too, and those that happened to be beside it are found
// innocent one by one.
const (
	trialTime  = 5 * time.Second
	checkTrial = time.Minute // above the timeout of any check
)

// trial is the last that began.
type trial struct {
	on       bool
	of       *dest // nil: a check
	until    int64 // mono: until then no other begins
	learning bool  // see learnTrials
}

// restoreApart keeps those apart who may have killed the processes before this one.
func (s *Scheduler) restoreApart(now instant) {
	ids := s.flight.Apart()
	slices.Sort(ids)
	for _, id := range ids {
		d := s.dests[id]
		if d == nil {
			continue
		}
		c := s.flight.Known(suspects.OfDestination(id))
		s.apart = append(s.apart, d)
		d.apart, d.killedInTrial = true, c.Tries > 0
		d.apartUntil = now.mono + max(0, min(c.Until-now.wall, int64(suspects.ApartMost)))
		s.log.Warn("the process died three times running while a destination was served; it waits apart and is tried with one delivery then",
			"developer", d.key.Developer, "destination", d.key.Name, "wait", time.Duration(d.apartUntil-now.mono), "trials", c.Tries)
	}
}

// mayTry tells whether a call of l may begin beside what is on trial.
func (s *Scheduler) mayTry(l *lane) bool {
	return !l.dest.apart || l.dest.calls == 0 && !s.trial.on
}

// beginTrial keeps other trials from beginning for so long.
func (s *Scheduler) beginTrial(d *dest, most time.Duration, now instant) {
	s.trial.on, s.trial.of, s.trial.until = true, d, now.mono+int64(most)
}

// endTrial lets the next one begin.
func (s *Scheduler) endTrial(now instant) {
	s.trial.on, s.trial.of, s.trial.until = false, nil, 0
	for _, d := range s.apart {
		s.considerAll(d, now)
	}
}

// reviewApart has d served as before when nothing is said against it any more.
func (s *Scheduler) reviewApart(d *dest, now instant) {
	if !d.apart {
		return
	}
	if !d.suspected() && !s.flight.Known(suspects.OfDestination(d.id)).Apart() {
		d.apart = false
		s.apart = without(s.apart, d)
		s.considerAll(d, now)
		s.log.Info("the destination does not wait apart any more", "developer", d.key.Developer, "destination", d.key.Name)
	}
	if s.trial.on && s.trial.of == d && d.calls == 0 {
		s.endTrial(now)
	}
}

// StartCheck puts on record that a destination is being checked, until end is called. Where
// the process died of that, or the destination waits apart, end is nil and why
// says so.
func (s *Scheduler) StartCheck(dest uint32) (end func(), why string) {
	now := s.lock()
	defer s.unlock(now)
	if d := s.dests[dest]; d != nil && d.apart {
		return nil, d.whyApart()
	}
	c := s.flight.Known(suspects.OfCheck(dest))
	if c.Crashes > 0 {
		if c.Until > now.wall || s.trial.on {
			return nil, fmt.Sprintf("the process died during its last check, and during %d before it; it is not checked before %s",
				c.Crashes-1, time.Unix(0, max(c.Until, now.wall)).UTC().Format(time.RFC3339))
		}
		s.beginTrial(nil, checkTrial, now)
	}
	slot := s.flight.Begin(suspects.OfCheck(dest), c.Crashes > 0)
	return func() {
		now := s.lock()
		defer s.unlock(now)
		s.flight.End(slot, suspects.OfCheck(dest), true)
		if c.Crashes > 0 && s.trial.on && s.trial.of == nil {
			s.endTrial(now)
		}
	}, ""
}

// whyApart says why d waits.
func (d *dest) whyApart() string {
	if d.suspicion.left > 0 {
		return "daemons ended one after the other while something of it was due; it is tried with one delivery at a time"
	}
	return "the process died at least three times running while it was served; it is tried with one delivery at a time"
}
