package delivery

import (
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// pump starts every attempt that may start. With keep it returns one of them
// for the caller's goroutine instead of starting a new one.
func (s *Scheduler) pump(now instant, keep bool) *attempt {
	var mine *attempt
	for s.phase == running && s.settler.unsettled < s.settler.bound {
		l := s.turn()
		if l == nil {
			break
		}
		if !s.mayTry(l) { // another trial has begun since it was ready
			s.consider(l, now)
			continue
		}
		a := s.take(l, now)
		if a == nil {
			s.consider(l, now)
			continue
		}
		s.launch(a, now)
		s.considerAll(l.dest, now) // its lanes share its rate and its bytes
		if keep && mine == nil {
			mine = a
			continue
		}
		go s.fly(a)
	}
	return mine
}

// turn returns the next lane whose bytes fit too; those that do not fit wait in
// line, the first of them with what it needs reserved.
func (s *Scheduler) turn() *lane {
	b := &s.budget
	for i := range b.pools {
		p := &b.pools[i]
		if l := p.first(); l != nil && b.admits(l.rank()) && !b.capped(l.dest.dev) && p.fits(l, l.need()) {
			l.unpark()
			return l
		}
	}
	for {
		l := s.ring.next(b)
		if l == nil {
			return nil
		}
		p := b.pool(l)
		if p.fits(l, l.need()) {
			return l
		}
		p.park(l)
	}
}

// need is how many bytes the next attempt of l takes at least.
func (l *lane) need() int64 {
	if j := l.head(); j != nil {
		return int64(j.item.Size)
	}
	return 0
}

// take makes an attempt of what waits in l: the delivery that is due first, and
// for a batch what is due already behind it. nil if nothing waits after all.
func (s *Scheduler) take(l *lane, now instant) *attempt {
	a := &attempt{lane: l, inst: l.inst, settings: l.settings, probe: l.held(), unproven: !l.proven}
	a.jobs, a.legs = a.one[:0], a.oneLeg[:0]
	d := l.dest
	most := 1
	if l.inst.batch != nil && !l.probing() && d.rate.every == 0 && !d.apart {
		most = l.inst.most
	}
	for len(a.jobs) < most {
		j := l.head()
		if j == nil {
			break
		}
		size := int64(j.item.Size)
		condemned := s.flight.known(j.item.ID).dead()
		if len(a.jobs) == 0 {
			a.kind = s.budget.kind(size)
		} else if p := &s.budget.pools[a.kind]; condemned || a.bytes+size > p.max/16 || !s.budget.share(d, a.kind, a.bytes+size) || !p.fits(l, a.bytes+size) {
			break
		}
		s.pop(j.q)
		a.jobs = append(a.jobs, j)
		a.legs = append(a.legs, leg{event: s.cache.get(&j.item, j.body), slot: noSlot})
		s.cache.done(j)
		a.bytes += size
		if a.crashes = condemned; condemned {
			break
		}
	}
	if len(a.jobs) == 0 {
		return nil
	}
	if l.probing() {
		s.retreat(l) // by the next probe another may be due first
	}
	d.rate.take(now.mono)
	s.spend(d.dev, len(a.jobs), now)
	l.flying++
	d.flying++
	a.inst.flying++
	s.budget.start(a)
	return a
}

// launch enters a in the lists of what runs.
func (s *Scheduler) launch(a *attempt, now instant) {
	s.flying++
	a.began = now.mono
	l := a.lane
	if a.prev = l.last; l.last != nil {
		l.last.next = a
	} else {
		l.first = a
	}
	l.last = a
	if a.crashes {
		return
	}
	if d := l.dest; d.apart {
		most := trialTime
		if d.again {
			most += a.timeout()
		}
		s.beginTrial(d, most, now)
	}
	for i, j := range a.jobs {
		a.legs[i].slot = s.flight.begin(j.item.ID, l.dest.apart)
	}
}

// land takes in what came of an attempt and returns the next one to make.
func (s *Scheduler) land(a *attempt) *attempt {
	now := s.lock()
	defer s.mu.Unlock()
	s.unlaunch(a)
	l := a.lane
	if s.phase != stopped {
		fell := false
		for i, j := range a.jobs {
			e := &a.legs[i]
			if e.read && e.event != nil {
				s.cache.read(e.event)
			}
			p := policy{
				schedule: a.settings.Schedule, frozen: a.settings.Frozen && !a.unfrozen, hash: l.hash,
				current: l == l.dest.current, probe: a.probe && l.held(), again: l.hold.grown(holdFirst, holdMost), soon: l.ailing.after(now.mono),
			}
			o, v := decide(j.item, e.ending, p, now.time(), s.chance())
			l.dest.kind.tried(&o, &e.ending, now)
			s.noteLast(l, j, &e.ending)
			s.tellWatchers(l, j, e.event, &o, &e.ending)
			s.conclude(a, j, v, &e.ending, fell, now)
			fell = fell || v == failing || v == throttling
			s.settle(j, l, o)
		}
	}
	s.free(a.inst)
	s.review(l.dest, now)
	s.considerAll(l.dest, now)
	s.tidyLane(l)
	mine := s.pump(now, true)
	s.arm(now)
	return mine
}

// unlaunch takes a out of the lists of what runs and gives back what it held.
func (s *Scheduler) unlaunch(a *attempt) {
	l := a.lane
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		l.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	} else {
		l.last = a.prev
	}
	a.prev, a.next = nil, nil
	if s.flying--; s.flying == 0 && s.phase == stopping {
		signal(s.landed)
	}
	if !a.crashes {
		for i, j := range a.jobs {
			s.flight.end(a.legs[i].slot, j.item.ID, a.legs[i].ending.how.tried())
		}
	}
	s.ground(a)
}

// ground gives back what an attempt was given when it was taken.
func (s *Scheduler) ground(a *attempt) {
	l := a.lane
	l.flying--
	l.dest.flying--
	if a.overAge {
		l.overAge--
	}
	s.budget.end(a)
	a.inst.flying--
}

// conclude is what an ending does to the lane. Concurrency falls once for an
// attempt, however many deliveries were in it.
func (s *Scheduler) conclude(a *attempt, j *job, v verdict, e *ending, fell bool, now instant) {
	l := a.lane
	if v != unchanged && v != ailing {
		l.ailing = pacer{}
	}
	switch v {
	case healthy:
		l.median.add(int64(e.took))
		s.succeeds(l)
		l.retryAfter = retryAfter{}
		l.proven, l.hanging = true, false
		if l.breaker.close() {
			l.conc = concurrency{limit: 1}
			s.log.Info("the destination is back", "developer", l.dest.key.Developer, "destination", l.dest.key.Name)
		} else {
			l.conc.rise(l.dest.max)
		}
		if a.probe && l.held() {
			l.conc = concurrency{limit: 1}
			s.unhold(l.dest, "a probe succeeded", now)
		}
	case failing:
		l.proven = false
		if !fell {
			l.conc.fall()
		}
		switch {
		case a.probe && l.held():
			l.hold.next(now.mono, holdFirst, holdMost)
		case l.breaker.fail(keyOf(j.item.ID), now.mono):
			s.retreat(l)
			s.log.Warn("the destination fails; it is tried now and then", "developer", l.dest.key.Developer, "destination", l.dest.key.Name, "error", e.fault)
		}
		if !l.held() {
			s.fails(l, e, now)
		}
	case throttling:
		l.outage.stand(now.mono)
		if !fell {
			l.conc.fall()
		}
		l.retryAfter.wait(e, now)
		if a.probe && l.held() {
			l.hold.next(now.mono, holdFirst, holdMost)
		} else if l.breaker.open {
			l.breaker.pace.next(now.mono, breakerFirst, breakerMost)
		}
	case misconfigured:
		l.proven = false
		s.holdBack(l, e.fault, now)
	case ailing:
		l.outage.stand(now.mono)
		l.ailing.push(now.mono)
	}
}

// free closes an instance that is retired when its last attempt has ended.
func (s *Scheduler) free(i *instance) {
	if i.retired && i.flying == 0 {
		s.work.Go(func() { s.close(i.to) })
	}
}

// retire lets an instance end its attempts and closes it.
func (s *Scheduler) retire(i *instance) {
	if i != nil && !i.retired {
		i.retired = true
		s.free(i)
	}
}

func (s *Scheduler) close(d destination.Destination) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
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
