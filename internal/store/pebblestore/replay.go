package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// replayChunk bounds how long Settle waits for a replay. A chunk ends at
// groupBytes of copied bodies too.
const replayChunk = 64

// Replay makes new deliveries of stored events: see store.Queue.
func (s *Store) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if err := s.Ready(); err != nil { // bodies are copied, and the reserve of disk is not meant for them
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
		ms, err := s.replayChunk(now, replay, wants[:min(len(wants), replayChunk)])
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		out, wants = append(out, ms...), wants[len(ms):]
	}
	return out, s.sync()
}

// replayChunk makes deliveries, not durable yet, for as many wants as fit.
func (s *Store) replayChunk(now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	s.change.Lock()
	defer s.change.Unlock()
	for i := range wants {
		if err := s.writeOutOf(wants[i].Event); err != nil {
			return nil, err
		}
	}
	family, err := openFamily(s.db)
	if err != nil {
		return nil, err
	}
	defer family.close()
	c := replayer{changes: s.begin(now), family: family, replay: replay, today: event.DayOf(now),
		made: map[pair]store.DeliveryID{}, carried: map[dayEvent]bool{}}
	var out []store.Moved
	for i := 0; i < len(wants) && c.bytes < groupBytes; i++ {
		var m store.Moved
		if err := c.want(&wants[i], &m); err != nil {
			c.b.Close()
			return nil, err
		}
		out = append(out, m)
	}
	s.health.since.Add(c.bytes)
	return out, c.commit()
}

// replayer collects what one chunk of a replay makes.
type replayer struct {
	*changes
	family  *family
	replay  uint32
	today   event.Day
	made    map[pair]store.DeliveryID
	carried map[dayEvent]bool
	bytes   int64 // of bodies carried
}

type pair struct {
	event event.ID
	dest  uint32
}

type dayEvent struct {
	day   event.Day
	event event.ID
}

func (c *replayer) want(w *store.Want, out *store.Moved) error {
	out.ID = store.DeliveryID{Day: max(w.Day, c.today), Event: w.Event, Dest: w.Dest, Replay: c.replay}
	if id, twice := c.made[pair{w.Event, w.Dest}]; twice {
		r := c.rows[id]
		stands(out, id, &r)
		return nil
	}
	pending, mine := false, false
	err := c.family.each(w.Event, func(id store.DeliveryID, r *row) {
		switch {
		case id.Dest != w.Dest:
		case id.Replay == c.replay:
			mine = true
			stands(out, id, r)
		case r.State == store.Pending:
			pending = true
		}
	})
	switch {
	case err != nil || mine:
		return err
	case pending:
		out.Err = store.ErrConflict
		return nil
	}
	return c.make(w, out)
}

// stands reports a delivery that this replay has made before.
func stands(out *store.Moved, id store.DeliveryID, r *row) {
	out.ID, out.From, out.To = id, r.State, r.State
	if r.State == store.Pending {
		out.Was, out.Item = r.queue(id.Dest), r.item(id)
	}
}

func (c *replayer) make(w *store.Want, out *store.Moved) error {
	e, err := c.carry(w, out.ID.Day)
	if errors.Is(err, store.ErrNotFound) {
		out.Err = store.ErrNotFound
		return nil
	}
	if err != nil {
		return err
	}
	r := row{State: store.Pending, Version: 1, Size: uint32(e.Size), Due: max(w.Due, 0),
		Ordering: e.Event.Ordering.UnixNano(), Changed: c.now}
	c.setRow(out.ID, &r)
	c.setDue(out.ID, &r)
	c.k, c.v = stateKey(c.k[:0], out.ID, store.Pending), c.v[:0]
	c.set()
	n := c.sum.of(out.ID.Day, w.Dest)
	n[nAccepted]++
	n[nBytes] += int64(r.Size)
	n.count(store.Pending, r.Size, 1)
	c.rows[out.ID], c.made[pair{w.Event, w.Dest}] = r, out.ID
	out.To, out.Item = store.Pending, r.item(out.ID)
	return nil
}

// carry copies the body to day unless it is there, with its envelope and the index entry by
// which an erasure finds it.
func (c *replayer) carry(w *store.Want, day event.Day) (eventRow, error) {
	e, err := c.s.eventRecord(w.Day, w.Event)
	if err != nil {
		return e, err
	}
	if e.Gone != "" {
		return e, store.ErrNotFound
	}
	body, err := c.s.get(eventKey(nil, kindBody, w.Day, w.Event))
	if err == nil && body == nil {
		err = store.ErrNotFound
	}
	at := dayEvent{day, w.Event}
	if err != nil || day == w.Day || c.carried[at] {
		return e, err
	}
	if there, err := c.s.get(eventKey(nil, kindBody, day, w.Event)); err != nil || there != nil {
		return e, err
	}
	c.setBody(day, w.Event, body)
	c.k, c.v = eventKey(c.k[:0], kindEvent, day, w.Event), appendEvent(c.v[:0], &e)
	c.set()
	if e.Event.UserID != "" {
		c.k, c.v = userKey(c.k[:0], day, e.Event.Developer, e.Event.UserID, w.Event), c.v[:0]
		c.set()
	}
	c.carried[at] = true
	c.bytes += int64(len(body))
	return e, nil
}
