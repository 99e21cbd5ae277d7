package pebblestore

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// changes collects changes of deliveries for one batch. It must be made and committed under
// Store.change: otherwise a row may change between being read and being overwritten.
type changes struct {
	writer
	s    *Store
	now  int64
	rows map[store.DeliveryID]row // as the batch leaves them
	left []store.DeliveryID       // that are implied no longer
	sum  deltas
}

func (s *Store) begin(now time.Time) *changes {
	return &changes{writer: writer{b: s.db.NewBatch()}, s: s, now: now.UnixNano(),
		rows: map[store.DeliveryID]row{}, sum: deltas{}}
}

// row returns the delivery as it stands, behind the changes collected so far.
func (c *changes) row(id store.DeliveryID) (row, bool, error) {
	if r, ok := c.rows[id]; ok {
		return r, true, nil
	}
	if r, ok, err := c.s.impliedRow(id); ok || err != nil {
		return r, ok, err
	}
	c.k = deliveryKey(c.k[:0], id)
	return readDelivery(c.s.db, c.k)
}

func readDelivery(r pebble.Reader, key []byte) (row, bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return row{}, false, nil
	}
	if err != nil {
		return row{}, false, fmt.Errorf("read delivery: %w", err)
	}
	defer closer.Close()
	d, err := readRow(v)
	if err != nil {
		return row{}, false, fmt.Errorf("read delivery: %w", err)
	}
	return d, true, nil
}

// put turns old into r with the next version, and moves indexes and counters.
//
// An index key is set once before it is deleted, so that SingleDelete is enough. Pebble drops
// a SingleDelete together with its Set at the first flush. A row that keeps its place in its
// queue would set the same key twice. That pair gets an ordinary Delete in between, after
// which the key counts as new. An implied delivery has no entry that could be deleted.
func (c *changes) put(id store.DeliveryID, old row, r row) row {
	r.Version = old.Version + 1
	if r.State != old.State || r.Due != old.Due || r.Settings != old.Settings {
		r.Changed = c.now
	}
	if r.State != store.Pending {
		r.Due, r.Settings = 0, 0
	}
	if old.implied {
		c.left = append(c.left, id)
		r.implied = false
	}
	if r.first != nil && !old.implied { // a second thing happens to it: its attempt moves to the log
		c.attempt(id, firstVersion, r.first)
		r.first = nil
	}
	stays := old.State == store.Pending && r.State == store.Pending && old.Due == r.Due && old.Settings == r.Settings
	if old.State == store.Pending && !old.implied {
		c.k = dueKey(c.k[:0], old.queue(id.Dest), store.Position{Due: old.Due, Event: id.Event, Replay: id.Replay})
		if stays {
			c.delete()
		} else {
			c.singleDelete()
		}
	}
	if r.State == store.Pending {
		c.setDue(id, &r)
	}
	if r.State != old.State || old.implied {
		if !old.implied {
			c.k = stateKey(c.k[:0], id, old.State)
			c.singleDelete()
		}
		c.k, c.v = stateKey(c.k[:0], id, r.State), c.v[:0]
		c.set()
	}
	if r.State != old.State {
		n := c.sum.of(id.Day, id.Dest)
		n.count(old.State, old.Size, -1)
		n.count(r.State, r.Size, 1)
	}
	c.setRow(id, &r)
	c.rows[id] = r
	return r
}

// attempt logs what was tried for version n.
func (c *changes) attempt(id store.DeliveryID, n uint32, a *store.Attempt) {
	c.k, c.v = attemptKey(c.k[:0], id, n, a.At), appendAttempt(c.v[:0], a)
	c.set()
}

// commit makes the changes visible and counts them; it does not make them durable.
func (c *changes) commit() error {
	defer c.b.Close()
	c.sum.write(&c.writer)
	if c.err != nil {
		return fmt.Errorf("change deliveries: %w", c.err)
	}
	if c.b.Empty() {
		return c.s.failure()
	}
	if err := c.s.apply(c.b, pebble.NoSync); err != nil {
		return err
	}
	c.s.counters.add(c.sum, 1)
	c.s.implied.leave(c.left)
	c.s.settled.Add(1)
	return nil
}
