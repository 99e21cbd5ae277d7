package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func (m *model) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	e := m.at(day, id)
	if e == nil || e.gone != "" {
		return nil, store.ErrNotFound
	}
	full := e.Event
	return &full, nil
}

func (e *modelEvent) record() store.EventRecord {
	rec := store.EventRecord{Event: e.Event, Size: e.size, To: slices.Clone(e.to), Gone: e.gone}
	rec.Event.Body = nil
	return rec
}

func (m *model) EventRecord(ctx context.Context, id event.ID) (store.EventRecord, error) {
	if err := m.lock(); err != nil {
		return store.EventRecord{}, err
	}
	defer m.mu.Unlock()
	e := m.events[id]
	if e == nil {
		return store.EventRecord{}, store.ErrNotFound
	}
	return e.record(), nil
}

func (row *modelRow) record() store.DeliveryRecord {
	d := store.DeliveryRecord{ID: row.ID, State: row.state, Reason: row.reason, Attempts: row.Item.Attempts, Changed: row.changed}
	if row.state == store.Pending {
		d.Due, d.Settings = row.Due, row.Queue.Settings
	}
	return d
}

func (m *model) Delivery(ctx context.Context, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error) {
	if err := m.lock(); err != nil {
		return store.DeliveryRecord{}, nil, err
	}
	defer m.mu.Unlock()
	row := m.rows[id]
	if row == nil {
		return store.DeliveryRecord{}, nil, store.ErrNotFound
	}
	as := slices.Clone(row.attempts)
	slices.SortStableFunc(as, byAge)
	return row.record(), as, nil
}

func (m *model) Events(ctx context.Context, q store.EventQuery) (store.Page[store.EventRecord], error) {
	if err := m.lock(); err != nil {
		return store.Page[store.EventRecord]{}, err
	}
	defer m.mu.Unlock()
	var all []store.EventRecord
	for id, e := range m.events {
		if oneOf(q.Developers, e.Developer) && oneOf(q.Types, e.Type) && (q.User == "" || q.User == e.UserID) &&
			within(id, q.Since, q.Until) && !(q.Unmatched && len(e.to) > 0) {
			all = append(all, e.record())
		}
	}
	slices.SortFunc(all, func(a, b store.EventRecord) int { return slices.Compare(b.Event.ID[:], a.Event.ID[:]) })
	after, err := event.ParseID(strings.TrimPrefix(q.Cursor, "e"))
	if q.Cursor != "" && (err != nil || q.Cursor[0] != 'e') {
		return store.Page[store.EventRecord]{}, store.ErrCursor
	}
	behind := func(e store.EventRecord) bool { return q.Cursor == "" || newer(after, e.Event.ID) }
	page, err := cut(all, behind, q.Limit, func(e store.EventRecord) string { return "e" + e.Event.ID.String() })
	if page.Next != "" {
		page.Back = page.Items[len(page.Items)-1].Event.ID.Time()
	}
	return page, err
}

func (m *model) Deliveries(ctx context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
	if err := m.lock(); err != nil {
		return store.Page[store.DeliveryRecord]{}, err
	}
	defer m.mu.Unlock()
	var all []store.DeliveryRecord
	for id, row := range m.rows {
		if oneOf(q.Dests, id.Dest) && oneOf(q.States, row.state) && (q.Event.IsZero() || q.Event == id.Event) && within(id.Event, q.Since, q.Until) {
			record := row.record()
			if m.detail(&q, &record, row) {
				all = append(all, record)
			}
		}
	}
	slices.SortFunc(all, func(a, b store.DeliveryRecord) int { return compareListed(a.ID, b.ID) })
	after, err := store.ParseDeliveryID(strings.TrimPrefix(q.Cursor, "d"))
	if q.Cursor != "" && (err != nil || q.Cursor[0] != 'd') {
		return store.Page[store.DeliveryRecord]{}, store.ErrCursor
	}
	behind := func(d store.DeliveryRecord) bool { return q.Cursor == "" || compareListed(d.ID, after) > 0 }
	page, err := cut(all, behind, q.Limit, func(d store.DeliveryRecord) string { return "d" + d.ID.String() })
	if page.Next != "" {
		page.Back = page.Items[len(page.Items)-1].ID.Event.Time()
	}
	return page, err
}

// detail fills in what q wants to know of a delivery, and tells whether it wants it.
func (m *model) detail(q *store.DeliveryQuery, r *store.DeliveryRecord, row *modelRow) bool {
	if !q.Detailed() {
		return true
	}
	e := m.at(r.ID.Day, r.ID.Event) // a copy outlives what it was made from
	r.Type, r.User = e.Type, e.UserID
	if as := slices.SortedStableFunc(slices.Values(row.attempts), byAge); len(as) > 0 {
		r.Last = as[len(as)-1]
	}
	return oneOf(q.Types, r.Type) && q.Names(e.Developer, r.User) && oneOf(q.Classes, r.Last.Class) && (q.Codes == nil || r.Last.Class != "" && oneOf(q.Codes, r.Last.Code))
}

func oneOf[T comparable](list []T, x T) bool { return list == nil || slices.Contains(list, x) }

func within(id event.ID, since, until time.Time) bool {
	at := id.Time()
	return (since.IsZero() || !at.Before(since)) && (until.IsZero() || at.Before(until))
}

// compareListed is the order of the list: newest event first, what a replay made with
// those of the day it was made on, then by destination.
func compareListed(a, b store.DeliveryID) int {
	return cmp.Or(cmp.Compare(b.Day, a.Day), slices.Compare(b.Event[:], a.Event[:]), cmp.Compare(a.Dest, b.Dest), cmp.Compare(a.Replay, b.Replay))
}

// cut takes the page that begins behind the cursor. A cursor names the last item of the page before.
func cut[T any](all []T, behind func(T) bool, limit int, name func(T) string) (store.Page[T], error) {
	if i := slices.IndexFunc(all, behind); i >= 0 {
		all = all[i:]
	} else {
		all = nil
	}
	if limit = min(max(limit, 1), 1000); len(all) <= limit {
		return store.Page[T]{Items: all}, nil
	}
	return store.Page[T]{Items: all[:limit], Next: name(all[limit-1])}, nil
}

func (m *model) Audit(ctx context.Context, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	counts := m.count()
	var out []store.AuditRow
	for _, d := range m.dests {
		row := store.AuditRow{Dest: d.ID, Counts: counts[d.ID]}
		if deep {
			again := counts[d.ID]
			row.Recounted = &again
		}
		out = append(out, row)
	}
	if deep {
		progress(int64(len(m.rows)))
	}
	return out, nil
}

func (m *model) count() map[uint32]store.Counts {
	counts := map[uint32]store.Counts{}
	for id, row := range m.rows {
		c := counts[id.Dest]
		row.count(&c)
		counts[id.Dest] = c
	}
	return counts
}
