package delivery

// alarm is a place in alarms.
type alarm[T any] struct {
	at    int64
	order uint64 // of those that are armed for the same time
	place int    // index + 1; 0: not armed
	owner T
}

// alarms is a heap by time. Of those for the same time the one that was armed first comes first:
// what waits for the same moment again and again would else go in reverse, and the same few first.
// Arming, moving and disarming cost O(log n).
type alarms[T any] struct {
	heap  []*alarm[T]
	armed uint64
}

// first is the next to go off; nil: none is armed.
func (h *alarms[T]) first() *alarm[T] {
	if len(h.heap) == 0 {
		return nil
	}
	return h.heap[0]
}

// set arms a at the time given, or disarms it if that is never.
func (h *alarms[T]) set(a *alarm[T], at int64, owner T) {
	if at == never {
		h.disarm(a)
		return
	}
	h.arm(a, at, owner)
}

func (h *alarms[T]) arm(a *alarm[T], at int64, owner T) {
	switch {
	case at == never:
		h.disarm(a)
	case a.place == 0:
		h.armed++
		a.at, a.order, a.owner = at, h.armed, owner
		h.heap = append(h.heap, a)
		a.place = len(h.heap)
		h.up(len(h.heap) - 1)
	case a.at != at:
		h.armed++
		a.at, a.order = at, h.armed
		h.down(a.place - 1)
		h.up(a.place - 1)
	}
}

func (h *alarms[T]) disarm(a *alarm[T]) {
	if a.place == 0 {
		return
	}
	i, last := a.place-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	a.place = 0
	if i < last {
		moved := h.heap[i]
		h.down(i)
		h.up(moved.place - 1)
	}
}

func (h *alarms[T]) less(i, j int) bool {
	a, b := h.heap[i], h.heap[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (h *alarms[T]) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].place, h.heap[j].place = i+1, j+1
}

func (h *alarms[T]) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if !h.less(i, p) {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h *alarms[T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h.heap) {
			return
		}
		if c+1 < len(h.heap) && h.less(c+1, c) {
			c++
		}
		if !h.less(c, i) {
			return
		}
		h.swap(i, c)
		i = c
	}
}
