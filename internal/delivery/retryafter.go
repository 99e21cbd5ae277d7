package delivery

// retryAfter is how long the far side of a lane asked to be left alone. A success
// ends it, and so does a person: what they test, retry, rebind or resume goes out
// at once, and what the far side answers to that counts from then on.
type retryAfter struct {
	until int64  // mono
	why   string // the answer; fit to show
}

// extend takes in what the far side asked for. Of several answers the longest wait
// counts: attempts beside each other end in any order.
func (r *retryAfter) extend(e *ending, now instant) {
	if until := now.mono + int64(e.after); until > r.until {
		*r = retryAfter{until, e.fault}
	}
}

// TryNow ends the wait that the far side of a destination asked for, whatever
// settings it was asked with: a person wants to see what it says now.
func (s *Scheduler) TryNow(dest uint32) {
	now := s.lock()
	defer s.unlock(now)
	if d := s.dests[dest]; d != nil {
		for _, l := range d.lanes {
			l.retryAfter = retryAfter{}
		}
		s.considerAll(d, now)
	}
}
