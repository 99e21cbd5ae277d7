package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// trial is a short time in which nothing starts but suspects, so that a crash
// can only be their doing. One begins with a start that finds suspects, when
// nothing is in flight yet, and later when one of them is due.
//
// It lasts for trialTime at the most, and as long again before it if others
// have to land first; who has not landed by then flies on beside it. When it
// ends, so that nobody waits longer for suspects that hang, they fly on beside
// the others. At most a tenth of the time is spent on trials, and a suspect that
// is due between two of them, or has no room beside the suspects in flight, is
// put off until later.
type trial struct {
	stage stage
	alone bool  // nothing is in flight but suspects
	began int64 // mono: since when the others wait
	at    int64 // mono: when the stage ends
	next  int64 // mono: no other trial before

	crowded bool // a suspect waits for one of those in flight to land
}

type stage uint8

const (
	noTrial stage = iota
	landing       // others are in flight; nothing starts
	trying        // suspects start
)

const (
	trialTime  = time.Second // of each stage
	trialShare = 10          // one part of so many is spent on trials
	roomAgain  = 10 * time.Second
)

// beginTrial tries what may have killed the process before this one.
func (s *Scheduler) beginTrial(now instant) {
	n := s.flight.doubts()
	if n == 0 {
		return
	}
	s.log.Warn("deliveries were in flight at three crashes running or more; they are tried apart from the others", "deliveries", n)
	s.trial.began = now.mono
	s.openTrial(now)
}

func (s *Scheduler) openTrial(now instant) {
	t := &s.trial
	t.stage, t.at = trying, now.mono+int64(trialTime)
	t.alone = s.flying == s.flight.trying()
	s.considerEvery(now)
}

func (s *Scheduler) endTrial(now instant) {
	t := &s.trial
	*t = trial{next: now.mono + (trialShare-1)*(now.mono-t.began)}
	s.flight.join()
	s.considerEvery(now)
}

// stepTrial moves a trial on; false while nothing may start.
func (s *Scheduler) stepTrial(now instant) bool {
	t := &s.trial
	if t.stage == landing && (now.mono >= t.at || s.flying == s.flight.trying()) {
		s.openTrial(now)
	}
	if t.stage == trying && now.mono >= t.at {
		s.endTrial(now)
	}
	return t.stage != landing
}

// idleTrial tells whether a trial has nobody to try, now that no lane is ready.
func (s *Scheduler) idleTrial() bool {
	return s.trial.stage == trying && s.flight.trying() == 0 && s.loader.active == 0
}

// mayTry tells whether the head of l may start in a trial.
func (s *Scheduler) mayTry(l *lane) bool {
	if s.trial.stage != trying {
		return true
	}
	item := &l.head().item
	doubtful, charge := s.flight.suspect(item.ID, item.Attempts)
	if doubtful && !charge && !s.flight.room(item.ID) {
		s.trial.crowded = true
		return false
	}
	return doubtful
}

// keepsBack tells whether the head of l, whose turn it is, may not start yet, and
// sees to it that it does later.
func (s *Scheduler) keepsBack(l *lane, now instant) bool {
	t := &s.trial
	if t.stage == noTrial && s.flight.doubts() == 0 {
		return false
	}
	j := l.head()
	if j == nil {
		return false
	}
	id := j.item.ID
	doubtful, charge := s.flight.suspect(id, j.item.Attempts)
	switch {
	case charge, !doubtful && t.stage == noTrial:
		return false
	case t.stage == trying:
		if s.mayTry(l) {
			return false
		}
		s.consider(l, now)
	case !s.flight.room(id):
		s.putOff(l, int64(roomAgain), now)
	case now.mono < t.next:
		s.putOff(l, t.next-now.mono, now)
	default:
		t.stage, t.began, t.at = landing, now.mono, now.mono+int64(trialTime)
		s.consider(l, now)
	}
	return true
}

// putOff makes the head of l due later. It keeps nothing else of its lane waiting.
func (s *Scheduler) putOff(l *lane, wait int64, now instant) {
	j := l.head()
	s.pop(j.q)
	s.cache.done(j)
	s.settle(j, l, store.Outcome{
		Item: j.item, State: store.Pending, Due: now.wall + wait, Settings: j.item.Queue.Settings, Attempts: j.item.Attempts,
	})
	if l.probing() {
		s.retreat(l)
	}
	s.considerAll(l.dest, now)
}

func (s *Scheduler) considerEvery(now instant) {
	for _, d := range s.dests {
		s.considerAll(d, now)
	}
}
