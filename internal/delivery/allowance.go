package delivery

// allowance spaces the attempts of a developer, over all of their destinations.
// While it is used up the developer has no turn in the ring, however many of
// their lanes are ready, and one alarm brings them back: that costs the same for
// one destination as for thousands, and who was served longer ago still comes first.
type allowance struct {
	rate  bucket
	spent bool
	timer alarm[*developer]
}

// spendAllowance takes n attempts of d's allowance.
func (s *Scheduler) spendAllowance(d *developer, n int, now instant) {
	b := &d.allowance
	if b.rate.every == 0 {
		return
	}
	b.rate.spend(now.mono)
	b.rate.at += int64(n-1) * b.rate.every
	if b.rate.at <= now.mono {
		return
	}
	b.spent = true
	for class := range int8(classes) {
		s.ring.turns[class].remove(d, class)
	}
	s.clock.allowances.arm(&b.timer, b.rate.at, d)
}

// renewAllowance gives d turns again.
func (s *Scheduler) renewAllowance(d *developer) {
	d.allowance.spent = false
	for class := range int8(classes) {
		if d.ready[class].first != nil {
			d.allowance.rate.waited = true
			s.ring.turns[class].push(d, class)
		}
	}
}

// longerAgo tells whether d's next lane of class a had its last turn before that
// of class b. While the allowance is short there are always more lanes than
// turns: those that succeed would else keep the others from ever proving themselves.
func (d *developer) longerAgo(a, b int8) bool {
	return d.allowance.rate.every > 0 && d.ready[a].first.served < d.ready[b].first.served
}

// nextWaiting returns the lane that waits longest for bytes of p and whose developer has
// turns. The bytes of one that has not stay reserved: they come to it soonest then.
func (p *pool) nextWaiting() *lane {
	for _, l := range p.waiting {
		if !l.dest.dev.allowance.spent {
			return l
		}
	}
	return nil
}
