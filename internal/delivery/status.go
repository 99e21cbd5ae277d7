package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Status lists every destination, O(destinations), without reading the store.
func (s *Scheduler) Status() []Status {
	list := s.statuses()
	for i := range list {
		st := &list[i]
		counts := s.store.Counts(st.ID)
		if st.Pending = counts.Pending; st.Pending == 0 {
			st.OldestPending = time.Time{}
		}
		st.Dead = min(st.Dead, max(counts.Dead, 0)) // what was retried since needs nobody any more
	}
	return list
}

// statuses is Status without what the store counts, which is not asked under the lock.
func (s *Scheduler) statuses() []Status {
	now := s.lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.order))
	for _, d := range s.order {
		st := Status{
			ID: d.id, Key: d.key, State: d.stateName(), Reason: d.state.Reason, Since: d.state.Since,
			InFlight: d.calls, Breaker: "closed",
			Wait: d.currentWait(d.current, now), Last: d.last.Last, Dead: d.last.Dead.Sum(now.wall),
		}
		if l := d.current; l != nil {
			st.Settings = l.hash
			if l.breaker.Open {
				st.Breaker = "open"
			}
			if st.Last.Settings != l.hash {
				st.Last.Answer, st.Last.Failed = store.Answer{}, 0
			}
			if wait := time.Duration(l.retryAfter.Until - now.mono); wait > 0 && st.State == "active" {
				st.WaitsUntil, st.Reason = now.time().Add(wait).UTC(), l.retryAfter.Why
			}
		}
		if d.apart && st.State == "active" {
			st.Apart, st.Reason = true, d.whyApart()
			if wait := time.Duration(d.apartUntil - now.mono); wait > 0 {
				st.WaitsUntil = now.time().Add(wait).UTC()
			}
		}
		if w := &st.Wait; st.Reason == "" && w.For != WaitPaused && w.For != WaitRate { // a rate is nothing wrong
			st.Reason = w.Reason
		}
		if st.Reason == "" {
			st.Reason = d.failure()
		}
		if d.oldest > 0 {
			st.OldestPending = time.Unix(0, d.oldest).UTC()
		}
		list = append(list, st)
	}
	return list
}
