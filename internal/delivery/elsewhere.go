package delivery

import "github.com/seed-51f8da91/fantail/internal/store"

// MovedElsewhere takes deliveries out of memory that a person has changed at another daemon: To is
// Cancelled, whatever became of it there. Whoever made the change counts it; without this call a delivery that was cancelled there would still be tried here.
func (s *Scheduler) MovedElsewhere(ms []store.Moved) {
	now := s.lock()
	defer s.unlock(now)
	for i := range ms {
		m := ms[i]
		if s.jobs[keyOf(m.ID)] == nil {
			if q := s.known(m.Was); q == nil || !q.reading { // a read may have seen it before the change
				continue
			}
		}
		s.removeMoved(&m, now)
		s.flight.Forget(m.ID)
		if d := s.dests[m.ID.Dest]; d != nil {
			s.reviewApart(d, now)
			d.oldestFailed.remove(m.ID)
		}
	}
}
