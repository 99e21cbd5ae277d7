package delivery

// alarm is a place in alarms.
type alarm[T any] struct {
	at    int64
	place int // index + 1; 0: not armed
	owner T
}

// alarms is a heap by time. Arming, moving and disarming cost O(log n).
type alarms[T any] []*alarm[T]

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
		a.at, a.owner = at, owner
		*h = append(*h, a)
		a.place = len(*h)
		h.up(len(*h) - 1)
	case a.at != at:
		a.at = at
		h.down(a.place - 1)
		h.up(a.place - 1)
	}
}

func (h *alarms[T]) disarm(a *alarm[T]) {
	if a.place == 0 {
		return
	}
	i, last := a.place-1, len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	a.place = 0
	if i < last {
		moved := (*h)[i]
		h.down(i)
		h.up(moved.place - 1)
	}
}

func (h alarms[T]) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h alarms[T]) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if h[p].at <= h[i].at {
			return
		}
		h.swap(i, p)
		i = p
	}
}

func (h alarms[T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].at < h[c].at {
			c++
		}
		if h[i].at <= h[c].at {
			return
		}
		h.swap(i, c)
		i = c
	}
}
