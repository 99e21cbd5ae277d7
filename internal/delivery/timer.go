package delivery

import "time"

// clock is the scheduler's only timer. Due times have a heap of their own, since
// they stand still or jump with the wall clock and intervals do not. It sleeps
// until the first of all, and never longer than a minute: a wall clock that was set, or a
// machine that slept, is noticed then.
type clock struct {
	dues       alarms[*queue]     // wall time of the next unread row
	gates      alarms[*lane]      // mono
	allowances alarms[*developer] // mono
	nextWatch  int64              // mono: the next pass of the watchdog
	owned      int64              // mono: when it is asked again whether attempts may begin
	timer      *time.Timer
	at         int64 // mono: when timer fires
}

// setTimer sets the timer if something comes before it fires. A timer that fires
// too early costs less than moving it with every call.
func (s *Scheduler) setTimer(now instant) {
	c := &s.clock
	if s.phase != running {
		return
	}
	at := min(c.nextWatch, c.owned)
	if a := c.gates.first(); a != nil {
		at = min(at, a.at)
	}
	if a := c.allowances.first(); a != nil {
		at = min(at, a.at)
	}
	if s.trial.on {
		at = min(at, s.trial.until)
	}
	if a := c.dues.first(); a != nil {
		at = min(at, now.mono+max(0, a.at-now.wall))
	}
	if at >= c.at {
		return
	}
	c.at = at
	wait := time.Duration(max(0, at-now.mono))
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, s.tick)
		return
	}
	c.timer.Reset(wait)
}

// tick wakes every lane whose time has come.
func (s *Scheduler) tick() {
	now := s.lock()
	defer s.unlock(now)
	if s.phase != running {
		return
	}
	c := &s.clock
	c.at = never
	if c.owned <= now.mono {
		c.owned = never // startCalls asks again, and sets it anew
	}
	for a := c.dues.first(); a != nil && a.at <= now.wall; a = c.dues.first() {
		q := a.owner
		c.dues.disarm(a)
		s.consider(q.lane, now)
	}
	for a := c.gates.first(); a != nil && a.at <= now.mono; a = c.gates.first() {
		l := a.owner
		c.gates.disarm(a)
		s.markSlow(l, now)
		s.consider(l, now)
	}
	for a := c.allowances.first(); a != nil && a.at <= now.mono; a = c.allowances.first() {
		d := a.owner
		c.allowances.disarm(a)
		s.renewAllowance(d)
	}
	if s.trial.on && s.trial.until <= now.mono {
		s.endTrial(now)
	}
	if c.nextWatch <= now.mono {
		c.nextWatch = now.mono + int64(time.Minute)
		s.checkLanes(now)
	}
}
