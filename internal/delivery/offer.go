package delivery

import (
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Offer hands over deliveries that Append has just made durable. It never blocks.
func (s *Scheduler) Offer(e *event.Event, items []store.Item) {
	if len(items) == 0 {
		return
	}
	now := s.lock()
	defer s.unlock(now)
	var b *body
	soon := false // one that memory did not keep is read before long
	for i := range items {
		q := s.queue(items[i].Queue)
		s.countAccepted(q.dest, items[i].Size)
		if d := q.dest; d.oldest == 0 {
			d.oldest = e.ID.Time().UnixNano()
		}
		if j := s.admit(q, &items[i], now); j != nil {
			if b == nil {
				b = s.cache.put(e)
			}
			j.body = b
			b.refs++
		} else if l := q.lane; l != nil && q.dest.active() && l.window(now) > windowSize {
			soon = true
		}
		s.consider(q.lane, now)
	}
	if soon {
		s.cache.putRead(e)
	}
}

// AcceptedElsewhere counts deliveries of an event that was accepted here, and that another daemon
// goes on with. Bodies have size bytes.
func (s *Scheduler) AcceptedElsewhere(dests []uint32, size int) {
	now := s.lock()
	defer s.unlock(now)
	for _, id := range dests {
		s.countAccepted(s.dest(id, store.DestinationKey{}), uint32(size))
	}
}
