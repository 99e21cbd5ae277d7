package pgstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Deliveries lists deliveries newest first: see store.Log.
func (s *Store) Deliveries(ctx context.Context, q store.DeliveryQuery) (page store.Page[store.DeliveryRecord], err error) {
	print, filters := deliveriesPrint(&q)
	at, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Dests != nil && len(q.Dests) == 0 || q.States != nil && len(q.States) == 0 {
		return page, s.open()
	}
	from, to := bounds(q.Since, q.Until)
	limit, began := pageLimit(q.Limit), time.Now()
	days, err := s.listDays(ctx)
	if err != nil {
		return page, fmt.Errorf("list deliveries: %w", err)
	}
	for _, day := range days {
		if day > at.day || older(lastOf(day), from) || day < q.Event.Day() && !q.Event.IsZero() {
			continue
		}
		if day < at.day {
			at = beginning
			at.day = day
		}
		for _, end := range [...]event.ID{to, lastOf(day)} { // nothing of the day is behind it
			if !older(at.event, end) {
				at.event, at.dest, at.replay = end, -1<<31, -1
			}
		}
		for more := true; more; {
			rows := limit - len(page.Items) + 1
			if filters {
				rows = 1000
			}
			var found []store.DeliveryRecord
			var next place
			if q.User != "" && q.Developers != nil {
				found, next, more, err = s.userPiece(ctx, &q, at, from, rows)
			} else {
				found, next, more, err = s.deliveryPiece(ctx, &q, at, from, rows)
			}
			if err == nil && q.Detailed() {
				err = s.detail(ctx, found)
			}
			if err != nil {
				return store.Page[store.DeliveryRecord]{}, fmt.Errorf("list deliveries: %w", err)
			}
			for _, d := range found {
				if filters && !wanted(&q, &d) {
					continue
				}
				if len(page.Items) == limit {
					last := placeOf(page.Items[limit-1].ID)
					page.Next, page.Back = appendCursor(print, last), last.event.Time()
					return page, nil
				}
				page.Items = append(page.Items, d)
			}
			if at = next; more && time.Since(began) > listTime {
				page.Next, page.Back = appendCursor(print, at), at.event.Time()
				return page, nil
			}
		}
	}
	return page, s.open()
}

// deliveriesPrint also tells whether q asks for what no index knows.
func deliveriesPrint(q *store.DeliveryQuery) (print uint64, filters bool) {
	print = keys.Query("deliveries", q.Dests, q.States, q.Event)
	if filters = len(q.Types) > 0 || q.User != "" || len(q.Classes) > 0 || len(q.Codes) > 0; filters {
		print = keys.Query(print, q.Types, q.User, q.Classes, q.Codes)
	}
	return print, filters
}

func placeOf(id store.DeliveryID) place {
	return place{id.Day, id.Event, int32(id.Dest), int64(id.Replay)}
}

// deliveryPiece reads the next rows of the day of at, behind it. next is where they end.
func (s *Store) deliveryPiece(ctx context.Context, q *store.DeliveryQuery, at place, from event.ID, rows int) (found []store.DeliveryRecord, next place, more bool, err error) {
	var of any
	if !q.Event.IsZero() {
		of = [16]byte(q.Event)
	}
	dests, states := numbered(q)
	args := []any{int32(at.day), [16]byte(at.event), at.dest, at.replay, [16]byte(from), rows, dests, states, firstID(at.day), of}
	err = s.read(ctx, func(ask query) error {
		found, err = listed(ask, sqlDeliveries, args)
		return err
	})
	if next = at; len(found) > 0 {
		next = placeOf(found[len(found)-1].ID)
	}
	return found, next, len(found) == rows, err
}

// userEvents is of how many events of a user one piece lists the deliveries.
const userEvents = 200

// userPiece is deliveryPiece of the events of a user, which an index knows: it reads nobody else's.
func (s *Store) userPiece(ctx context.Context, q *store.DeliveryQuery, at place, from event.ID, rows int) (found []store.DeliveryRecord, next place, more bool, err error) {
	whose := make([]int64, len(q.Developers))
	for i, d := range q.Developers {
		whose[i] = who(d, q.User)
	}
	var of any
	if !q.Event.IsZero() {
		of = [16]byte(q.Event)
	}
	dests, states := numbered(q)
	var events [][16]byte
	err = s.read(ctx, func(ask query) error {
		events, found = nil, nil
		args := []any{int32(at.day), whose, [16]byte(at.event), [16]byte(from), of, []byte(q.User), texts(q.Developers), userEvents}
		err := ask.each(sqlUserEvents, args, func(scan func(...any) error) error {
			var id [16]byte
			err := scan(&id)
			events = append(events, id)
			return err
		})
		if err == nil && len(events) > 0 {
			found, err = listed(ask, sqlUserDeliveries, []any{int32(at.day), [16]byte(at.event), at.dest, at.replay, rows, dests, states, events})
		}
		return err
	})
	switch {
	case len(events) == 0:
		return found, at, false, err
	case len(found) == rows:
		return found, placeOf(found[rows-1].ID), true, err
	}
	return found, place{at.day, events[len(events)-1], -1 << 31, -1}, len(events) == userEvents, err
}

// numbered are the destinations and states of q; nil: all.
func numbered(q *store.DeliveryQuery) (dests, states []int32) {
	for _, d := range q.Dests {
		dests = append(dests, int32(d))
	}
	for _, st := range q.States {
		states = append(states, int32(st))
	}
	return dests, states
}

// listed are the deliveries that a statement lists.
func listed(ask query, sql string, args []any) (found []store.DeliveryRecord, err error) {
	err = ask.each(sql, args, func(scan func(...any) error) error {
		id, r, err := scanRow(scan)
		found = append(found, r.record(id))
		return err
	})
	return found, err
}

// detail fills in the type and user of the event, and the last attempt.
func (s *Store) detail(ctx context.Context, ds []store.DeliveryRecord) error {
	if len(ds) == 0 {
		return nil
	}
	ids, own, which := make([]store.DeliveryID, len(ds)), make([]int32, len(ds)), make([]int32, len(ds))
	for i, d := range ds {
		ids[i], own[i], which[i] = d.ID, int32(d.ID.Event.Day()), int32(i)
	}
	return s.read(ctx, func(ask query) error {
		return ask.each(sqlDetails, append(keysOf(ids), own, which), func(scan func(...any) error) error {
			var n int32
			var kind, user string
			var a attemptScanned
			err := scan(append([]any{&n, text{&kind}, text{&user}}, a.into()...)...)
			d := &ds[n]
			d.Type, d.User, d.Last = kind, user, a.attempt()
			return err
		})
	})
}

// wanted tells whether q asks for d, whose details are filled in.
func wanted(q *store.DeliveryQuery, d *store.DeliveryRecord) bool {
	return (len(q.Types) == 0 || slices.Contains(q.Types, d.Type)) && (q.User == "" || q.User == d.User) &&
		(len(q.Classes) == 0 || slices.Contains(q.Classes, d.Last.Class)) &&
		(len(q.Codes) == 0 || slices.Contains(q.Codes, d.Last.Code) && d.Last.Class != "")
}
