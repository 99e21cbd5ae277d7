package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// replayChunk bounds how long Settle waits for a replay. Bodies are copied within the
// database.
const replayChunk = 64

// Replay makes new deliveries of stored events: see store.Queue.
func (s *Store) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if err := s.Ready(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if replay == 0 {
		return nil, errors.New("replay: 0 is the delivery that was made first, no replay")
	}
	out := make([]store.Moved, 0, len(wants))
	for len(wants) > 0 {
		n := min(len(wants), replayChunk)
		ms, err := s.replayChunk(ctx, now, replay, wants[:n])
		if err != nil {
			return nil, err
		}
		out, wants = append(out, ms...), wants[n:]
	}
	if len(out) == 0 {
		return out, nil
	}
	return out, s.barrier(ctx)
}

func (s *Store) replayChunk(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	days := make([]int32, len(wants))
	for i, w := range wants {
		days[i] = int32(max(w.Day, event.DayOf(now)))
	}
	if err := s.days.make(s, days); err != nil {
		return nil, err
	}
	out := make([]store.Moved, len(wants))
	return out, s.changing(ctx, now, func(c *changes) error {
		r := replayer{changes: c, replay: replay, today: event.DayOf(now), carried: map[dayEvent]bool{}}
		if err := r.look(wants); err != nil {
			return err
		}
		for i := range wants {
			m, err := r.want(&wants[i])
			if err != nil {
				return err
			}
			out[i] = m
		}
		return nil
	})
}

// replayer collects what one chunk of a replay makes.
type replayer struct {
	*changes
	replay  uint32
	today   event.Day
	bodies  map[dayEvent]bool
	family  map[event.ID][]store.DeliveryID
	events  map[dayEvent]eventFacts
	carried map[dayEvent]bool
}

// eventFacts is what a delivery takes from its event.
type eventFacts struct {
	ordering int64
	size     uint32
	erased   bool
}

func (c *replayer) look(wants []store.Want) (err error) {
	places := make([]dayEvent, 0, 2*len(wants))
	for _, w := range wants {
		places = append(places, dayEvent{w.Day, w.Event}, dayEvent{max(w.Day, c.today), w.Event})
	}
	if c.bodies, err = c.bodiesAt(places); err != nil {
		return err
	}
	if c.family, err = c.families(places); err != nil {
		return err
	}
	days, ids := make([]int32, len(places)), make([][16]byte, len(places))
	for i, p := range places {
		days[i], ids[i] = int32(p.day), p.event
	}
	c.events = map[dayEvent]eventFacts{}
	return c.each(sqlEventFacts, []any{days, ids}, func(scan func(...any) error) error {
		var at dayEvent
		var e eventFacts
		err := scan(dayOf{&at.day}, (*[16]byte)(&at.event), &e.ordering, unsigned{&e.size}, &e.erased)
		c.events[at] = e
		return err
	})
}

func (c *replayer) want(w *store.Want) (store.Moved, error) {
	id := store.DeliveryID{Day: max(w.Day, c.today), Event: w.Event, Dest: w.Dest, Replay: c.replay}
	pending := false
	for _, other := range c.family[w.Event] {
		r := c.rows[other]
		switch {
		case other.Dest != w.Dest:
		case other.Replay == c.replay:
			return c.stands(other, &r), nil
		case r.State == store.Pending:
			pending = true
		}
	}
	if pending {
		return store.Moved{ID: id, Err: store.ErrConflict}, nil
	}
	e, known := c.events[dayEvent{w.Day, w.Event}]
	if !known || e.erased || !c.bodies[dayEvent{w.Day, w.Event}] {
		return store.Moved{ID: id, Err: store.ErrNotFound}, nil
	}
	if at := (dayEvent{id.Day, w.Event}); id.Day != w.Day && !c.bodies[at] && !c.carried[at] {
		// The envelope goes along: an erasure finds the body by it.
		for _, sql := range [...]string{sqlCarryEvent, sqlCarryBody} {
			if _, err := c.tx.Exec(c.ctx, sql, int32(w.Day), [16]byte(w.Event), int32(id.Day)); err != nil {
				return store.Moved{}, err
			}
		}
		c.carried[at] = true
	}
	r := row{State: store.Pending, Version: 1, Size: e.size, Due: max(w.Due, 0), Ordering: e.ordering, Changed: c.now,
		slot: c.s.slotFor(w.Dest, c.slot)}
	c.make(id, r)
	c.family[w.Event] = append(c.family[w.Event], id)
	m := store.Moved{ID: id, To: store.Pending, Item: c.offer(id, &r)}
	if m.Item == (store.Item{}) {
		m.Size = r.Size
	}
	return m, nil
}

// stands reports a delivery that this replay has made before.
func (c *changes) stands(id store.DeliveryID, r *row) store.Moved {
	m := store.Moved{ID: id, From: r.State, To: r.State}
	if r.State == store.Pending {
		m.Was, m.Item = r.queue(id.Dest), c.offer(id, r)
	}
	return m
}
