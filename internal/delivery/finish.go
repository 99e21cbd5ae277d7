package delivery

import "github.com/seed-51f8da91/fantail/internal/delivery/policy"

// finish decides what becomes of each delivery of a call, has it stored, and returns the next
// call to make. The worker that made the call is here with its endings; where there is no
// call for it now, it gets its next one through next.
func (s *Scheduler) finish(c *call, next chan *call) *call {
	now := s.lock()
	defer s.mu.Unlock()
	s.unlist(c)
	l := c.lane
	if s.phase != stopped {
		fell := false
		for i := range c.attempts {
			a := &c.attempts[i]
			j := a.job
			if a.read && a.event != nil {
				s.cache.putRead(a.event)
			}
			o, v := policy.Decide(j.item, a.ending, c.terms(now), now.time(), s.chance())
			s.countAttempt(l.dest, &o, &a.ending, now)
			s.recordLast(l, j, &a.ending)
			s.tellWatchers(l, j, a.event, &o, &a.ending)
			s.applyVerdict(c, j, v, &a.ending, fell, now)
			if c.noted {
				l.dest.tried(&o, a.ending.How.Asked())
			}
			fell = fell || v == policy.Failing || v == policy.Throttling
			s.settle(j, l, o)
		}
	}
	s.closeUnused(c.inst)
	s.reviewApart(l.dest, now)
	s.considerAll(l.dest, now)
	s.tidyLane(l)
	mine := s.startCalls(now, true)
	if mine == nil {
		s.workers.park(next, s.phase == stopped)
	}
	s.setTimer(now)
	return mine
}

// unlist takes c out of the lists of what runs and gives back what it held.
func (s *Scheduler) unlist(c *call) {
	l := c.lane
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
	if s.calls--; s.calls == 0 && s.phase == stopping {
		signal(s.lastCallEnded)
	}
	if !c.condemned {
		for i := range c.attempts {
			a := &c.attempts[i]
			s.flight.End(a.slot, a.job.item.ID, a.ending.How.Asked())
		}
	}
	s.release(c)
}

// release gives back what a call was given when it was made.
func (s *Scheduler) release(c *call) {
	l := c.lane
	l.calls--
	l.dest.calls--
	if c.overAge {
		l.overAge--
	}
	s.budget.release(c)
	c.inst.calls--
}

// terms are what the settings of c and its lane say now.
func (c *call) terms(now instant) policy.Terms {
	l := c.lane
	return policy.Terms{
		Schedule: c.settings.Schedule, Frozen: c.settings.Frozen && !c.unfrozen, Hash: l.hash,
		Current: l == l.dest.current, Probe: c.probe && l.held(),
		NextProbe: l.hold.NextWait(holdFirst, holdMost), OwnFaultWait: l.ownFault.OwnFaultWait(now.mono),
	}
}

// applyVerdict is what an ending does to the lane. Concurrency falls once for a
// call, however many deliveries were in it.
func (s *Scheduler) applyVerdict(c *call, j *job, v policy.Verdict, e *policy.Ending, fell bool, now instant) {
	l := c.lane
	if v != policy.Unchanged && v != policy.OwnFault {
		l.ownFault = policy.Pacer{}
	}
	switch v {
	case policy.Healthy:
		l.median.Add(int64(e.Took))
		s.recordSuccess(l)
		l.retryAfter = policy.RetryAfter{}
		l.proven, l.hanging = true, false
		l.excuse(now)
		if l.breaker.Close() {
			l.concurrency = policy.Concurrency{Limit: 1}
			s.log.Info("the destination is back", "developer", l.dest.key.Developer, "destination", l.dest.key.Name)
		} else {
			l.concurrency.Rise(l.dest.max)
		}
		if c.probe && l.held() {
			l.concurrency = policy.Concurrency{Limit: 1}
			s.unhold(l.dest, "a probe succeeded", now)
		}
	case policy.Failing:
		l.proven = false
		s.shrinkWindows(l)
		if !fell {
			l.concurrency.Fall()
		}
		switch {
		case c.probe && l.held():
			l.hold.Next(now.mono, holdFirst, holdMost)
		case l.breaker.Fail(j.item.ID, now.mono):
			s.emptyWindows(l)
			l.outage.StoreNow() // so that a restart knows what the breaker opened for
			s.log.Warn("the destination fails; it is tried now and then", "developer", l.dest.key.Developer, "destination", l.dest.key.Name, "error", e.Fault)
		}
		if !l.held() {
			s.recordFailure(l, e, now)
		}
	case policy.Throttling:
		l.outage.Discount(now.mono)
		if !fell {
			l.concurrency.Fall()
		}
		l.retryAfter.Extend(e, now.mono)
		l.hindered = true
		s.shrinkWindows(l)
		if c.probe && l.held() {
			l.hold.Next(now.mono, holdFirst, holdMost)
		} else if l.breaker.Open {
			l.breaker.Pace.Next(now.mono, policy.BreakerFirst, policy.BreakerMost)
		}
	case policy.Misconfigured:
		l.proven = false
		s.hold(l, e.Fault, now)
	case policy.OwnFault:
		l.outage.Discount(now.mono)
		l.ownFault.NextOwnFault(now.mono)
	}
}
