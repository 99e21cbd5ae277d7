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
type budget struct {
	inFlight, maxInFlight int
	unproven, maxUnproven int
	slow, maxSlow         int
	surplus, maxSurplus   int
	bytes, slowBytes      int64
	maxBytes              int64
	stuck                 []*attempt
	parked                []*lane // ready but for bytes; the first one's are reserved
}

func newBudget(l Limits) budget {
	return budget{
		maxInFlight: l.InFlight, maxUnproven: max(1, l.InFlight*3/4),
		maxSlow: l.Slow, maxSurplus: l.Slow / 2, maxBytes: l.Bytes,
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

// cost is what a body takes of the bytes in flight: one that is larger than all takes all.
func (b *budget) cost(size int64) int64 { return min(size, b.maxBytes) }

// share tells whether d may hold size bytes more: one sixteenth, or one body.
func (b *budget) share(d *dest, size uint32) bool {
	return d.bytes == 0 || d.bytes+int64(size) <= b.maxBytes/16
}

// fits tells whether size bytes more fit beside those in flight and those
// reserved for the lane that waits longest.
func (b *budget) fits(l *lane, size int64) bool {
	need := b.bytes + b.cost(size)
	if len(b.parked) > 0 && b.parked[0] != l {
		need += b.cost(b.parked[0].need())
	}
	return need <= b.maxBytes
}

func (b *budget) park(l *lane) {
	if !l.parked {
		l.parked = true
		b.parked = append(b.parked, l)
	}
}

func (b *budget) unpark(l *lane) {
	if l.parked {
		l.parked = false
		b.parked = without(b.parked, l)
	}
}

func (b *budget) start(a *attempt) {
	d := a.lane.dest
	b.inFlight++
	d.dev.inFlight++
	if a.unproven {
		b.unproven++
	}
	b.bytes += b.cost(a.bytes)
	d.bytes += a.bytes
}

// age moves an attempt that went over age to the slow budget if it has a place.
func (b *budget) age(a *attempt) {
	d := a.lane.dest
	if b.slow >= b.maxSlow || d.dev.slow >= max(1, b.maxSlow/2) || d.slow > 0 && b.surplus >= b.maxSurplus ||
		b.slowBytes > 0 && b.slowBytes+b.cost(a.bytes) > b.maxBytes {
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
	b.slowBytes += b.cost(a.bytes)
	if a.surplus {
		b.surplus++
	}
}

// leave gives the place in inFlight back.
func (b *budget) leave(a *attempt) {
	dev := a.lane.dest.dev
	b.inFlight--
	dev.inFlight--
	if a.unproven {
		b.unproven--
	}
	b.bytes -= b.cost(a.bytes)
	if a.stuck {
		a.stuck = false
		dev.stuck--
		b.stuck = without(b.stuck, a)
	}
}

// end gives back what the attempt holds.
func (b *budget) end(a *attempt) {
	d := a.lane.dest
	d.bytes -= a.bytes
	if !a.slow {
		b.leave(a)
		return
	}
	b.slow--
	d.slow--
	d.dev.slow--
	b.slowBytes -= b.cost(a.bytes)
	if a.surplus {
		b.surplus--
	}
	for _, w := range b.stuck {
		if b.age(w); w.slow {
			return
		}
	}
}
