package storetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func cursorCases() []scenario {
	return []scenario{
		{"hostile ones", 0, hostileCursors},
		{"of another list", 0, foreignCursors},
		{"read twice gives the same page", 0, cursorTwice},
		{"goes on over a reopen", 0, cursorReopen},
		{"what is new does not disturb", 0, cursorWhileAppending},
		{"what changes does not disturb the rest", 0, cursorWhileSettling},
		{"what retention takes does not disturb", 0, cursorWhileRetaining},
		{"limits", 0, pageLimits},
	}
}

// filled is a store with some events to page through, and a cursor into each list.
func (r *rig) filled() (events, deliveries string) {
	r.Helper()
	dests := r.dests(2)
	for range 10 {
		r.post(dests...)
		r.advance(time.Hour)
	}
	e, err := r.s.Events(r.ctx, store.EventQuery{Limit: 3})
	r.must("events", err)
	d, err := r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 3})
	r.must("deliveries", err)
	if e.Next == "" || d.Next == "" {
		r.Fatalf("no second page after 3 of 10: %q, %q", e.Next, d.Next)
	}
	return e.Next, d.Next
}

// reads asks both lists for the page at cursor: an error must be ErrCursor, a page must be one.
func (r *rig) reads(cursor string) (events, deliveries error) {
	r.Helper()
	e, events := r.s.Events(r.ctx, store.EventQuery{Limit: 3, Cursor: cursor})
	d, deliveries := r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 3, Cursor: cursor})
	if len(e.Items) > 3 || len(d.Items) > 3 {
		r.Errorf("cursor %q: pages of %d and %d, limit 3", cursor, len(e.Items), len(d.Items))
	}
	for _, err := range []error{events, deliveries} {
		if err != nil && !errors.Is(err, store.ErrCursor) {
			r.Errorf("cursor %q: error %v, want ErrCursor", cursor, err)
		}
	}
	return events, deliveries
}

func hostileCursors(r *rig) {
	events, deliveries := r.filled()
	for _, c := range []string{
		" ", "\x00", "x", "-1", "0", "null", "../../etc/passwd", "'; drop table events; --", "%00", "\xff\xfe", "=", "====", "AAAA",
		strings.Repeat("A", 1<<16), strings.Repeat("f", 64), strings.Repeat("\x00", 40),
		base64.RawURLEncoding.EncodeToString(make([]byte, 200)), base64.StdEncoding.EncodeToString([]byte("hello")),
		events + events, deliveries + "A", " " + events,
	} {
		e, d := r.reads(c)
		r.wants(fmt.Sprintf("events at %.40q", c), e, store.ErrCursor)
		r.wants(fmt.Sprintf("deliveries at %.40q", c), d, store.ErrCursor)
	}
	// One that is nearly right may be read, and must then give a page.
	for _, c := range []string{events, deliveries} {
		for i := range c {
			r.reads(c[:i])
			for _, b := range []byte{'A', 'z', '0', 0, 0xff, c[i] ^ 1} {
				r.reads(c[:i] + string(rune(b)) + c[i+1:])
			}
		}
	}
}

func foreignCursors(r *rig) {
	events, deliveries := r.filled()
	e, d := r.reads(events)
	r.must("events at their own", e)
	r.wants("deliveries at a cursor of events", d, store.ErrCursor)
	e, d = r.reads(deliveries)
	r.must("deliveries at their own", d)
	r.wants("events at a cursor of deliveries", e, store.ErrCursor)
}

func cursorTwice(r *rig) {
	events, deliveries := r.filled()
	var pages [2]string
	for i := range pages {
		e, err := r.s.Events(r.ctx, store.EventQuery{Limit: 3, Cursor: events})
		r.must("events", err)
		d, err := r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 3, Cursor: deliveries})
		r.must("deliveries", err)
		pages[i] = fmt.Sprint(e, d)
	}
	if pages[0] != pages[1] {
		r.Errorf("first %s, then %s", pages[0], pages[1])
	}
}

func cursorReopen(r *rig) {
	events, deliveries := r.filled()
	r.reopen()
	e, _ := r.reads(events)
	r.must("events", e)
	_, d := r.reads(deliveries)
	r.must("deliveries", d)
}

// between pages through both lists, does something after each page, and returns what was listed.
func (r *rig) between(do func()) (es []event.ID, ds []store.DeliveryID) {
	r.Helper()
	for _, e := range walk(r, "events", 3, func(cursor string) (store.Page[store.EventRecord], error) {
		defer do()
		return r.s.Events(r.ctx, store.EventQuery{Limit: 3, Cursor: cursor})
	}) {
		es = append(es, e.Event.ID)
	}
	for _, d := range walk(r, "deliveries", 3, func(cursor string) (store.Page[store.DeliveryRecord], error) {
		defer do()
		return r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 3, Cursor: cursor})
	}) {
		ds = append(ds, d.ID)
	}
	return es, ds
}

// once fails the case unless every one of want is in got once.
func once[T comparable](r *rig, what string, got, want []T) {
	r.Helper()
	n := map[T]int{}
	for _, g := range got {
		n[g]++
	}
	for _, w := range want {
		if n[w] != 1 {
			r.Errorf("%s %v was listed %d times", what, w, n[w])
		}
	}
}

func cursorWhileAppending(r *rig) {
	d := r.dest()
	r.posts(20, d)
	es := eventIDs(r.events(r.s, store.EventQuery{}))
	var ds []store.DeliveryID
	for _, d := range r.deliveries(r.s, store.DeliveryQuery{}) {
		ds = append(ds, d.ID)
	}
	gotE, gotD := r.between(func() { r.post(d) })
	once(r, "event", gotE, es)
	once(r, "delivery", gotD, ds)
}

// cursorWhileSettling moves deliveries between states while all of them are listed.
func cursorWhileSettling(r *rig) {
	dests := r.dests(2)
	var left []store.Item
	for range 15 {
		left = append(left, r.post(dests...)...)
		r.advance(time.Hour)
	}
	var want []store.DeliveryID
	for _, it := range left[10:20] {
		want = append(want, it.ID)
	}
	touched := append(slices.Clone(left[:10]), left[20:]...)
	var got []store.DeliveryID
	for _, d := range walk(r, "deliveries", 3, func(cursor string) (store.Page[store.DeliveryRecord], error) {
		defer func() {
			if len(touched) > 0 {
				r.settle(r.delivered(touched[0]))
				touched = touched[1:]
			}
		}()
		return r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: 3, Cursor: cursor, Dests: dests})
	}) {
		got = append(got, d.ID)
	}
	once(r, "delivery", got, want)
}

func cursorWhileRetaining(r *rig) {
	d := r.dest()
	var young []event.ID
	for i := range 12 {
		r.now = midnight(start).Add(time.Duration(i) * 12 * time.Hour)
		id := r.post(d)[0].ID.Event
		if i >= 8 {
			young = append(young, id)
		}
	}
	days := 4
	got, _ := r.between(func() {
		if days++; days > 7 {
			return
		}
		_, err := r.s.Retain(r.ctx, midnight(start).Add(time.Duration(days)*24*time.Hour), store.Retention{Events: 72 * time.Hour, Attempts: 72 * time.Hour}, nil)
		r.must("retain", err)
	})
	once(r, "event", got, young)
}

// pageLimits: a limit outside 1 to 1,000 is the caller's mistake. It may be refused, and never gives a page without bounds.
func pageLimits(r *rig) {
	d := r.dest()
	for range 2 {
		batch := make([]*store.Entry, 600)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		r.append(batch...)
	}
	for _, limit := range []int{-1, 0, 1001, 1 << 40} {
		if p, err := r.s.Events(r.ctx, store.EventQuery{Limit: limit}); err == nil && len(p.Items) > 1000 {
			r.Errorf("limit %d: a page of %d events", limit, len(p.Items))
		}
		if p, err := r.s.Deliveries(r.ctx, store.DeliveryQuery{Limit: limit}); err == nil && len(p.Items) > 1000 {
			r.Errorf("limit %d: a page of %d deliveries", limit, len(p.Items))
		}
	}
	for _, limit := range []int{1, 999, 1000} {
		if n := len(r.deliveries(r.s, store.DeliveryQuery{Limit: limit})); n != 1200 {
			r.Errorf("limit %d: %d deliveries in all, want 1200", limit, n)
		}
	}
}
