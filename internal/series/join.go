package series

import "time"

// Join adds what another daemon has recorded of the same. What is pending is everybody's, so that
// the larger of two values is the newer one. Latencies are those of each, by how many it
// delivered: an estimate, since the latencies themselves are gone.
func (p *Points) Join(o Points) {
	if o.Step != p.Step || len(p.Accepted) == 0 {
		return
	}
	shift := int(o.First.Sub(p.First) / p.Step) // the tick of one comes before that of the other
	for i := range o.Accepted {
		at := i + shift
		if at < 0 || at >= len(p.Accepted) || i >= len(o.P99) || o.Accepted[i] == nil {
			continue
		}
		if p.Accepted[at] == nil {
			p.Accepted[at], p.Delivered[at], p.Failed[at], p.Pending[at], p.P50[at], p.P99[at] = o.Accepted[i], o.Delivered[i], o.Failed[i], o.Pending[i], o.P50[i], o.P99[i]
			continue
		}
		p.P50[at] = weighed(p.P50[at], p.Delivered[at], o.P50[i], o.Delivered[i])
		p.P99[at] = weighed(p.P99[at], p.Delivered[at], o.P99[i], o.Delivered[i])
		p.Accepted[at], p.Delivered[at], p.Failed[at] = sum(p.Accepted[at], o.Accepted[i]), sum(p.Delivered[at], o.Delivered[i]), sum(p.Failed[at], o.Failed[i])
		both := max(*p.Pending[at], *o.Pending[i])
		p.Pending[at] = &both
	}
}

func sum(a, b *int64) *int64 {
	n := *a + *b
	return &n
}

func weighed(a *float64, na *int64, b *float64, nb *int64) *float64 {
	switch {
	case a == nil:
		return b
	case b == nil || *na+*nb == 0:
		return a
	}
	v := (*a*float64(*na) + *b*float64(*nb)) / float64(*na+*nb)
	return &v
}

// Empty returns points of which nothing is known, for a series that others may have recorded.
func Empty(r Range, now time.Time) Points {
	ring := newRing(r.step(), r.points())
	return ring.read(now)
}

// EmptyOf is Empty for the series of a destination.
func EmptyOf(now time.Time) Points {
	ring := newRing(destStep, destPoints)
	return ring.read(now)
}
