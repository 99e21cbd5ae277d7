package delivery

import "github.com/seed-51f8da91/fantail/internal/delivery/suspects"

// startCalls starts every call that may start. With keep it returns one of them
// for the caller's goroutine instead of giving it to another worker.
func (s *Scheduler) startCalls(now instant, keep bool) *call {
	var mine *call
	s.reviewShare()
	s.reviewShortage(now)
	for s.phase == running && s.settler.unsettled < s.settler.bound && s.owned(now) {
		l := s.nextLane()
		if l == nil {
			break
		}
		if !s.mayTry(l) || s.shortage.holdBack(l) { // since it was ready another trial has begun, or others have begun what it might
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
		if next := s.workers.take(); next != nil {
			next <- c
		} else {
			go s.run(c)
		}
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

// newCall makes a call of what waits in l: the delivery that is due first, and
// for a batch what is due already behind it. nil if nothing waits after all.
func (s *Scheduler) newCall(l *lane, now instant) *call {
	c := &call{lane: l, inst: l.inst, settings: l.settings, probe: l.held(), unproven: !l.proven}
	c.attempts = c.oneAttempt[:0]
	d := l.dest
	most := 1
	if l.inst.batch != nil && !l.probing() && d.rate.Every == 0 && !d.apart {
		most = l.inst.maxBatch
	}
	for len(c.attempts) < most {
		j := l.head()
		if j == nil {
			break
		}
		size := int64(j.item.Size)
		condemned := s.flight.Known(j.item.ID).Dead()
		if len(c.attempts) == 0 {
			c.pool = s.budget.poolFor(size)
		} else if p := &s.budget.pools[c.pool]; condemned || c.bytes+size > p.max/16 || !s.budget.share(d, c.pool, c.bytes+size) || !p.fits(l, c.bytes+size) {
			break
		}
		s.pop(j.q)
		c.attempts = append(c.attempts, attempt{job: j, event: s.cache.get(&j.item, j.body), slot: suspects.NoSlot})
		s.cache.done(j)
		c.bytes += size
		if c.condemned = condemned; condemned {
			break
		}
	}
	if len(c.attempts) == 0 {
		return nil
	}
	if l.probing() {
		s.emptyWindows(l) // by the next probe another may be due first
	}
	d.rate.Spend(now.mono)
	s.spendAllowance(d.dev, len(c.attempts), now)
	l.begun += len(c.attempts)
	s.lag.begun.Add(int64(len(c.attempts)))
	l.calls++
	d.calls++
	c.inst.calls++
	s.budget.acquire(c)
	return c
}

// start enters c in the lists of what runs.
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
		c.noted = d.suspicion.left > 0
		most := trialTime
		if d.killedInTrial {
			most += c.timeout()
		}
		s.beginTrial(d, most, now)
	}
	for i := range c.attempts {
		a := &c.attempts[i]
		a.slot = s.flight.Begin(a.job.item.ID, l.dest.apart)
	}
}
