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
	if len(c.gates) > 0 {
		at = min(at, c.gates[0].at)
	}
	if len(c.allowances) > 0 {
		at = min(at, c.allowances[0].at)
	}
	if s.trial.on {
		at = min(at, s.trial.until)
	}
	if len(c.dues) > 0 {
		at = min(at, now.mono+max(0, c.dues[0].at-now.wall))
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
	for len(c.dues) > 0 && c.dues[0].at <= now.wall {
		q := c.dues[0].owner
		c.dues.disarm(c.dues[0])
		s.consider(q.lane, now)
	}
	for len(c.gates) > 0 && c.gates[0].at <= now.mono {
		l := c.gates[0].owner
		c.gates.disarm(c.gates[0])
		s.markSlow(l, now)
		s.consider(l, now)
	}
	for len(c.allowances) > 0 && c.allowances[0].at <= now.mono {
		d := c.allowances[0].owner
		c.allowances.disarm(c.allowances[0])
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
