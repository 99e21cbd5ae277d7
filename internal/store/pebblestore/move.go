package pebblestore

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
		ms, err := s.moveChunk(now, c, reasonByHand, ids[:n])
		if err != nil {
			return nil, err
		}
		out, ids = append(out, ms...), ids[n:]
	}
	return out, s.sync()
}

// moveChunk applies c without making it durable.
func (s *Store) moveChunk(now time.Time, c store.Change, reason string, ids []store.DeliveryID) ([]store.Moved, error) {
	s.change.Lock()
	defer s.change.Unlock()
	m := mover{changes: s.begin(now), change: c, reason: reason}
	if m.retries() {
		var err error
		if m.family, err = openFamily(s.db); err != nil {
			m.b.Close()
			return nil, err
		}
		defer m.family.close()
	}
	out := make([]store.Moved, len(ids))
	for i, id := range ids {
		if err := m.move(id, &out[i]); err != nil {
			m.b.Close()
			return nil, err
		}
	}
	return out, m.commit()
}

// mover collects one change of many deliveries.
type mover struct {
	*changes
	change store.Change
	reason string
	family *family // to retry; else nil
}

func (c *mover) retries() bool { return c.change == store.Retry || c.change == store.RetryLatest }

func (c *mover) move(id store.DeliveryID, out *store.Moved) error {
	out.ID = id
	r, ok, err := c.row(id)
	if err != nil {
		return err
	}
	if !ok {
		out.Err = store.ErrNotFound
		return nil
	}
	out.From, out.To = r.State, r.State
	pending := r.State == store.Pending
	if pending {
		out.Was = r.queue(id.Dest)
	}
	next := r
	switch {
	case c.change == store.Cancel && pending:
		next.State, next.Reason = store.Cancelled, c.reason
	case c.change == store.Expire && pending:
		next.State, next.Reason = store.Dead, reasonExpired
	case c.change == store.Rebind && pending && r.Settings != 0:
		next.Settings = 0
	case c.retries():
		if there, err := c.s.hasBody(id.Day, id.Event); err != nil {
			return err
		} else if !there { // nothing is left that could be delivered
			out.Err = store.ErrNotFound
			return nil
		}
		if doubles, err := c.doubles(id, &r); err != nil {
			return err
		} else if doubles {
			out.Err = store.ErrConflict
			return nil
		}
		next.State, next.Reason, next.Due, next.Settings, next.Attempts = store.Pending, "", max(c.now, 0), 0, 0
		if !pending {
			next.Round++
		}
	default:
		out.Err = store.ErrConflict
		return nil
	}
	next = c.put(id, r, next)
	if c.change == store.Expire {
		// The attempt is logged under the row's next version, for which no real attempt was made: it
		// overwrites none.
		c.attempt(id, next.Version, &store.Attempt{At: c.now, Class: reasonExpired})
	}
	out.To = next.State
	if next.State == store.Pending {
		out.Item = next.item(id)
	}
	return nil
}

// doubles tells whether another delivery of the event to the destination is pending or, for
// RetryLatest, was delivered since r changed last. It need not look at implied deliveries:
// nobody replays a pending delivery, so an implied one is the only one.
func (c *mover) doubles(id store.DeliveryID, r *row) (yes bool, err error) {
	err = c.family.each(id.Event, func(other store.DeliveryID, o *row) {
		if changed, ok := c.rows[other]; ok {
			o = &changed
		}
		arrived := c.change == store.RetryLatest && o.State == store.Delivered && o.Changed > r.Changed
		yes = yes || other != id && other.Dest == id.Dest && (o.State == store.Pending || arrived)
	})
	return yes, err
}

// hasBody tells whether the body lies under that day.
func (s *Store) hasBody(day event.Day, id event.ID) (bool, error) {
	if uint32(day) < s.bodies.Load() {
		return false, nil
	}
	v, err := s.get(eventKey(nil, kindBody, day, id))
	return v != nil, err
}
