package delivery

// budget bounds what runs at once over all destinations.
//
// An attempt takes a place of inFlight. When it is older than its lane's
// threshold it moves, with its bytes, to the slow budget, and its place is free
// for another. A destination is sure of no more than one place there, and one
// developer gets at most half, so that many that hang leave room for each other.
// Up to half of the slow budget may go to second places (surplus): a destination
// that held every place of inFlight when it began to hang would otherwise keep
// them until its timeouts. What finds no place stays in inFlight (stuck); a
// developer with stuck attempts gets at most half of inFlight. A lane that has
// not proved itself since its last failure is not let into the last quarter.
//
// Bodies take bytes too: small ones a quarter of them, large ones the rest, so
// that a few large ones that hang take nothing from all others.
type budget struct {
	inFlight, maxInFlight int
	unproven, maxUnproven int
	slow, maxSlow         int
	surplus, maxSurplus   int
	stuck                 []*attempt
	pools                 [2]pool // by kind of body
}

// The kinds of bodies.
const (
	small = iota
	large
)

// pool is the bytes of bodies in attempts.
type pool struct {
	inFlight, slow int64 // as places of the budget; each up to max
	max            int64
	parked         []*lane // ready but for bytes; the first one's are reserved
}

func newBudget(l Limits) budget {
	quarter := max(1, l.Bytes/4)
	return budget{
		maxInFlight: l.InFlight, maxUnproven: max(1, l.InFlight*3/4),
		maxSlow: l.Slow, maxSurplus: l.Slow / 2,
		pools: [2]pool{small: {max: quarter}, large: {max: max(1, l.Bytes-quarter)}},
	}
}

// admits tells whether an attempt of a lane of that class may start.
func (b *budget) admits(class int8) bool {
	if b.inFlight >= b.maxInFlight {
		return false
	}
	return class == freshProven || class == busyProven || b.unproven < b.maxUnproven
}

func (b *budget) capped(d *developer) bool {
	return d.stuck > 0 && d.inFlight >= max(1, b.maxInFlight/2)
}

// kind returns which of the pools a body of that size takes from: of the small
// ones 64 fit beside each other, so that large is 1 MiB by default.
func (b *budget) kind(size int64) int {
	if size >= b.pools[small].max/64 {
		return large
	}
	return small
}

// pool returns where the bytes of l's next attempt come from.
func (b *budget) pool(l *lane) *pool { return &b.pools[b.kind(l.need())] }

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
	if len(p.parked) > 0 && p.parked[0] != l {
		need += p.cost(p.parked[0].need())
	}
	return need <= p.max
}

// park has l wait for bytes of p.
func (p *pool) park(l *lane) {
	l.parked = p
	p.parked = append(p.parked, l)
}

func (l *lane) unpark() {
	if p := l.parked; p != nil {
		l.parked = nil
		p.parked = without(p.parked, l)
	}
}

func (b *budget) start(a *attempt) {
	d := a.lane.dest
	b.inFlight++
	d.dev.inFlight++
	if a.unproven {
		b.unproven++
	}
	p := &b.pools[a.kind]
	p.inFlight += p.cost(a.bytes)
	d.bytes[a.kind] += a.bytes
}

// age moves an attempt that went over age to the slow budget if it has a place.
func (b *budget) age(a *attempt) {
	d, p := a.lane.dest, &b.pools[a.kind]
	if b.slow >= b.maxSlow || d.dev.slow >= max(1, b.maxSlow/2) || d.slow > 0 && b.surplus >= b.maxSurplus || p.slow+p.cost(a.bytes) > p.max {
		if !a.stuck {
			a.stuck = true
			d.dev.stuck++
			b.stuck = append(b.stuck, a)
		}
		return
	}
	b.leave(a)
	a.slow = true
	a.surplus = d.slow > 0
	b.slow++
	d.slow++
	d.dev.slow++
	p.slow += p.cost(a.bytes)
	if a.surplus {
		b.surplus++
	}
}

// leave gives the place in inFlight back.
func (b *budget) leave(a *attempt) {
	dev, p := a.lane.dest.dev, &b.pools[a.kind]
	b.inFlight--
	dev.inFlight--
	if a.unproven {
		b.unproven--
	}
	p.inFlight -= p.cost(a.bytes)
	if a.stuck {
		a.stuck = false
		dev.stuck--
		b.stuck = without(b.stuck, a)
	}
}

// end gives back what the attempt holds.
func (b *budget) end(a *attempt) {
	d, p := a.lane.dest, &b.pools[a.kind]
	d.bytes[a.kind] -= a.bytes
	if !a.slow {
		b.leave(a)
		return
	}
	b.slow--
	d.slow--
	d.dev.slow--
	p.slow -= p.cost(a.bytes)
	if a.surplus {
		b.surplus--
	}
	for _, w := range b.stuck {
		if b.age(w); w.slow {
			return
		}
	}
}
