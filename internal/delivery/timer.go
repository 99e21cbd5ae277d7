package delivery

import "time"

// alarm is a place in alarms.
type alarm[T any] struct {
	at    int64
	place int // index + 1; 0: not armed
	owner T
}

// alarms is a heap by time. Arming, moving and disarming cost O(log n).
type alarms[T any] []*alarm[T]

// set arms a at the time given, or disarms it if that is never.
func (h *alarms[T]) set(a *alarm[T], at int64, owner T) {
	if at == never {
		h.disarm(a)
		return
	}
	h.arm(a, at, owner)
}

func (h *alarms[T]) arm(a *alarm[T], at int64, owner T) {
	switch {
	case at == never:
		h.disarm(a)
	case a.place == 0:
		a.at, a.owner = at, owner
		*h = append(*h, a)
		a.place = len(*h)
		h.up(len(*h) - 1)
	case a.at != at:
		a.at = at
		h.down(a.place - 1)
		h.up(a.place - 1)
	}
}

func (h *alarms[T]) disarm(a *alarm[T]) {
	if a.place == 0 {
		return
	}
	i, last := a.place-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	a.place = 0
	if i < last {
		moved := (*h)[i]
		h.down(i)
		h.up(moved.place - 1)
	}
}

func (h alarms[T]) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h alarms[T]) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if h[p].at <= h[i].at {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h alarms[T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].at < h[c].at {
			c++
		}
		if h[i].at <= h[c].at {
			return
		}
		h.swap(i, c)
		i = c
	}
}

// clock is the scheduler's only timer. Due times have a heap of their own, since
// they stand still or jump with the wall clock and intervals do not. It sleeps
// until the first of all, and never longer than a minute: a wall clock that was set, or a
// machine that slept, is noticed then.
type clock struct {
	dues       alarms[*queue]     // wall time of the next unread row
	gates      alarms[*lane]      // mono
	allowances alarms[*developer] // mono
	nextWatch  int64              // mono: the next pass of the watchdog
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
	at := c.nextWatch
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
