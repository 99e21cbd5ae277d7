package delivery

import "github.com/seed-51f8da91/fantail/internal/delivery/policy"

// TryNow ends the wait that the far side of a destination asked for, whatever
// settings it was asked with: a person wants to see what it says now.
func (s *Scheduler) TryNow(dest uint32) {
	now := s.lock()
	defer s.unlock(now)
	if d := s.dests[dest]; d != nil {
		for _, l := range d.lanes {
			l.retryAfter = policy.RetryAfter{}
		}
		s.considerAll(d, now)
	}
}
