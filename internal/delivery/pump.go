package delivery

import (
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// startCalls starts every call that may start. With keep it returns one of them
// for the caller's goroutine instead of starting a new one.
func (s *Scheduler) startCalls(now instant, keep bool) *call {
	var mine *call
	for s.phase == running && s.settler.unsettled < s.settler.bound {
		l := s.nextLane()
		if l == nil {
			break
		}
		if !s.mayTry(l) { // another trial has begun since it was ready
			s.consider(l, now)
			continue
		}
		c := s.newCall(l, now)
		if c == nil {
			s.consider(l, now)
			continue
		}
		s.start(c, now)
		s.considerAll(l.dest, now) // its lanes share its rate and its bytes
		if keep && mine == nil {
			mine = c
			continue
		}
		go s.run(c)
	}
	return mine
}

// nextLane returns the next lane whose bytes fit too; those that do not fit wait in
// line, the first of them with what it needs reserved.
func (s *Scheduler) nextLane() *lane {
	b := &s.budget
	for i := range b.pools {
		p := &b.pools[i]
		if l := p.nextWaiting(); l != nil && b.hasPlace(l.rank()) && !b.capped(l.dest.dev) && p.fits(l, l.nextSize()) {
			l.stopWaitingForBytes()
			return l
		}
	}
	for {
		l := s.ring.next(b)
		if l == nil {
			return nil
		}
		p := b.pool(l)
		if p.fits(l, l.nextSize()) {
			return l
		}
		p.addWaiting(l)
	}
}

// nextSize is how many bytes the next call of l takes at least.
func (l *lane) nextSize() int64 {
	if j := l.head(); j != nil {
		return int64(j.item.Size)
	}
	return 0
}

// newCall makes a call of what waits in l: the delivery that is due first, and
// for a batch what is due already behind it. nil if nothing waits after all.
func (s *Scheduler) newCall(l *lane, now instant) *call {
	c := &call{lane: l, inst: l.inst, settings: l.settings, probe: l.held(), unproven: !l.proven}
	c.jobs, c.attempts = c.oneJob[:0], c.oneAttempt[:0]
	d := l.dest
	most := 1
	if l.inst.batch != nil && !l.probing() && d.rate.every == 0 && !d.apart {
		most = l.inst.maxBatch
	}
	for len(c.jobs) < most {
		j := l.head()
		if j == nil {
			break
		}
		size := int64(j.item.Size)
		condemned := s.flight.known(j.item.ID).dead()
		if len(c.jobs) == 0 {
			c.pool = s.budget.poolFor(size)
		} else if p := &s.budget.pools[c.pool]; condemned || c.bytes+size > p.max/16 || !s.budget.share(d, c.pool, c.bytes+size) || !p.fits(l, c.bytes+size) {
			break
		}
		s.pop(j.q)
		c.jobs = append(c.jobs, j)
		c.attempts = append(c.attempts, attempt{event: s.cache.get(&j.item, j.body), slot: noSlot})
		s.cache.done(j)
		c.bytes += size
		if c.condemned = condemned; condemned {
			break
		}
	}
	if len(c.jobs) == 0 {
		return nil
	}
	if l.probing() {
		s.emptyWindows(l) // by the next probe another may be due first
	}
	d.rate.spend(now.mono)
	s.spendAllowance(d.dev, len(c.jobs), now)
	l.calls++
	d.calls++
	c.inst.calls++
	s.budget.acquire(c)
	return c
}

// start enters a in the lists of what runs.
func (s *Scheduler) start(c *call, now instant) {
	s.calls++
	c.began = now.mono
	l := c.lane
	if c.prev = l.last; l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
	if c.condemned {
		return
	}
	if d := l.dest; d.apart {
		most := trialTime
		if d.killedInTrial {
			most += c.timeout()
		}
		s.beginTrial(d, most, now)
	}
	for i, j := range c.jobs {
		c.attempts[i].slot = s.flight.begin(j.item.ID, l.dest.apart)
	}
}

// finish takes in what came of a call and returns the next one to make.
func (s *Scheduler) finish(c *call) *call {
	now := s.lock()
	defer s.mu.Unlock()
	s.unlist(c)
	l := c.lane
	if s.phase != stopped {
		fell := false
		for i, j := range c.jobs {
			e := &c.attempts[i]
			if e.read && e.event != nil {
				s.cache.putRead(e.event)
			}
			p := terms{
				schedule: c.settings.Schedule, frozen: c.settings.Frozen && !c.unfrozen, hash: l.hash,
				current: l == l.dest.current, probe: c.probe && l.held(), nextProbe: l.hold.nextWait(holdFirst, holdMost), ownFaultWait: l.ownFault.ownFaultWait(now.mono),
			}
			o, v := decide(j.item, e.ending, p, now.time(), s.chance())
			l.dest.metrics.countAttempt(&o, &e.ending, now)
			s.recordLast(l, j, &e.ending)
			s.tellWatchers(l, j, e.event, &o, &e.ending)
			s.applyVerdict(c, j, v, &e.ending, fell, now)
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

// unlist takes a out of the lists of what runs and gives back what it held.
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
		for i, j := range c.jobs {
			s.flight.end(c.attempts[i].slot, j.item.ID, c.attempts[i].ending.how.asked())
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

// closeUnused closes an instance that is retired when its last call has ended.
func (s *Scheduler) closeUnused(i *instance) {
	if i.retired && i.calls == 0 {
		s.work.Go(func() { s.closeDestination(i.to) })
	}
}

// retire lets an instance end its calls and closes it.
func (s *Scheduler) retire(i *instance) {
	if i != nil && !i.retired {
		i.retired = true
		s.closeUnused(i)
	}
}

func (s *Scheduler) closeDestination(d destination.Destination) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v)
		}
	}()
	if err := d.Close(); err != nil {
		s.log.Warn("closing a destination failed", "error", err)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
