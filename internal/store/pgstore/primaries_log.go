package pgstore

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// find reads something of an event where its id says that it lies, and else at home: see
// Primaries.of.
func find[T any](p *Primaries, id event.ID, ask func(*Store) (T, error)) (v T, err error) {
	m := p.of(id)
	if m == nil {
		return ask(p.home)
	}
	s, err := m.reached()
	if err == nil {
		v, err = ask(s)
	}
	if err == nil || errors.Is(err, store.ErrClosed) {
		return v, err
	}
	if there, other := ask(p.home); other == nil {
		return there, nil
	}
	return v, err
}

// Event returns the event with its body: see store.Log. An attempt waits for it, and is not to wait for
// a database that is known to be away.
func (p *Primaries) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	return find(p, id, func(s *Store) (*event.Event, error) {
		if s != p.home && s.health.down.Load() {
			return nil, p.of(id).unavailable()
		}
		return s.Event(ctx, day, id)
	})
}

// EventRecord returns what is known of the event without its body.
func (p *Primaries) EventRecord(ctx context.Context, id event.ID) (store.EventRecord, error) {
	return find(p, id, func(s *Store) (store.EventRecord, error) { return s.EventRecord(ctx, id) })
}

// Delivery returns one delivery with its attempts, oldest first.
func (p *Primaries) Delivery(ctx context.Context, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error) {
	type found struct {
		d  store.DeliveryRecord
		as []store.Attempt
	}
	f, err := find(p, id.Event, func(s *Store) (f found, err error) {
		f.d, f.as, err = s.Delivery(ctx, id)
		return f, err
	})
	return f.d, f.as, err
}

// Events lists events newest first: see store.Log.
func (p *Primaries) Events(ctx context.Context, q store.EventQuery) (store.Page[store.EventRecord], error) {
	return list(p, pageLimit(q.Limit), eventsPrint(&q),
		func(e *store.EventRecord) place { return place{day: e.Event.ID.Day(), event: e.Event.ID} },
		func(s *Store) (store.Page[store.EventRecord], error) { return s.Events(ctx, q) })
}

// Deliveries lists deliveries newest first: see store.Log.
func (p *Primaries) Deliveries(ctx context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
	print, _ := deliveriesPrint(&q)
	return list(p, pageLimit(q.Limit), print,
		func(d *store.DeliveryRecord) place { return placeOf(d.ID) },
		func(s *Store) (store.Page[store.DeliveryRecord], error) { return s.Deliveries(ctx, q) })
}

// comparePlaces orders places as lists do, newest first.
func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(b.day, a.day), cmp.Compare(string(b.event[:]), string(a.event[:])), cmp.Compare(b.dest, a.dest), cmp.Compare(b.replay, a.replay))
}

// list asks all databases for a page.
func list[T any](p *Primaries, limit int, print uint64, at func(*T) place, ask func(*Store) (store.Page[T], error)) (store.Page[T], error) {
	all, err := p.each()
	pages := make([]store.Page[T], len(all))
	for i, s := range all {
		if err == nil {
			pages[i], err = ask(s)
		}
	}
	if err != nil {
		return store.Page[T]{}, err
	}
	return mergePages(pages, limit, print, at)
}

// mergePages merges the pages of all databases. A cursor names a place in an order that all of them
// have, so that the same one goes on in each. A page that ends early says nothing of what lies
// behind its end: the merged one ends there, too.
func mergePages[T any](pages []store.Page[T], limit int, print uint64, at func(*T) place) (page store.Page[T], err error) {
	var end place
	ends := false
	for _, one := range pages {
		page.Items = append(page.Items, one.Items...)
		if one.Next == "" {
			continue
		}
		to, err := readCursor(print, one.Next)
		if err != nil {
			return store.Page[T]{}, err
		}
		if !ends || comparePlaces(to, end) < 0 {
			end, ends, page.Next, page.Back = to, true, one.Next, one.Back
		}
	}
	slices.SortFunc(page.Items, func(a, b T) int { return comparePlaces(at(&a), at(&b)) })
	if ends {
		page.Items = slices.DeleteFunc(page.Items, func(one T) bool { return comparePlaces(at(&one), end) > 0 })
	}
	if len(page.Items) > limit {
		clear(page.Items[limit:])
		page.Items = page.Items[:limit]
		last := at(&page.Items[limit-1])
		page.Next, page.Back = appendCursor(print, last), last.event.Time()
	}
	return page, nil
}

// Audit returns the counters of every destination: see store.Log.
func (p *Primaries) Audit(ctx context.Context, deep bool, progress func(int64)) ([]store.AuditRow, error) {
	all, err := p.each()
	if err != nil {
		return nil, err
	}
	ds, err := p.home.Destinations(ctx)
	if err != nil {
		return nil, err
	}
	var rows []store.AuditRow
	var before, last int64
	for i, s := range all {
		there, err := s.audit(ctx, ds, deep, func(n int64) {
			last = before + n
			progress(last)
		})
		if err != nil {
			return nil, err
		}
		before = last
		if i == 0 {
			rows = there
			continue
		}
		for k := range there {
			rows[k].Counts = plus(rows[k].Counts, there[k].Counts)
			if deep {
				*rows[k].Recounted = plus(*rows[k].Recounted, *there[k].Recounted)
			}
		}
	}
	return rows, nil
}

func plus(a, b store.Counts) store.Counts {
	return store.Counts{Accepted: a.Accepted + b.Accepted, Delivered: a.Delivered + b.Delivered, Pending: a.Pending + b.Pending, Dead: a.Dead + b.Dead,
		Cancelled: a.Cancelled + b.Cancelled, PendingBytes: a.PendingBytes + b.PendingBytes}
}

// Usage tells what was used on which day: see store.Usage.
func (p *Primaries) Usage(ctx context.Context, q store.UsageQuery, each func(*store.UsageRow)) error {
	all, err := p.each()
	if err != nil {
		return err
	}
	sums := map[dayDest]*store.UsageRow{}
	for _, s := range all {
		err := s.Usage(ctx, q, func(r *store.UsageRow) {
			sum := sums[dayDest{r.Day, r.Dest}]
			if sum == nil {
				sum = &store.UsageRow{Day: r.Day, Dest: r.Dest}
				sums[dayDest{r.Day, r.Dest}] = sum
			}
			sum.Counts = plus(sum.Counts, r.Counts)
			sum.Attempts, sum.Bytes, sum.Partial = sum.Attempts+r.Attempts, sum.Bytes+r.Bytes, sum.Partial || r.Partial
		})
		if err != nil {
			return err
		}
	}
	rows := make([]*store.UsageRow, 0, len(sums))
	for _, r := range sums {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b *store.UsageRow) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Dest, b.Dest)) })
	for _, r := range rows {
		each(r)
	}
	return nil
}
