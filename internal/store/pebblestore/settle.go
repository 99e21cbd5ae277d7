package pebblestore

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// settleDelay is how long outcomes wait for a sync that an Append makes. Outcomes must be
// durable within 100 ms, so that it leaves time for a sync of their own.
const settleDelay = 50 * time.Millisecond

// Settle records outcomes: see store.Queue.
func (s *Store) Settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	for i := range outcomes {
		if st := outcomes[i].State; st < store.Pending || st > store.Cancelled {
			return nil, fmt.Errorf("settle %v: state %d", outcomes[i].Item.ID, st)
		}
	}
	if err := s.tend(now, tendEvery); err != nil {
		return nil, err
	}
	out, err := s.settle(now, outcomes)
	if err != nil {
		return nil, err
	}
	select {
	case s.dirty <- struct{}{}:
	default:
	}
	return out, nil
}

func (s *Store) settle(now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	s.change.Lock()
	defer s.change.Unlock()
	c := s.begin(now)
	out := make([]store.Settled, len(outcomes))
	for i := range outcomes {
		if err := c.settle(&outcomes[i], &out[i]); err != nil {
			c.b.Close()
			return nil, err
		}
	}
	return out, c.commit()
}

func (c *changes) settle(o *store.Outcome, out *store.Settled) error {
	id := o.Item.ID
	r, ok, err := c.row(id)
	if err != nil {
		return err
	}
	if !ok {
		out.Stale = true
		return nil
	}
	out.Stale = r.Version != o.Item.Version || r.State != store.Pending
	if a := o.Attempt; a != nil {
		if out.Stale && a.Answer != "" {
			if e, err := c.s.eventRecord(id.Day, id.Event); err == nil && e.Gone == reasonErased {
				mute := *a
				mute.Answer = "" // it may quote what was erased while the attempt was in flight
				a = &mute
			}
		}
		if out.Stale && r.first != nil { // now there are two
			c.attempt(id, firstVersion, r.first)
			r.first = nil
			c.setRow(id, &r)
			c.rows[id] = r
		}
		if err := c.countAttempt(id, o.Item.Version, a, out.Stale); err != nil {
			return err
		}
		if r.implied && o.State == store.Delivered && !out.Stale {
			r.first = a
		} else {
			c.attempt(id, o.Item.Version, a)
		}
	}
	switch next := r; {
	case !out.Stale:
		next.State, next.Reason, next.Attempts = o.State, o.Reason, o.Attempts
		next.Due, next.Settings = max(o.Due, 0), o.Settings
		r = c.put(id, r, next)
	case o.State == store.Delivered && r.State != store.Delivered:
		// The far side has the event: whatever was decided meanwhile came too late.
		next.State, next.Reason, next.Attempts = store.Delivered, "", o.Attempts
		r = c.put(id, r, next)
	}
	out.State = r.State
	if r.State == store.Pending {
		out.Item = r.item(id)
	}
	return nil
}

// syncLoop makes outcomes durable when no Append does it soon enough. It sleeps
// while nothing is settled.
func (s *Store) syncLoop() {
	t := time.NewTimer(time.Hour)
	t.Stop()
	for {
		select {
		case <-s.dirty:
		case <-s.quit: // Close syncs
			return
		}
		t.Reset(settleDelay)
		select {
		case <-t.C:
		case <-s.quit:
			t.Stop()
			return
		}
		// Outcomes that come from here on wake the loop again.
		select {
		case <-s.dirty:
		default:
		}
		if s.durable.Load() < s.settled.Load() {
			if err := s.sync(); err != nil {
				return // the store has failed, which is logged
			}
		}
	}
}
