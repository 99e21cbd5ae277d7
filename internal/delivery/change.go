package delivery

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Move applies a change that a person asked for to deliveries in the store and
// then in memory. What it brings back goes out at once, even where the far side
// has asked to wait.
func (s *Scheduler) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	ms, err := s.moveInStore(ctx, now, c, ids)
	done := make(map[uint32]bool)
	for i := range ms {
		if m := &ms[i]; m.Err == nil && m.To == store.Pending && !done[m.ID.Dest] {
			done[m.ID.Dest] = true
			s.TryNow(m.ID.Dest)
		}
	}
	return ms, err
}

func (s *Scheduler) moveInStore(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	// A change that was begun is waited for: memory must learn what came of it.
	ms, err := s.store.Move(context.WithoutCancel(ctx), now, c, ids)
	if err != nil {
		s.readAnew(ids)
		return nil, err
	}
	s.Moved(ms)
	return ms, nil
}

// readAnew has the queues of deliveries read anew: a change failed half-way, and
// some of them may be pending again.
func (s *Scheduler) readAnew(ids []store.DeliveryID) {
	now := s.lock()
	defer s.unlock(now)
	done := make(map[uint32]bool)
	for _, id := range ids {
		if !done[id.Dest] {
			done[id.Dest] = true
			q := s.queue(store.QueueID{Dest: id.Dest})
			q.spill(store.Position{})
			s.consider(q.lane, now)
		}
	}
}

// Moved tells the scheduler of changes made in the store by retention or erasure.
func (s *Scheduler) Moved(ms []store.Moved) {
	now := s.lock()
	defer s.unlock(now)
	for i := range ms {
		if ms[i].Err == nil {
			s.applyMoved(&ms[i], now)
		}
	}
}

func (s *Scheduler) applyMoved(m *store.Moved, now instant) {
	if m.From == store.Pending {
		s.removeMoved(m, now)
	}
	if m.To == store.Pending && elsewhere(&m.Item) {
		s.flight.Forget(m.ID)
		d := s.dest(m.ID.Dest, store.DestinationKey{})
		if m.From == 0 {
			s.countAccepted(d, m.Size)
		}
		d.oldestFailed.remove(m.ID)
		s.reviewApart(d, now)
		return
	}
	if m.To == store.Pending {
		if m.Item.Attempts == 0 { // tried anew, as a rebind is not: its crashes count on like its attempts
			s.flight.Forget(m.ID)
		}
		// Its outcome may have overtaken this answer: the row itself tells, not m.
		q := s.queue(m.Item.Queue)
		if m.From == 0 {
			s.countAccepted(q.dest, m.Item.Size)
		}
		if j := s.jobs[keyOf(m.ID)]; j != nil {
			s.refresh(j, &m.Item, now)
		} else {
			q.spill(m.Item.Position())
		}
		s.reviewApart(q.dest, now)
		s.considerAll(q.dest, now)
		return
	}
	s.flight.Forget(m.ID)
	if d := s.dests[m.ID.Dest]; d != nil {
		s.reviewApart(d, now)
		d.oldestFailed.remove(m.ID)
		if m.From != m.To {
			s.countFinal(d, m.To)
			if m.To == store.Dead {
				s.recordDead(d, now)
				s.notify(d, Notice{Name: DeliveryDead, Reason: "expired", Delivery: m.ID}, now)
			}
		}
	}
}

// elsewhere tells whether a delivery that is pending lies in a slot of another daemon.
func elsewhere(it *store.Item) bool { return it.ID.Event.IsZero() }

// removeMoved takes a delivery out of the window it waits in, and keeps reads that
// may have seen it as it was from bringing it back. In flight it stays: the
// store tells how the row stands when its outcome is settled, or later.
func (s *Scheduler) removeMoved(m *store.Moved, now instant) {
	q := s.queue(m.Was) // its first Offer of all may still be on its way
	k := keyOf(m.ID)
	if s.watchdog.removed != nil {
		s.watchdog.removed[k] = true
	}
	switch j := s.jobs[k]; {
	case j == nil:
		// Its Offer may still be on its way, with the row as it was before.
		q.raise(store.Position{Due: now.wall + 1}, now)
		// Without a version: another change may have brought the row back already, and
		// what a read returns of it must be seen as news.
		j = &job{item: store.Item{ID: m.ID, Queue: m.Was}, q: q}
		s.addJob(j, settled)
		s.removeJobAfterReads(j)
	case j.state == started:
		j.changed = true
	case j.state == settled:
		s.removeJobAfterReads(j)
	case j.state == waiting && (m.To != store.Pending || elsewhere(&m.Item)):
		// A change made after this one may have brought it back already: the row tells.
		j.q.spill(j.item.Position())
		s.dequeue(j)
	case j.state == waiting && j.item.Version < m.Item.Version:
		s.dequeue(j)
	}
	s.considerAll(q.dest, now)
	s.tidyQueues(q.dest)
}
