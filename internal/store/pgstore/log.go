package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// eventScan is where a row of event is scanned to.
type eventScan struct {
	store.EventRecord
	ordering int64
	erased   bool
	trace    []byte
	dests    []int32
}

func (e *eventScan) into(more ...any) []any {
	ev := &e.Event
	return append([]any{(*[16]byte)(&ev.ID), &e.ordering, &e.Size, &ev.Versioned, &e.erased, text{&ev.Developer}, text{&ev.Type}, text{&ev.Version}, text{&ev.UserID},
		text{&ev.Reference}, &e.trace, &e.dests}, more...)
}

// finish makes the record of what was scanned; kept is the first day with bodies.
func (e *eventScan) finish(day event.Day, kept int64) error {
	e.Event.Ordering = time.Unix(0, e.ordering).UTC()
	if e.trace != nil {
		e.Event.Trace = new(event.Trace)
		if err := json.Unmarshal(e.trace, e.Event.Trace); err != nil {
			return fmt.Errorf("trace of %v: %w", e.Event.ID, errRow)
		}
	}
	for _, d := range e.dests {
		e.To = append(e.To, uint32(d))
	}
	switch {
	case e.erased:
		e.Gone = reasonErased
	case int64(day) < kept:
		e.Gone = reasonExpired
	}
	return nil
}

// Event returns the event with its body: see store.Log.
func (s *Store) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	var e eventScan
	var packed []byte
	err := s.read(ctx, func(q query) error {
		e = eventScan{}
		return q.one(sqlEvent, []any{int32(day), [16]byte(id)}, e.into(&packed)...)
	})
	if err == nil {
		err = e.finish(day, 0)
	}
	if err == nil {
		e.Event.Body, err = packing.Unpack(packed)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrClosed) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("read event %v: %w", id, err)
	}
	return &e.Event, nil
}

// EventRecord returns what is known of the event without its body.
func (s *Store) EventRecord(ctx context.Context, id event.ID) (store.EventRecord, error) {
	var e eventScan
	err := s.read(ctx, func(q query) error {
		e = eventScan{}
		return q.one(sqlEventRecord, []any{int32(id.Day()), [16]byte(id)}, e.into()...)
	})
	if err == nil {
		err = e.finish(id.Day(), s.kept.bodies.Load())
	}
	if err != nil {
		return store.EventRecord{}, fmt.Errorf("read event %v: %w", id, err)
	}
	return e.EventRecord, nil
}

// Delivery returns one delivery with its attempts, oldest first.
func (s *Store) Delivery(ctx context.Context, id store.DeliveryID) (d store.DeliveryRecord, as []store.Attempt, err error) {
	err = s.read(ctx, func(q query) error {
		as = nil
		found := false
		err := q.each(sqlDelivery, []any{int32(id.Day), [16]byte(id.Event), int32(id.Dest), int64(id.Replay)}, func(scan func(...any) error) error {
			var a attemptScanned
			_, r, err := scanRow(func(to ...any) error { return scan(append(to, a.into()...)...) })
			d, found = r.record(id), true
			if a.at != nil {
				as = append(as, a.attempt())
			}
			return err
		})
		if err == nil && !found {
			err = store.ErrNotFound
		}
		return err
	})
	if err != nil {
		return store.DeliveryRecord{}, nil, fmt.Errorf("read delivery %v: %w", id, err)
	}
	return d, as, nil
}

// attemptScanned is where an attempt is scanned to; all of it is null where there is none.
type attemptScanned struct {
	at, took               *int64
	code                   *int32
	requests               *int16
	counted                *bool
	class, answer, address []byte
}

func (a *attemptScanned) into() []any {
	return []any{&a.at, &a.took, &a.code, &a.requests, &a.counted, &a.class, &a.answer, &a.address}
}

func (a *attemptScanned) attempt() store.Attempt {
	if a.at == nil {
		return store.Attempt{}
	}
	return store.Attempt{At: *a.at, Took: time.Duration(*a.took), Code: int(*a.code), Requests: int(*a.requests), Counted: *a.counted,
		Class: string(a.class), Answer: string(a.answer), Address: string(a.address)}
}
