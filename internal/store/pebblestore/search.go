package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// mostRanges bounds how many key ranges are merged into one list. A query with more reads
// every delivery and leaves out those it does not want.
const mostRanges = 64

// Events lists events newest first: see store.Log.
func (s *Store) Events(_ context.Context, q store.EventQuery) (store.Page[store.EventRecord], error) {
	var page store.Page[store.EventRecord]
	if err := s.enter(); err != nil {
		return page, err
	}
	defer s.leave()
	print := keys.Query("events", q.Developers, q.Types, q.User, q.Unmatched)
	from, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Developers != nil && len(q.Developers) == 0 || q.Types != nil && len(q.Types) == 0 {
		return page, nil
	}
	src := byEvent(kindEvent, 1, wholeDay(kindEvent))
	switch n := len(q.Developers); {
	case n == 0 || n > mostRanges:
	case q.User != "":
		src = byEvent(kindUser, n, func(b []byte, day event.Day, i int) []byte {
			return append(b, userPrefix(nil, day, q.Developers[i], q.User)...)
		})
	default:
		src = byEvent(kindOwner, n, func(b []byte, day event.Day, i int) []byte {
			return append(b, ownerPrefix(nil, day, q.Developers[i])...)
		})
	}
	limit, bodies := pageLimit(q.Limit), event.Day(s.bodies.Load())
	w := walk{source: src, from: from, since: q.Since, until: q.Until}
	var last event.ID
	full := position{}
	stopped, more, err := w.run(s, s.db, func(day event.Day, p place, it *pebble.Iterator) (bool, error) {
		id := p.event()
		if id.Day() != day || id == last { // a copy that a replay carried forward; a developer named twice
			return true, nil
		}
		last = id
		var r eventRow
		var err error
		if src.kind == kindEvent {
			var v []byte
			if v, err = it.ValueAndErr(); err == nil {
				r, err = readEvent(id, v)
			}
			if err == nil && r.Gone == "" && day < bodies {
				r.Gone = "expired"
			}
		} else {
			s.asked.Add(1)
			r, err = readEventRecord(s.db, day, id, bodies)
			if errors.Is(err, store.ErrNotFound) {
				return true, nil
			}
		}
		if err != nil {
			return false, err
		}
		if !wantsEvent(&q, &r.EventRecord) {
			return true, nil
		}
		if len(page.Items) == limit {
			return false, nil
		}
		page.Items = append(page.Items, r.EventRecord)
		full = position{day, p}
		return true, nil
	})
	if err != nil {
		return store.Page[store.EventRecord]{}, fmt.Errorf("list events: %w", err)
	}
	if more {
		if len(page.Items) == limit {
			stopped = full
		}
		page.Next, page.Back = appendCursor(print, stopped), back(stopped)
	}
	return page, nil
}

func wantsEvent(q *store.EventQuery, r *store.EventRecord) bool {
	return (len(q.Developers) == 0 || slices.Contains(q.Developers, r.Event.Developer)) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, r.Event.Type)) &&
		(q.User == "" || q.User == r.Event.UserID) &&
		(!q.Unmatched || len(r.To) == 0)
}

// Deliveries lists deliveries newest first: see store.Log.
func (s *Store) Deliveries(_ context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
	var page store.Page[store.DeliveryRecord]
	if err := s.enter(); err != nil {
		return page, err
	}
	defer s.leave()
	print := keys.Query("deliveries", q.Dests, q.States, q.Event)
	if len(q.Types) > 0 || q.User != "" || len(q.Classes) > 0 || len(q.Codes) > 0 {
		print = keys.Query(print, q.Types, q.User, q.Classes, q.Codes)
	}
	from, err := readCursor(print, q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Dests != nil && len(q.Dests) == 0 || q.States != nil && len(q.States) == 0 {
		return page, nil
	}
	if err := s.writeOutFor(q.Event); err != nil {
		return page, err
	}
	detail, err := s.detail(&q)
	if err != nil {
		return page, err
	}
	defer detail.close()
	if !q.Event.IsZero() {
		return s.deliveriesOf(&q, from, print, detail)
	}
	limit := pageLimit(q.Limit)
	full := position{}
	// list adds a delivery to the page. It returns false when the page is full.
	list := func(id store.DeliveryID, r *row) (bool, error) {
		if !wantsState(&q, r.State) {
			return true, nil
		}
		record := r.record(id)
		if wanted, err := detail.add(&record, r.first); err != nil || !wanted {
			return true, err
		}
		if len(page.Items) == limit {
			return false, nil
		}
		if n := len(page.Items); n > 0 && page.Items[n-1].ID == id { // it moved to another state while we read
			return true, nil
		}
		page.Items = append(page.Items, record)
		full = position{id.Day, placeOf(id.Event, id.Dest, id.Replay)}
		return true, nil
	}
	src := allDeliveries()
	users := s.ofUser(&q, from)
	if users != nil {
		defer users.close()
		src = users.source
	} else if of := s.indexed(&q); of != nil {
		src = byState(of)
	}
	w := walk{source: src, from: from, since: q.Since, until: q.Until}
	stopped, more, err := w.run(s, s.view(), func(day event.Day, p place, it *pebble.Iterator) (bool, error) {
		if users != nil {
			return users.each(day, p.event(), list)
		}
		id := p.delivery(day)
		var r row
		ok := true
		var err error
		if src.kind == kindDelivery {
			if len(q.Dests) > 0 && !slices.Contains(q.Dests, id.Dest) {
				return true, nil
			}
			var v []byte
			if v, err = it.ValueAndErr(); err == nil {
				r, err = readRow(v)
			}
		} else {
			s.asked.Add(1)
			r, ok, err = readDelivery(s.view(), deliveryKey(nil, id))
		}
		if err != nil {
			return false, err
		}
		if !ok {
			return true, nil
		}
		return list(id, &r)
	})
	if err != nil {
		return store.Page[store.DeliveryRecord]{}, fmt.Errorf("list deliveries: %w", err)
	}
	if more {
		if len(page.Items) == limit {
			stopped = full
		}
		page.Next, page.Back = appendCursor(print, stopped), back(stopped)
	}
	return page, nil
}

func wantsState(q *store.DeliveryQuery, st store.State) bool {
	return len(q.States) == 0 || slices.Contains(q.States, st)
}

// indexed returns the ranges of the state index that hold what q asks for, nil
// when they are too many. Counters tell which are empty.
func (s *Store) indexed(q *store.DeliveryQuery) []destState {
	if len(q.Dests) == 0 && len(q.States) == 0 {
		return nil
	}
	dests, states := q.Dests, q.States
	if len(dests) == 0 {
		dests = s.counters.list()
	}
	if len(states) == 0 {
		states = []store.State{store.Pending, store.Delivered, store.Dead, store.Cancelled}
	}
	of := []destState{}
	for _, dest := range dests {
		n := s.counters.get(dest)
		for _, st := range states {
			at := destState{dest, st}
			if st < store.Pending || st > store.Cancelled || n[stateCounter[st]] <= 0 || slices.Contains(of, at) {
				continue
			}
			if of = append(of, at); len(of) > mostRanges {
				return nil
			}
		}
	}
	return of
}

// deliveriesOf lists those of one event: its own day and those of replays.
func (s *Store) deliveriesOf(q *store.DeliveryQuery, from position, print uint64, detail *details) (page store.Page[store.DeliveryRecord], err error) {
	if !q.Since.IsZero() && q.Event.Time().Before(q.Since) || !q.Until.IsZero() && !q.Event.Time().Before(q.Until) {
		return page, nil
	}
	family, err := openFamily(s.view())
	if err != nil {
		return page, fmt.Errorf("list deliveries of %v: %w", q.Event, err)
	}
	defer func() {
		s.countRows(family.it)
		family.close()
	}()
	var failed error
	err = family.each(q.Event, func(id store.DeliveryID, r *row) {
		p := placeOf(id.Event, id.Dest, id.Replay)
		before := id.Day < from.day || id.Day == from.day && bytes.Compare(p[:], from.at[:]) < 0
		if before && wantsState(q, r.State) && (len(q.Dests) == 0 || slices.Contains(q.Dests, id.Dest)) {
			record := r.record(id)
			wanted, err := detail.add(&record, r.first)
			if failed = errors.Join(failed, err); wanted {
				page.Items = append(page.Items, record)
			}
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return page, fmt.Errorf("list deliveries: %w", err)
	}
	slices.SortFunc(page.Items, func(a, b store.DeliveryRecord) int {
		return -cmp.Or(cmp.Compare(a.ID.Day, b.ID.Day), cmp.Compare(a.ID.Dest, b.ID.Dest), cmp.Compare(a.ID.Replay, b.ID.Replay))
	})
	if limit := pageLimit(q.Limit); len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1].ID
		page.Next, page.Back = appendCursor(print, position{last.Day, placeOf(last.Event, last.Dest, last.Replay)}), last.Event.Time()
	}
	return page, nil
}

// days lists the days that have rows of kind, oldest first, one seek each.
func (s *Store) days(kind byte) ([]event.Day, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return nil, err
	}
	var days []event.Day
	for ok := it.First(); ok; {
		if len(it.Key()) < 3 {
			it.Close()
			return nil, errRow
		}
		day := event.Day(be.Uint16(it.Key()[1:]))
		days = append(days, day)
		ok = it.SeekGE(after(dayKey(nil, kind, day)))
	}
	return days, it.Close()
}
