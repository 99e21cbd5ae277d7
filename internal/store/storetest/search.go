package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func searchCases() []scenario {
	return []scenario{
		{"events by every filter", 0, searchEvents},
		{"deliveries by every filter", 0, searchDeliveries},
		{"times are included and excluded", 0, searchTimes},
		{"names that look alike", 0, searchNames},
		{"no destination is not every destination", 0, searchNone},
		{"a needle over many days", 0, searchNeedle},
		{"an event that went everywhere", 0, searchWide},
		{"states that changed", 0, searchStates},
		{"deliveries by what no index knows", 0, searchDetails},
	}
}

func searchEvents(r *rig) {
	l := r.library(3)
	mid := l.times[len(l.times)/2]
	for _, q := range []store.EventQuery{
		{},
		{Developers: []string{"acme"}},
		{Developers: []string{"initech", "acme"}},
		{Developers: []string{"nobody"}},
		{Developers: []string{"globex", "globex"}},
		{Types: []string{"sleep"}},
		{Types: []string{"lab_report.completed", "daily"}},
		{Types: []string{"lab_report.*"}},
		{User: "ann"},
		{User: "bob", Developers: []string{"acme"}},
		{User: "nobody"},
		{Unmatched: true},
		{Unmatched: true, User: "ann"},
		{Since: mid},
		{Until: mid},
		{Since: l.times[5], Until: mid},
		{Since: mid, Until: l.times[5]},
		{Since: mid, User: "ann", Types: []string{"activity", "daily"}, Developers: []string{"acme", "globex"}},
		{Until: mid, Unmatched: true, Types: []string{"sleep"}},
	} {
		r.findsEvents(l.m, q)
	}
	r.reopen()
	r.findsEvents(l.m, store.EventQuery{User: "ann", Until: mid})
}

func searchDeliveries(r *rig) {
	l := r.library(3)
	mid := l.times[len(l.times)/2]
	some := r.events(r.s, store.EventQuery{Since: mid})[3].Event.ID
	every := []store.State{store.Pending, store.Delivered, store.Dead, store.Cancelled}
	for _, q := range []store.DeliveryQuery{
		{},
		{Dests: l.dests[:1]},
		{Dests: []uint32{l.dests[3], l.dests[1], l.dests[3]}},
		{Dests: []uint32{l.dests[3] + 100}},
		{States: every[:1]},
		{States: every[1:3]},
		{States: every[3:]},
		{States: every},
		{Dests: l.dests[1:3], States: []store.State{store.Dead, store.Pending}},
		{Event: some},
		{Event: some, States: every[:2]},
		{Event: some, Dests: l.dests[:2]},
		{Event: some, Until: mid},
		{Event: event.NewID(mid, 1, 1)},
		{Since: mid},
		{Until: mid, Dests: l.dests[:2]},
		{Since: l.times[3], Until: mid, States: every[:1], Dests: l.dests},
		{Since: mid, Until: l.times[3]},
		{User: "ann", Developers: []string{"acme", "globex", "initech"}},
		{User: "ann", Developers: []string{"initech"}},
		{User: "ann", Developers: []string{"acme", "acme"}, States: every[1:3]},
		{User: "bob", Developers: []string{"acme", "initech"}, Dests: l.dests[1:3], Since: l.times[3], Until: mid},
		{User: "bob", Developers: []string{"acme", "initech", "globex"}, Event: some},
		{User: "ann ", Developers: []string{"nobody"}},
	} {
		r.findsDeliveries(l.m, q)
	}
	r.reopen()
	r.findsDeliveries(l.m, store.DeliveryQuery{User: "ann", Developers: []string{"acme", "globex", "initech"}})
	r.findsDeliveries(l.m, store.DeliveryQuery{Dests: l.dests[1:3], States: every[:1]})
}

func searchTimes(r *rig) {
	d := r.dest()
	r.now = midnight(r.now).Add(24*time.Hour - time.Millisecond)
	var ids []event.ID
	for range 3 { // the last instant of a day, midnight, and the one after
		ids = append(ids, r.post(d)[0].ID.Event)
		r.advance(time.Millisecond)
	}
	for i, id := range ids {
		at := id.Time()
		for _, c := range []struct {
			since, until time.Time
			want         []event.ID
		}{
			{at, time.Time{}, ids[i:]},
			{at.Add(1), time.Time{}, ids[i+1:]},
			{at.Add(-1), time.Time{}, ids[i:]},
			{time.Time{}, at, ids[:i]},
			{time.Time{}, at.Add(1), ids[:i+1]},
			{at, at.Add(1), ids[i : i+1]},
			{at, at, nil},
			{at.In(time.FixedZone("", 7200)), at.Add(time.Millisecond).In(time.FixedZone("", -7200)), ids[i : i+1]},
		} {
			want := slices.Clone(c.want)
			slices.Reverse(want)
			if got := eventIDs(r.events(r.s, store.EventQuery{Since: c.since, Until: c.until})); !slices.Equal(got, want) {
				r.Errorf("events since %v until %v: %v, want %v", c.since, c.until, got, want)
			}
			var got []event.ID
			for _, d := range r.deliveries(r.s, store.DeliveryQuery{Since: c.since, Until: c.until, Dests: []uint32{d}, States: []store.State{store.Pending}}) {
				got = append(got, d.ID.Event)
			}
			if !slices.Equal(got, want) {
				r.Errorf("deliveries since %v until %v: %v, want %v", c.since, c.until, got, want)
			}
		}
	}
	// Bounds that no store's key can hold.
	for _, far := range []time.Time{time.Unix(-1, 0), time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)} {
		r.bounded(far, 3, 0)
	}
	for _, far := range []time.Time{time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		r.bounded(far, 0, 3)
	}
}

// bounded expects so many events and deliveries since and until far.
func (r *rig) bounded(far time.Time, since, until int) {
	r.Helper()
	if n := len(r.events(r.s, store.EventQuery{Since: far})); n != since {
		r.Errorf("%d events since %v, want %d", n, far, since)
	}
	if n := len(r.events(r.s, store.EventQuery{Until: far})); n != until {
		r.Errorf("%d events until %v, want %d", n, far, until)
	}
	if n := len(r.deliveries(r.s, store.DeliveryQuery{Since: far})); n != since {
		r.Errorf("%d deliveries since %v, want %d", n, far, since)
	}
	if n := len(r.deliveries(r.s, store.DeliveryQuery{Until: far})); n != until {
		r.Errorf("%d deliveries until %v, want %d", n, far, until)
	}
}

func searchNames(r *rig) {
	names := []string{"a", "ab", "a\x00", "a\x00b", "a|b", "A", "\u00e9", "e\u0301", "a ", " a", "%", "a%", "\xff", "\xff\xff", "b"}
	for _, n := range names {
		batch := []*store.Entry{r.entry(), r.entry(), r.entry()}
		batch[0].Event.Developer, batch[1].Event.UserID, batch[2].Event.Type = n, n, n
		r.append(batch...)
	}
	for _, n := range names {
		for _, q := range []store.EventQuery{{Developers: []string{n}}, {User: n}, {Types: []string{n}}} {
			if got := r.events(r.s, q); len(got) != 1 {
				r.Errorf("%+q: %d events, want 1", fmt.Sprint(q), len(got))
			}
		}
	}
}

// searchNone: a developer without destinations must not see those of all others.
func searchNone(r *rig) {
	r.post(r.dest())
	if got := r.deliveries(r.s, store.DeliveryQuery{Dests: []uint32{}}); len(got) != 0 {
		r.Errorf("deliveries of no destination: %+v", got)
	}
	if got := r.events(r.s, store.EventQuery{Developers: []string{}}); len(got) != 0 {
		r.Errorf("events of no developer: %+v", got)
	}
}

// searchNeedle looks for one of many: pages may come empty, and the list ends.
func searchNeedle(r *rig) {
	d, rare := r.dest(), r.dest()
	r.now = r.now.Add(-300 * 24 * time.Hour)
	oldest := r.entry(rare)
	oldest.Event.UserID = "needle"
	r.append(oldest)
	r.now = start
	for range 5 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		r.append(batch...)
		r.advance(24 * time.Hour)
	}
	for _, limit := range []int{1, 1000} {
		if got := r.events(r.s, store.EventQuery{User: "needle", Limit: limit}); len(got) != 1 || got[0].Event.ID != oldest.Event.ID {
			r.Errorf("the needle: %d events", len(got))
		}
		if got := r.deliveries(r.s, store.DeliveryQuery{Dests: []uint32{rare}, Limit: limit}); len(got) != 1 {
			r.Errorf("the rare destination: %d deliveries", len(got))
		}
		if got := r.deliveries(r.s, store.DeliveryQuery{States: []store.State{store.Cancelled}, Limit: limit}); len(got) != 0 {
			r.Errorf("what was never cancelled: %d deliveries", len(got))
		}
		if got := r.events(r.s, store.EventQuery{Unmatched: true, Limit: limit}); len(got) != 0 {
			r.Errorf("what was never unmatched: %d events", len(got))
		}
	}
}

// searchWide pages through the deliveries of one event, which are all of one time.
func searchWide(r *rig) {
	dests := r.dests(250)
	id := r.post(dests...)[0].ID.Event
	r.post(dests...)
	for _, limit := range []int{1, 7, 250, 1000} {
		if got := r.deliveries(r.s, store.DeliveryQuery{Event: id, Limit: limit}); len(got) != 250 {
			r.Errorf("in pages of %d: %d deliveries of the event, want 250", limit, len(got))
		}
		if got := r.deliveries(r.s, store.DeliveryQuery{Dests: dests[100:], Limit: limit}); len(got) != 300 {
			r.Errorf("in pages of %d: %d deliveries, want 300", limit, len(got))
		}
	}
}

// searchStates takes one delivery through every state; it is found under that one alone.
func searchStates(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	found := func(want store.State) {
		r.Helper()
		for s := store.Pending; s <= store.Cancelled; s++ {
			n := 0
			if s == want {
				n = 1
			}
			for _, q := range []store.DeliveryQuery{{States: []store.State{s}}, {States: []store.State{s}, Dests: []uint32{d}}, {States: []store.State{s}, Event: it.ID.Event}} {
				if got := r.deliveries(r.s, q); len(got) != n {
					r.Errorf("%v: found %d times as %v", want, len(got), s)
				}
			}
		}
	}
	found(store.Pending)
	r.settle(r.rejected(it))
	found(store.Dead)
	it = r.move(store.Retry, it.ID)[0].Item
	found(store.Pending)
	r.move(store.Cancel, it.ID)
	found(store.Cancelled)
	r.settle(r.delivered(it))
	found(store.Delivered)
	r.move(store.Retry, it.ID)
	found(store.Pending)
	r.move(store.Expire, it.ID)
	found(store.Dead)
}

// searchDetails: type and user of the event, class and code of the last attempt.
func searchDetails(r *rig) {
	d := r.dest()
	var items []store.Item
	for i, of := range [][2]string{{"sleep", "ann"}, {"sleep", "bob"}, {"daily", "ann"}, {"daily", ""}} {
		e := r.of("acme", of[1], d)
		e.Event.Type = of[0]
		items = append(items, r.append(e)[0].Items...)
		r.advance(time.Duration(i+1) * 20 * time.Hour)
	}
	again := r.settle(r.failed(items[0], time.Hour, 0))[0].Item // 503
	r.advance(time.Minute)
	r.settle(r.rejected(again), r.failed(items[1], time.Hour, 0), r.delivered(items[2]))
	m, err := r.s.Replay(r.ctx, r.now, 7, []store.Want{{Event: items[2].ID.Event, Day: items[2].ID.Day, Dest: d, Due: r.now.UnixNano()}})
	r.must("replay", err)
	for _, c := range []struct {
		q    store.DeliveryQuery
		want []int // of items, newest day first; -1: the replay
	}{
		{store.DeliveryQuery{Detail: true}, []int{-1, 3, 2, 1, 0}},
		{store.DeliveryQuery{Types: []string{"sleep"}}, []int{1, 0}},
		{store.DeliveryQuery{Types: []string{"daily", "sleep"}, User: "ann"}, []int{-1, 2, 0}},
		{store.DeliveryQuery{User: "nobody"}, nil},
		{store.DeliveryQuery{Classes: []string{"rejected"}}, []int{0}},
		{store.DeliveryQuery{Classes: []string{"transient", "delivered"}}, []int{2, 1}},
		{store.DeliveryQuery{Codes: []int{503}}, []int{1}},
		{store.DeliveryQuery{Codes: []int{0}}, nil}, // who was never tried has no code
		{store.DeliveryQuery{Codes: []int{422, 200}, States: []store.State{store.Delivered}}, []int{2}},
		{store.DeliveryQuery{Codes: []int{422}, Event: items[0].ID.Event}, []int{0}},
		{store.DeliveryQuery{Codes: []int{200}, Event: items[0].ID.Event}, nil},
		{store.DeliveryQuery{User: "ann", Dests: []uint32{d}}, []int{-1, 2, 0}},
		{store.DeliveryQuery{User: "ann", Developers: []string{"acme"}}, []int{-1, 2, 0}},
		{store.DeliveryQuery{User: "ann", Developers: []string{"acme"}, Codes: []int{422}}, []int{0}},
		{store.DeliveryQuery{User: "ann", Developers: []string{"globex"}}, nil},
	} {
		for _, limit := range []int{1, 1000} {
			c.q.Limit = limit
			got := r.deliveries(r.s, c.q)
			ids := make([]int, len(got))
			for n, g := range got {
				ids[n] = -1
				if i := slices.IndexFunc(items, func(it store.Item) bool { return it.ID == g.ID }); i >= 0 {
					ids[n] = i
				}
				if g.Type == "" || g.User == "" && ids[n] != 3 || (g.Last.Class == "") != (ids[n] == -1 || ids[n] == 3) {
					r.Errorf("%+v: %+v", c.q, g)
				}
			}
			if !slices.Equal(ids, c.want) {
				r.Errorf("%+v found %v, want %v", c.q, ids, c.want)
			}
		}
	}
	if got := r.deliveries(r.s, store.DeliveryQuery{Event: items[0].ID.Event}); got[0].Type != "" || got[0].Last != (store.Attempt{}) {
		r.Errorf("details that nobody asked for: %+v", got)
	}
	first, err := r.s.Deliveries(r.ctx, store.DeliveryQuery{User: "ann", Limit: 2})
	r.must("first page", err)
	if first.Next == "" || first.Back.IsZero() || first.Back.After(m[0].ID.Event.Time()) {
		r.Errorf("a page that goes on has looked back to %v", first.Back)
	}
}
