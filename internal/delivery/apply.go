package delivery

import "slices"

// Apply makes targets what they say, and leaves all others as they are. It never
// blocks on a far side.
func (s *Scheduler) Apply(targets []Target) {
	now := s.lock()
	defer s.unlock(now)
	listed := len(s.order)
	for i := range targets {
		t := &targets[i]
		if d := s.dest(t.ID, t.Key); !d.stateKnown {
			s.order = append(s.order, d)
		}
		s.applyTarget(t, now)
	}
	for i := range targets {
		s.considerAll(s.dests[targets[i].ID], now)
	}
	if listed < len(s.order) {
		slices.SortFunc(s.order, compareDests)
	}
}

// applyTarget makes d what the target says.
func (s *Scheduler) applyTarget(t *Target, now instant) {
	d := s.dest(t.ID, t.Key)
	if !d.stateKnown {
		d.stateKnown, d.last.Last = true, t.Last
		s.learnState(d, t.State, t.Version, now)
		s.setKey(d, t.Key)
	}
	if t.Removed {
		s.flight.ForgetDestination(d.id)
		s.reviewApart(d, now)
	}
	was := d.current
	d.disabled, d.removed, d.current = t.Disabled, t.Removed, nil
	if c := t.Current; c != nil && !t.Removed {
		d.whole = limits{max: max(1, c.MaxInFlight), rate: c.Rate, serial: c.Serial}
		s.applyShare(d)
		l := d.lane(c.Hash)
		d.current = l
		if c.Destination != nil && (l.inst == nil || !same(l.inst.to, c.Destination)) {
			s.retire(l.inst)
			l.inst = open(c.Destination)
		}
		settings := *c
		l.settings = &settings
		if d.state.Held && d.state.Settings != c.Hash {
			s.unhold(d, "its settings changed", now)
		} else if d.state.Held && l.hold.Wait == 0 {
			l.hold.Next(now.mono, holdFirst, holdMost) // held by the process before this one
		}
		s.restoreOutage(d, l, now)
	} else if c != nil && c.Destination != nil {
		s.retire(open(c.Destination))
	}
	for _, q := range slices.Clone(d.queues) {
		d.attach(q)
		if q.lane == nil {
			s.clock.dues.disarm(&q.timer)
		}
	}
	for _, l := range slices.Clone(d.lanes) {
		if !d.active() || l.probing() {
			s.emptyWindows(l)
		}
		s.tidyLane(l)
	}
	if d.disabled || d.removed {
		s.resetOutages(d)
	}
	if d.current == nil {
		for _, q := range d.queues {
			s.trimWindow(q, 0)
		}
	}
	if was != nil && was != d.current {
		s.tidyLane(was)
		if d.apart { // with the settings that are mended, perhaps
			d.apartUntil = now.mono
		}
	}
}
