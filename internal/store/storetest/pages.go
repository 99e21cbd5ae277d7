package storetest

import (
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// maxPages is more than any list of a case can need: a list that gets so far goes in circles.
const maxPages = 20_000

// walk follows a list to its end. page reads the page at a cursor.
func walk[T any](r *rig, what string, limit int, page func(cursor string) (store.Page[T], error)) []T {
	r.Helper()
	var all []T
	cursor := ""
	for range maxPages {
		p, err := page(cursor)
		r.must(what, err)
		if len(p.Items) > limit {
			r.Fatalf("%s: a page of %d items, limit %d", what, len(p.Items), limit)
		}
		all = append(all, p.Items...)
		if p.Next == "" {
			return all
		}
		cursor = p.Next
	}
	r.Fatalf("%s: no last page after %d pages", what, maxPages)
	return nil
}

// events reads every page of q, whose Cursor is ignored.
func (r *rig) events(s store.Store, q store.EventQuery) []store.EventRecord {
	r.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	all := walk(r, "events", q.Limit, func(cursor string) (store.Page[store.EventRecord], error) {
		q.Cursor = cursor
		return s.Events(r.ctx, q)
	})
	for i := 1; i < len(all); i++ {
		if !newer(all[i-1].Event.ID, all[i].Event.ID) {
			r.Fatalf("events %+v: %v comes before %v, want newest first and each once", q, all[i-1].Event.ID, all[i].Event.ID)
		}
	}
	return all
}

// deliveries reads every page of q, whose Cursor is ignored. Deliveries of one
// event and day may come in any order.
func (r *rig) deliveries(s store.Store, q store.DeliveryQuery) []store.DeliveryRecord {
	r.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	all := walk(r, "deliveries", q.Limit, func(cursor string) (store.Page[store.DeliveryRecord], error) {
		q.Cursor = cursor
		return s.Deliveries(r.ctx, q)
	})
	seen := make(map[store.DeliveryID]bool, len(all))
	for i, d := range all {
		if seen[d.ID] {
			r.Fatalf("deliveries %+v: %v is listed twice", q, d.ID)
		}
		seen[d.ID] = true
		if i > 0 && (d.ID.Day > all[i-1].ID.Day || d.ID.Day == all[i-1].ID.Day && newer(d.ID.Event, all[i-1].ID.Event)) {
			r.Fatalf("deliveries %+v: %v comes before %v, want newest first", q, all[i-1].ID, d.ID)
		}
	}
	return all
}

func newer(a, b event.ID) bool { return string(a[:]) > string(b[:]) }
