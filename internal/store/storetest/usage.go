package storetest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func usageCases() []scenario {
	return []scenario{
		{"counts by day and destination", 0, usageDays},
		{"selects days and destinations", 0, usageSelects},
		{"counts an attempt once", 0, usageAttempts},
		{"counts a replay on its own day", 0, usageReplay},
		{"goes with the rows", 0, usageAges},
		{"stays when a user is erased", 0, usageErased},
	}
}

// use adds a delivery to what days were used for. Of sizes that nobody knows any
// more the row says so: its bytes are -1.
func (r *rig) use(usage map[usageKey]*store.UsageRow, d store.DeliveryRecord, sizes map[store.DeliveryID]int64) {
	r.Helper()
	k := usageKey{d.ID.Day, d.ID.Dest}
	u := usage[k]
	if u == nil {
		u = &store.UsageRow{Day: k.day, Dest: k.dest}
		usage[k] = u
	}
	_, as := r.delivery(d.ID)
	u.Attempts += tries(as)
	row := modelRow{state: d.State}
	size, known := sizes[d.ID]
	if !known {
		e, err := r.s.EventRecord(r.ctx, d.ID.Event)
		if size, known = int64(e.Size), err == nil; err != nil && !errors.Is(err, store.ErrNotFound) {
			r.Errorf("event record %v: %v", d.ID.Event, err)
		}
	}
	if row.Size = uint32(size); !known || u.Bytes < 0 {
		u.Bytes = -1
	} else {
		u.Bytes += size
	}
	row.count(&u.Counts)
}

// used compares what the store says of every day with what was counted.
func (r *rig) used(want map[usageKey]*store.UsageRow) {
	r.Helper()
	got := r.usage(store.UsageQuery{})
	if keys := slices.SortedFunc(maps.Keys(want), compareUsage); !slices.Equal(keysOf(got), keys) {
		r.Errorf("usage has rows of %v, want %v", keysOf(got), keys)
	}
	for _, u := range got {
		w := want[usageKey{u.Day, u.Dest}]
		if w == nil {
			continue
		}
		if w.Bytes < 0 {
			w.Bytes = u.Bytes
		}
		if u != *w {
			r.Errorf("usage: %+v, want %+v", u, *w)
		}
	}
}

// usage returns what q selects. Days and destinations without deliveries may have
// rows of zeros, which mean nothing.
func (r *rig) usage(q store.UsageQuery) []store.UsageRow {
	r.Helper()
	var all []store.UsageRow
	r.must("usage", r.s.Usage(r.ctx, q, func(u *store.UsageRow) {
		if *u != (store.UsageRow{Day: u.Day, Dest: u.Dest}) {
			all = append(all, *u)
		}
	}))
	if !slices.IsSortedFunc(all, func(a, b store.UsageRow) int {
		return compareUsage(usageKey{a.Day, a.Dest}, usageKey{b.Day, b.Dest})
	}) {
		r.Errorf("usage is not in order: %v", keysOf(all))
	}
	return all
}

func keysOf(rows []store.UsageRow) (keys []usageKey) {
	for _, u := range rows {
		keys = append(keys, usageKey{u.Day, u.Dest})
	}
	return keys
}

// sized makes an entry whose body has n bytes.
func (r *rig) sized(n int, to ...uint32) *store.Entry {
	e := r.entry(to...)
	e.Event.Body = slices.Repeat([]byte("x"), n)
	return e
}

func usageDays(r *rig) {
	a, b := r.dest(), r.dest()
	first := event.DayOf(r.now)
	items := r.append(r.sized(10, a, b), r.sized(5, a))
	r.advance(24 * time.Hour)
	r.append(r.sized(7, b))
	// Tomorrow's attempts at what came today are today's.
	r.settle(r.delivered(items[0].Items[0]), r.rejected(items[1].Items[0]))
	r.settle(r.failed(items[0].Items[1], time.Minute, 1))
	want := []store.UsageRow{
		{Day: first, Dest: a, Counts: store.Counts{Accepted: 2, Delivered: 1, Dead: 1}, Attempts: 2, Bytes: 15},
		{Day: first, Dest: b, Counts: store.Counts{Accepted: 1, Pending: 1, PendingBytes: 10}, Attempts: 1, Bytes: 10},
		{Day: first + 1, Dest: b, Counts: store.Counts{Accepted: 1, Pending: 1, PendingBytes: 7}, Bytes: 7},
	}
	for range 2 {
		if got := r.usage(store.UsageQuery{}); !slices.Equal(got, want) {
			r.Errorf("usage: %+v, want %+v", got, want)
		}
		r.reopen()
	}
}

func usageSelects(r *rig) {
	dests := r.dests(70) // more than a store may like to look up one by one
	first := event.DayOf(r.now)
	for range 4 {
		r.post(dests...)
		r.advance(24 * time.Hour)
	}
	for _, c := range []struct {
		q    store.UsageQuery
		want int
	}{
		{store.UsageQuery{}, 280},
		{store.UsageQuery{Since: first + 3}, 70},
		{store.UsageQuery{Since: first + 1, Until: first + 3}, 140},
		{store.UsageQuery{Since: first + 4}, 0},
		{store.UsageQuery{Since: first + 2, Until: first + 1}, 0},
		{store.UsageQuery{Dests: []uint32{}}, 0},
		{store.UsageQuery{Dests: dests[:1]}, 4},
		{store.UsageQuery{Dests: []uint32{dests[69], dests[7], dests[7], 1 << 31}}, 8},
		{store.UsageQuery{Since: first + 1, Until: first + 2, Dests: dests[3:9]}, 6},
		{store.UsageQuery{Until: first + 2, Dests: dests[:68]}, 136},
	} {
		got := r.usage(c.q)
		if len(got) != c.want {
			r.Errorf("usage of %+v has %d rows, want %d", c.q, len(got), c.want)
		}
		for _, u := range got {
			if u.Day < c.q.Since || c.q.Until != 0 && u.Day >= c.q.Until || !oneOf(c.q.Dests, u.Dest) {
				r.Errorf("usage of %+v has %+v", c.q, u)
			}
		}
	}
}

// tried fails the case unless that many attempts are counted.
func (r *rig) tried(what string, want int64) {
	r.Helper()
	got := int64(0)
	for _, u := range r.usage(store.UsageQuery{}) {
		got += u.Attempts
	}
	if got != want {
		r.Errorf("%s: %d attempts, want %d", what, got, want)
	}
}

func usageAttempts(r *rig) {
	d := r.dest()
	items := r.posts(4, d)
	once := r.delivered(items[0])
	r.settle(once, once)
	r.settle(once)
	_, as := r.delivery(items[0].ID)
	r.tried("settled three times", int64(len(as)))
	none := r.failed(items[1], time.Minute, 0)
	none.Attempt = nil
	r.settle(none)
	r.tried("nothing was tried", int64(len(as)))
	r.move(store.Cancel, items[2].ID)
	r.settle(r.failed(items[2], time.Minute, 1))
	r.tried("cancelled meanwhile", int64(len(as))+1)
	r.move(store.Expire, items[3].ID)
	r.tried("expired", int64(len(as))+1)
	r.move(store.Retry, items[0].ID)
	r.tried("retried", int64(len(as))+1)
}

func usageReplay(r *rig) {
	d := r.dest()
	first := event.DayOf(r.now)
	it := r.append(r.sized(9, d))[0].Items[0]
	r.settle(r.delivered(it))
	r.advance(48 * time.Hour)
	out, err := r.s.Replay(r.ctx, r.now, 1, []store.Want{{Event: it.ID.Event, Day: first, Dest: d}})
	r.must("replay", err)
	r.settle(r.delivered(out[0].Item))
	for i, u := range r.usage(store.UsageQuery{}) {
		want := store.UsageRow{Day: first + event.Day(2*i), Dest: d, Counts: store.Counts{Accepted: 1, Delivered: 1}, Attempts: 1, Bytes: 9}
		if u != want {
			r.Errorf("usage: %+v, want %+v", u, want)
		}
	}
	r.tried("replayed", 2)
}

func usageAges(r *rig) {
	d := r.dest()
	first := event.DayOf(r.now)
	r.settle(r.delivered(r.post(d)[0]))
	r.advance(24 * time.Hour)
	r.post(d)
	r.advance(9 * 24 * time.Hour)
	keep := store.Retention{Events: 2 * 24 * time.Hour, Attempts: 10 * 24 * time.Hour}
	_, err := r.s.Retain(r.ctx, r.now, keep, nil)
	r.must("retain", err)
	if got := r.usage(store.UsageQuery{}); len(got) != 2 || got[1].Counts.Dead != 1 || got[1].Attempts != 0 {
		r.Errorf("usage behind the retention of bodies: %+v", got)
	}
	r.advance(24 * time.Hour)
	_, err = r.s.Retain(r.ctx, r.now, keep, nil)
	r.must("retain", err)
	if got := r.usage(store.UsageQuery{}); len(got) != 1 || got[0].Day != first+1 {
		r.Errorf("usage behind the retention of attempts: %+v", got)
	}
}

func usageErased(r *rig) {
	d := r.dest()
	it := r.append(r.sized(9, d), r.sized(8, d))[0].Items[0]
	r.settle(r.failed(it, time.Minute, 1))
	_, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "user-1", By: "test"}, nil)
	r.must("erase", err)
	want := store.UsageRow{Day: event.DayOf(r.now), Dest: d, Counts: store.Counts{Accepted: 2, Cancelled: 2}, Attempts: 1, Bytes: 17}
	if got := r.usage(store.UsageQuery{}); len(got) != 1 || got[0] != want {
		r.Errorf("usage behind an erasure: %+v, want %+v", got, want)
	}
}
