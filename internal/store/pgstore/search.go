package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	// pieceRows is how many rows one statement of a list looks at.
	pieceRows = 5000
	// listTime is how long a list goes on looking for what fills a page.
	listTime = 2 * time.Second
)

// bounds are the ids of the events that q asks for: from <= id < to.
func bounds(since, until time.Time) (from, to event.ID) {
	to = lastID
	if !since.IsZero() {
		from = firstAt(since)
	}
	if !until.IsZero() {
		to = firstAt(until)
	}
	return from, to
}

// Events lists events newest first: see store.Log.
func (s *Store) Events(ctx context.Context, q store.EventQuery) (page store.Page[store.EventRecord], err error) {
	print := eventsPrint(&q)
	at, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Developers != nil && len(q.Developers) == 0 || q.Types != nil && len(q.Types) == 0 {
		return page, s.open()
	}
	from, to := bounds(q.Since, q.Until)
	limit, began := pageLimit(q.Limit), time.Now()
	days, err := s.listDays(ctx)
	if err != nil {
		return page, fmt.Errorf("list events: %w", err)
	}
	for _, day := range days {
		if day > at.day || older(lastOf(day), from) {
			continue
		}
		if day < at.day {
			at = place{day: day, event: lastID}
		}
		if older(to, at.event) {
			at.event = to
		}
		for more := true; more; {
			var found []store.EventRecord
			if found, more, err = s.eventPiece(ctx, &q, day, &at, from, limit-len(page.Items)+1); err != nil {
				return store.Page[store.EventRecord]{}, fmt.Errorf("list events: %w", err)
			}
			for _, e := range found {
				if len(page.Items) == limit {
					last := page.Items[limit-1].Event.ID
					page.Next, page.Back = appendCursor(print, place{day: last.Day(), event: last}), last.Time()
					return page, nil
				}
				page.Items = append(page.Items, e)
			}
			if time.Since(began) > listTime {
				page.Next, page.Back = appendCursor(print, at), at.event.Time()
				return page, nil
			}
		}
	}
	return page, s.open()
}

func eventsPrint(q *store.EventQuery) uint64 {
	return keys.Query("events", q.Developers, q.Types, q.User, q.Unmatched)
}

// eventPiece reads a piece of a day before at, and moves at to the end of the piece.
func (s *Store) eventPiece(ctx context.Context, q *store.EventQuery, day event.Day, at *place, from event.ID, limit int) (found []store.EventRecord, more bool, err error) {
	var whose []int64
	var user []byte
	if q.User != "" {
		user = []byte(q.User)
		for _, d := range q.Developers {
			whose = append(whose, who(d, q.User))
		}
	}
	// Copies that replays carried forward lie before the first id of the day.
	low := event.ID(firstID(day))
	if older(low, from) {
		low = from
	}
	args := []any{int32(day), [16]byte(at.event), [16]byte(low), texts(q.Developers), pieceRows, whose, texts(q.Types), user, q.Unmatched, limit}
	err = s.read(ctx, func(ask query) error {
		found, more = nil, false
		return ask.each(sqlEvents, args, func(scan func(...any) error) error {
			var e eventScan
			var looked int64
			if err := scan(e.into(&looked)...); err != nil {
				return err
			}
			if looked > 0 {
				if more = looked == pieceRows; len(found) < limit {
					at.event = e.Event.ID
				}
				return nil
			}
			found = append(found, e.EventRecord)
			return e.finishInto(&found[len(found)-1], day, s.kept.bodies.Load())
		})
	})
	return found, more, err
}

// finishInto is finish, for a record in a list.
func (e *eventScan) finishInto(r *store.EventRecord, day event.Day, kept int64) error {
	err := e.finish(day, kept)
	*r = e.EventRecord
	return err
}

func texts(ts []string) [][]byte {
	if ts == nil {
		return nil
	}
	out := make([][]byte, len(ts))
	for i, t := range ts {
		out[i] = []byte(t)
	}
	return out
}

// lastOf returns an id behind every one of the day.
func lastOf(day event.Day) event.ID { return firstAt(day.Start().AddDate(0, 0, 1)) }

// open tells whether the store is, for calls that need not ask it anything.
func (s *Store) open() error {
	err := s.enter()
	if err == nil {
		s.leave()
	}
	return err
}
