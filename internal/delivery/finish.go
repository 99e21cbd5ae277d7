package delivery

// finish takes in what came of a call and returns the next one to make.
func (s *Scheduler) finish(c *call) *call {
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
			o, v := decide(j.item, a.ending, c.terms(now), now.time(), s.chance())
			l.dest.metrics.countAttempt(&o, &a.ending, now)
			s.recordLast(l, j, &a.ending)
			s.tellWatchers(l, j, a.event, &o, &a.ending)
			s.applyVerdict(c, j, v, &a.ending, fell, now)
			fell = fell || v == failing || v == throttling
			s.settle(j, l, o)
		}
	}
	s.closeUnused(c.inst)
	s.reviewApart(l.dest, now)
	s.considerAll(l.dest, now)
	s.tidyLane(l)
	mine := s.startCalls(now, true)
	s.setTimer(now)
	return mine
}

// terms are what the settings of c and its lane say now.
func (c *call) terms(now instant) terms {
	l := c.lane
	return terms{
		schedule: c.settings.Schedule, frozen: c.settings.Frozen && !c.unfrozen, hash: l.hash,
		current: l == l.dest.current, probe: c.probe && l.held(),
		nextProbe: l.hold.nextWait(holdFirst, holdMost), ownFaultWait: l.ownFault.ownFaultWait(now.mono),
	}
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
			s.flight.End(a.slot, a.job.item.ID, a.ending.how.asked())
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

// applyVerdict is what an ending does to the lane. Concurrency falls once for a
// call, however many deliveries were in it.
func (s *Scheduler) applyVerdict(c *call, j *job, v verdict, e *ending, fell bool, now instant) {
	l := c.lane
	if v != unchanged && v != ownFault {
		l.ownFault = pacer{}
	}
	switch v {
	case healthy:
		l.median.add(int64(e.took))
		s.recordSuccess(l)
		l.retryAfter = retryAfter{}
		l.proven, l.hanging = true, false
		if l.breaker.close() {
			l.concurrency = concurrency{limit: 1}
			s.log.Info("the destination is back", "developer", l.dest.key.Developer, "destination", l.dest.key.Name)
		} else {
			l.concurrency.rise(l.dest.max)
		}
		if c.probe && l.held() {
			l.concurrency = concurrency{limit: 1}
			s.unhold(l.dest, "a probe succeeded", now)
		}
	case failing:
		l.proven = false
		if !fell {
			l.concurrency.fall()
		}
		switch {
		case c.probe && l.held():
			l.hold.next(now.mono, holdFirst, holdMost)
		case l.breaker.fail(keyOf(j.item.ID), now.mono):
			s.emptyWindows(l)
			s.log.Warn("the destination fails; it is tried now and then", "developer", l.dest.key.Developer, "destination", l.dest.key.Name, "error", e.fault)
		}
		if !l.held() {
			s.recordFailure(l, e, now)
		}
	case throttling:
		l.outage.discount(now.mono)
		if !fell {
			l.concurrency.fall()
		}
		l.retryAfter.extend(e, now)
		if c.probe && l.held() {
			l.hold.next(now.mono, holdFirst, holdMost)
		} else if l.breaker.open {
			l.breaker.pace.next(now.mono, breakerFirst, breakerMost)
		}
	case misconfigured:
		l.proven = false
		s.hold(l, e.fault, now)
	case ownFault:
		l.outage.discount(now.mono)
		l.ownFault.nextOwnFault(now.mono)
	}
}
