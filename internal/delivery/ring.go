package delivery

// The ring holds the lanes that can start a call. It goes round developers
// first and round their lanes then, once for each class. A lane with nothing in
// flight outranks one with something. Lanes whose last attempt succeeded and lanes
// that have to prove themselves are kept apart: the latter may hang, and the budget
// can refuse them. Of both, the lane whose developer was served longer ago comes first.
const (
	freshProven int8 = iota
	freshUnproven
	busyProven
	busyUnproven
	classes      = 4
	none    int8 = -1
)

type ring struct {
	turns [classes]turns
	count uint64 // turns taken
}

// link is the place of an element in a list.
type link[T any] struct {
	prev, next *T
	in         bool
}

// lanes are the ready lanes of one developer in one class, first come first served.
type lanes struct{ first, last *lane }

// turns are the developers with ready lanes of one class.
type turns struct{ first, last *developer }

func (l *lane) rank() int8 {
	switch {
	case l.calls == 0 && l.proven:
		return freshProven
	case l.calls == 0:
		return freshUnproven
	case l.proven:
		return busyProven
	}
	return busyUnproven
}

// set puts l where it belongs. A lane that stays in its class keeps its place.
func (r *ring) set(l *lane, ready bool) {
	class := none
	if ready {
		class = l.rank()
	}
	if class == l.class {
		return
	}
	r.remove(l)
	if class != none {
		r.add(l, class)
	}
}

func (r *ring) add(l *lane, class int8) {
	l.class = class
	dev := l.dest.dev
	list := &dev.ready[class]
	l.links = link[lane]{prev: list.last, in: true}
	if list.last != nil {
		list.last.links.next = l
	} else {
		list.first = l
	}
	list.last = l
	if !dev.links[class].in && !dev.allowance.spent {
		r.turns[class].push(dev, class)
	}
}

func (r *ring) remove(l *lane) {
	if l.class == none {
		return
	}
	dev := l.dest.dev
	list := &dev.ready[l.class]
	if l.links.prev != nil {
		l.links.prev.links.next = l.links.next
	} else {
		list.first = l.links.next
	}
	if l.links.next != nil {
		l.links.next.links.prev = l.links.prev
	} else {
		list.last = l.links.prev
	}
	if list.first == nil {
		r.turns[l.class].remove(dev, l.class)
	}
	l.links, l.class = link[lane]{}, none
}

func (t *turns) push(d *developer, class int8) {
	d.links[class] = link[developer]{prev: t.last, in: true}
	if t.last != nil {
		t.last.links[class].next = d
	} else {
		t.first = d
	}
	t.last = d
}

func (t *turns) remove(d *developer, class int8) {
	k := &d.links[class]
	if !k.in {
		return
	}
	if k.prev != nil {
		k.prev.links[class].next = k.next
	} else {
		t.first = k.next
	}
	if k.next != nil {
		k.next.links[class].prev = k.prev
	} else {
		t.last = k.prev
	}
	*k = link[developer]{}
}

// next takes the lane whose turn it is out of the ring; nil if the budget
// admits none. Its developer goes to the back.
func (r *ring) next(b *budget) *lane {
	for rank := int8(0); rank < classes; rank += 2 {
		d, class := r.front(rank, b), rank
		if e := r.front(rank+1, b); d == nil || e != nil && (e.served < d.served || e == d && d.longerAgo(rank+1, rank)) {
			d, class = e, rank+1
		}
		if d == nil {
			continue
		}
		r.count++
		d.served = r.count
		for c := range int8(classes) {
			if d.links[c].in {
				r.turns[c].remove(d, c)
				r.turns[c].push(d, c)
			}
		}
		l := d.ready[class].first
		l.served = r.count
		r.remove(l)
		return l
	}
	return nil
}

// front returns the developer of a class whose turn it is.
func (r *ring) front(class int8, b *budget) *developer {
	if !b.hasPlace(class) {
		return nil
	}
	d := r.turns[class].first
	for d != nil && b.capped(d) { // at most two developers can be
		d = d.links[class].next
	}
	return d
}

// longerAgo tells whether d's next lane of class a had its last turn before that
// of class b. While the allowance is short there are always more lanes than
// turns: those that succeed would else keep the others from ever proving themselves.
func (d *developer) longerAgo(a, b int8) bool {
	return d.allowance.rate.Every > 0 && d.ready[a].first.served < d.ready[b].first.served
}
