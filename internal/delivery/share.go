package delivery

import "sync"

// Limits are those of all daemons together. Each gets its part of them, but for
// destinations that are serial: one daemon makes all their attempts.

// share is which part this daemon has: number i of n.
type share struct {
	i, n   int
	serial sync.Map // uint32: the destinations that are
}

// limits of a destination, as its settings have them.
type limits struct {
	max    int
	rate   float64
	serial bool
}

// serialAmong tells whether one of n daemons has to make all attempts: the limit cannot be
// divided, or the kind says so. A limit of one says so whatever n is, so that nothing lies in
// other slots when the next daemon comes.
func (l limits) serialAmong(n int) bool { return l.serial || l.max <= 1 || l.max < n }

// Serial tells whether all attempts of a destination have to be made by one daemon. It takes no
// lock: the store asks while it makes deliveries.
func (s *Scheduler) Serial(dest uint32) bool {
	_, ok := s.share.serial.Load(dest)
	return ok
}

// reviewShare divides the limits anew when a daemon has come or gone.
func (s *Scheduler) reviewShare() {
	if s.shared == nil {
		return
	}
	i, n := s.shared.Share()
	if n = max(n, 1); i == s.share.i && n == s.share.n {
		return
	}
	s.share.i, s.share.n = i, n
	for _, d := range s.dests {
		if d.current != nil {
			s.applyShare(d)
		}
	}
	for _, d := range s.developers {
		d.allowance.rate.Limit(s.perDeveloper / float64(n))
	}
}

// applyShare gives d this daemon's part of its limits.
func (s *Scheduler) applyShare(d *dest) {
	w, n := d.whole, s.share.n
	d.max = w.max
	if s.shared != nil && w.serialAmong(n) {
		s.share.serial.Store(d.id, true)
	} else {
		s.share.serial.Delete(d.id)
		d.max = w.max / n
		if s.share.i < w.max%n {
			d.max++
		}
		w.rate /= float64(n)
	}
	d.rate.Limit(w.rate)
}
