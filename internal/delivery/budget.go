package delivery

// budget bounds what runs at once over all destinations.
//
// A call takes a place of inFlight. When it is older than its lane's
// threshold it moves, with its bytes, to the slow budget, and its place is free
// for another. A destination is sure of no more than one place there, and one
// developer gets at most half, so that many that hang leave room for each other.
// Up to half of the slow budget may go to second places (surplus): a destination
// that held every place of inFlight when it began to hang would otherwise keep
// them until its timeouts. What finds no place stays in inFlight (stuck); a
// developer with stuck calls gets at most half of inFlight. A lane that has
// not proved itself since its last failure is not let into the last quarter.
//
// Bodies take bytes too: small ones a quarter of them, large ones the rest, so
// that a few large ones that hang take nothing from all others.
type budget struct {
	inFlight, maxInFlight int
	unproven, maxUnproven int
	slow, maxSlow         int
	surplus, maxSurplus   int
	stuck                 []*call
	pools                 [2]pool // by kind of body
}

// The kinds of bodies.
const (
	small = iota
	large
)

// pool is the bytes of bodies in calls.
type pool struct {
	inFlight, slow int64 // as places of the budget; each up to max
	max            int64
	waiting        []*lane // ready but for bytes; the first one's are reserved
}

func newBudget(l Limits) budget {
	quarter := max(1, l.Bytes/4)
	return budget{
		maxInFlight: l.InFlight, maxUnproven: max(1, l.InFlight*3/4),
		maxSlow: l.Slow, maxSurplus: l.Slow / 2,
		pools: [2]pool{small: {max: quarter}, large: {max: max(1, l.Bytes-quarter)}},
	}
}

// hasPlace tells whether a call of a lane of that class may start.
func (b *budget) hasPlace(class int8) bool {
	if b.inFlight >= b.maxInFlight {
		return false
	}
	return class == freshProven || class == busyProven || b.unproven < b.maxUnproven
}

func (b *budget) capped(d *developer) bool {
	return d.stuck > 0 && d.inFlight >= max(1, b.maxInFlight/2)
}

// poolFor returns which of the pools a body of that size takes from: of the small
// ones 64 fit beside each other, so that large is 1 MiB by default.
func (b *budget) poolFor(size int64) int {
	if size >= b.pools[small].max/64 {
		return large
	}
	return small
}

// pool returns where the bytes of l's next call come from.
func (b *budget) pool(l *lane) *pool { return &b.pools[b.poolFor(l.nextSize())] }

// cost is what a body takes: one that is larger than all takes all.
func (p *pool) cost(size int64) int64 { return min(size, p.max) }

// share tells whether d may hold size bytes more of bodies of that kind: one
// sixteenth of those for all, or one body.
func (b *budget) share(d *dest, kind int, size int64) bool {
	return d.bytes[kind] == 0 || d.bytes[kind]+size <= b.pools[kind].max/16
}

// fits tells whether size bytes more fit beside those in flight and those
// reserved for the lane that waits longest.
func (p *pool) fits(l *lane, size int64) bool {
	need := p.inFlight + p.cost(size)
	if len(p.waiting) > 0 && p.waiting[0] != l {
		need += p.cost(p.waiting[0].nextSize())
	}
	return need <= p.max
}

// addWaiting has l wait for bytes of p.
func (p *pool) addWaiting(l *lane) {
	l.waitsForBytes = p
	p.waiting = append(p.waiting, l)
}

// nextWaiting returns the lane that waits longest for bytes of p, of those whose developer
// has turns. What is reserved for a lane whose developer has none stays reserved: that
// lane gets its bytes soonest so.
func (p *pool) nextWaiting() *lane {
	for _, l := range p.waiting {
		if !l.dest.dev.allowance.spent {
			return l
		}
	}
	return nil
}

func (l *lane) stopWaitingForBytes() {
	if p := l.waitsForBytes; p != nil {
		l.waitsForBytes = nil
		p.waiting = without(p.waiting, l)
	}
}

func (b *budget) acquire(c *call) {
	d := c.lane.dest
	b.inFlight++
	d.dev.inFlight++
	if c.unproven {
		b.unproven++
	}
	p := &b.pools[c.pool]
	p.inFlight += p.cost(c.bytes)
	d.bytes[c.pool] += c.bytes
}

// moveToSlow moves a call that went over age to the slow budget if it has a place.
func (b *budget) moveToSlow(c *call) {
	d, p := c.lane.dest, &b.pools[c.pool]
	if b.slow >= b.maxSlow || d.dev.slowPlaces >= max(1, b.maxSlow/2) || d.slowPlaces > 0 && b.surplus >= b.maxSurplus || p.slow+p.cost(c.bytes) > p.max {
		if !c.stuck {
			c.stuck = true
			d.dev.stuck++
			b.stuck = append(b.stuck, c)
		}
		return
	}
	b.leaveInFlight(c)
	c.slow = true
	c.surplus = d.slowPlaces > 0
	b.slow++
	d.slowPlaces++
	d.dev.slowPlaces++
	p.slow += p.cost(c.bytes)
	if c.surplus {
		b.surplus++
	}
}

// leaveInFlight gives the place in inFlight back.
func (b *budget) leaveInFlight(c *call) {
	dev, p := c.lane.dest.dev, &b.pools[c.pool]
	b.inFlight--
	dev.inFlight--
	if c.unproven {
		b.unproven--
	}
	p.inFlight -= p.cost(c.bytes)
	if c.stuck {
		c.stuck = false
		dev.stuck--
		b.stuck = without(b.stuck, c)
	}
}

// release gives back what the call holds.
func (b *budget) release(c *call) {
	d, p := c.lane.dest, &b.pools[c.pool]
	d.bytes[c.pool] -= c.bytes
	if !c.slow {
		b.leaveInFlight(c)
		return
	}
	b.slow--
	d.slowPlaces--
	d.dev.slowPlaces--
	p.slow -= p.cost(c.bytes)
	if c.surplus {
		b.surplus--
	}
	for _, w := range b.stuck {
		if b.moveToSlow(w); w.slow {
			return
		}
	}
}
