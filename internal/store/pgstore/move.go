package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// moveChunk bounds how long Settle waits for a change of many deliveries.
const moveChunk = 256

// Reasons that the log shows for what was not an outcome.
const (
	reasonByHand  = "by hand"
	reasonExpired = "expired"
	reasonErased  = "erased"
)

// Move applies c to the deliveries named: see store.Queue.
func (s *Store) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if c < store.Cancel || c > store.RetryLatest {
		return nil, fmt.Errorf("move deliveries: change %d", c)
	}
	out := make([]store.Moved, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), moveChunk)
		ms, err := s.moveChunk(ctx, now, c, reasonByHand, ids[:n])
		if err != nil {
			return nil, err
		}
		out, ids = append(out, ms...), ids[n:]
	}
	if len(out) == 0 {
		return out, nil
	}
	return out, s.barrier(ctx)
}

// moveChunk applies c without making it durable.
func (s *Store) moveChunk(ctx context.Context, now time.Time, change store.Change, reason string, ids []store.DeliveryID) ([]store.Moved, error) {
	out := make([]store.Moved, len(ids))
	return out, s.changing(ctx, now, func(c *changes) error {
		m := mover{changes: c, change: change, reason: reason}
		if err := c.load(ids); err != nil {
			return err
		}
		if m.retries() {
			if err := m.look(ids); err != nil {
				return err
			}
		}
		for i, id := range ids {
			out[i] = m.move(id)
		}
		return nil
	})
}

// mover collects one change of many deliveries.
type mover struct {
	*changes
	change store.Change
	reason string
	bodies map[dayEvent]bool               // to retry: those that are there
	family map[event.ID][]store.DeliveryID // to retry: all deliveries of the events
}

type dayEvent struct {
	day   event.Day
	event event.ID
}

func (m *mover) retries() bool { return m.change == store.Retry || m.change == store.RetryLatest }

// look reads what a retry depends on: which bodies are there, and what other deliveries
// of the events there are.
func (m *mover) look(ids []store.DeliveryID) (err error) {
	places := make([]dayEvent, len(ids))
	for i, id := range ids {
		places[i] = dayEvent{id.Day, id.Event}
	}
	if m.bodies, err = m.bodiesAt(places); err != nil {
		return err
	}
	m.family, err = m.families(places)
	return err
}

// bodiesAt returns which places have a body, and keeps retention and erasure from
// taking them before the commit.
func (c *changes) bodiesAt(places []dayEvent) (map[dayEvent]bool, error) {
	there := map[dayEvent]bool{}
	var first int32
	if err := c.one(sqlLockKept, nil, &first); err != nil {
		return nil, err
	}
	days, events := make([]int32, len(places)), make([][16]byte, len(places))
	for i, p := range places {
		days[i], events[i] = int32(p.day), p.event
	}
	err := c.each(sqlLockBodies, []any{days, events, first}, func(scan func(...any) error) error {
		var p dayEvent
		err := scan(dayOf{&p.day}, (*[16]byte)(&p.event))
		there[p] = true
		return err
	})
	return there, err
}

// families loads and locks all deliveries of the events, on whatever day.
func (c *changes) families(places []dayEvent) (map[event.ID][]store.DeliveryID, error) {
	events := make([][16]byte, 0, len(places))
	seen := map[event.ID]bool{}
	oldest := int32(1<<31 - 1)
	for _, p := range places {
		if !seen[p.event] {
			seen[p.event] = true
			events, oldest = append(events, p.event), min(oldest, int32(p.event.Day()))
		}
	}
	families := map[event.ID][]store.DeliveryID{}
	var all []store.DeliveryID
	err := c.each(sqlFamilies, []any{events, oldest}, func(scan func(...any) error) error {
		id, err := scanID(scan)
		families[id.Event], all = append(families[id.Event], id), append(all, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return families, c.load(all)
}

func scanID(scan func(...any) error) (id store.DeliveryID, err error) {
	err = scan(dayOf{&id.Day}, (*[16]byte)(&id.Event), unsigned{&id.Dest}, unsigned{&id.Replay})
	return id, err
}

func (m *mover) move(id store.DeliveryID) store.Moved {
	out := store.Moved{ID: id}
	r, ok := m.rows[id]
	if !ok {
		out.Err = store.ErrNotFound
		return out
	}
	out.From, out.To = r.State, r.State
	pending := r.State == store.Pending
	if pending {
		out.Was = r.queue(id.Dest)
	}
	next := r
	switch {
	case m.change == store.Cancel && pending:
		next.State, next.Reason = store.Cancelled, m.reason
	case m.change == store.Expire && pending:
		next.State, next.Reason = store.Dead, reasonExpired
	case m.change == store.Rebind && pending && r.Settings != 0:
		next.Settings = 0
	case m.retries() && !m.bodies[dayEvent{id.Day, id.Event}]: // no body is left that could be delivered
		out.Err = store.ErrNotFound
		return out
	case m.retries() && !m.doubles(id, &r):
		next.State, next.Reason, next.Due, next.Settings, next.Attempts = store.Pending, "", m.now, 0, 0
		next.slot = m.s.slotFor(id.Dest, m.slot) // the daemon that retries a delivery goes on with it
		if !pending {
			next.Round++
		}
	default:
		out.Err = store.ErrConflict
		return out
	}
	next = m.put(id, next)
	if m.change == store.Expire {
		// The attempt is logged under the row's next version, for which no real attempt was made: it
		// overwrites none.
		m.attempt(id, next.Version, store.Attempt{At: m.now, Class: reasonExpired})
	}
	if out.To = next.State; next.State == store.Pending {
		out.Item = m.offer(id, &next)
	}
	return out
}

// doubles tells whether another delivery of the event to the destination is pending or, for
// RetryLatest, was delivered since r changed last.
func (m *mover) doubles(id store.DeliveryID, r *row) bool {
	for _, other := range m.family[id.Event] {
		o := m.rows[other]
		arrived := m.change == store.RetryLatest && o.State == store.Delivered && o.Changed > r.Changed
		if other != id && other.Dest == id.Dest && (o.State == store.Pending || arrived) {
			return true
		}
	}
	return false
}
