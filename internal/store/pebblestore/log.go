package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Event returns the event with its body: see store.Log.
func (s *Store) Event(_ context.Context, day event.Day, id event.ID) (*event.Event, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	s.asked.Add(2)
	body, err := s.body(day, id)
	if err != nil {
		return nil, err
	}
	// A body that a replay carried forward has a copy of the envelope beside it.
	r, err := s.eventRecord(day, id)
	if errors.Is(err, store.ErrNotFound) && day != id.Day() {
		r, err = s.eventRecord(id.Day(), id)
	}
	if err != nil {
		return nil, err
	}
	e := r.Event
	e.Body = body
	return &e, nil
}

// EventRecord returns what is known of the event without its body.
func (s *Store) EventRecord(_ context.Context, id event.ID) (store.EventRecord, error) {
	if err := s.enter(); err != nil {
		return store.EventRecord{}, err
	}
	defer s.leave()
	s.asked.Add(1)
	r, err := s.eventRecord(id.Day(), id)
	return r.EventRecord, err
}

func (s *Store) eventRecord(day event.Day, id event.ID) (eventRow, error) {
	return readEventRecord(s.db, day, id, event.Day(s.bodies.Load()))
}

// readEventRecord reads the event that lies under day; bodies is the first day
// whose bodies are still there.
func readEventRecord(db pebble.Reader, day event.Day, id event.ID, bodies event.Day) (eventRow, error) {
	v, c, err := db.Get(eventKey(nil, kindEvent, day, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return eventRow{}, store.ErrNotFound
	}
	if err != nil {
		return eventRow{}, fmt.Errorf("read event %v: %w", id, err)
	}
	defer c.Close()
	r, err := readEvent(id, v)
	if err != nil {
		return r, fmt.Errorf("read event %v: %w", id, err)
	}
	if r.Gone == "" && day < bodies {
		r.Gone = "expired"
	}
	return r, nil
}

// Delivery returns one delivery with its attempts, oldest first.
func (s *Store) Delivery(_ context.Context, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error) {
	if err := s.enter(); err != nil {
		return store.DeliveryRecord{}, nil, err
	}
	defer s.leave()
	r, ok, err := s.impliedRow(id) // before the rows: a delivery that leaves the implied ones meanwhile has a row by then
	at := s.db.NewSnapshot()       // without it an outcome recorded between two reads would be seen in part
	defer at.Close()
	if err == nil && !ok {
		r, ok, err = readDelivery(s.of(at), deliveryKey(nil, id))
	}
	if err == nil && !ok {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.DeliveryRecord{}, nil, err
	}
	if r.implied {
		return r.record(id), nil, nil
	}
	if r.first != nil {
		return r.record(id), []store.Attempt{*r.first}, nil
	}
	var as []store.Attempt
	prefix := deliveryKey(nil, id)
	prefix[0] = kindAttempt
	err = scan(at, prefix, after(bytes.Clone(prefix)), func(k, v []byte) (bool, error) {
		a, err := readAttempt(v)
		if err != nil {
			return false, fmt.Errorf("read attempts of %v: %w", id, err)
		}
		as = append(as, a)
		return true, nil
	})
	s.asked.Add(int64(1 + len(as)))
	return r.record(id), as, err
}
