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
	if c < store.Cancel || c > store.Expire {
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
	ch := s.begin(now)
	out := make([]store.Moved, len(ids))
	for i, id := range ids {
		if err := ch.move(c, reason, id, &out[i]); err != nil {
			ch.b.Close()
			return nil, err
		}
	}
	return out, ch.commit()
}

func (c *changes) move(change store.Change, reason string, id store.DeliveryID, out *store.Moved) error {
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
	case change == store.Cancel && pending:
		next.State, next.Reason = store.Cancelled, reason
	case change == store.Expire && pending:
		next.State, next.Reason = store.Dead, reasonExpired
	case change == store.Rebind && pending && r.Settings != 0:
		next.Settings = 0
	case change == store.Retry:
		if there, err := c.s.hasBody(id.Day, id.Event); err != nil {
			return err
		} else if !there { // nothing is left that could be delivered
			out.Err = store.ErrNotFound
			return nil
		}
		next.State, next.Reason, next.Due, next.Settings, next.Attempts = store.Pending, "", max(c.now, 0), 0, 0
	default:
		out.Err = store.ErrConflict
		return nil
	}
	next = c.put(id, r, next)
	if change == store.Expire {
		// Under the version that no attempt was made for: it stands beside them.
		c.attempt(id, next.Version, &store.Attempt{At: c.now, Class: reasonExpired})
	}
	out.To = next.State
	if next.State == store.Pending {
		out.Item = next.item(id)
	}
	return nil
}

// hasBody tells whether the body lies under that day.
func (s *Store) hasBody(day event.Day, id event.ID) (bool, error) {
	if uint32(day) < s.bodies.Load() {
		return false, nil
	}
	v, err := s.get(eventKey(nil, kindBody, day, id))
	return v != nil, err
}
