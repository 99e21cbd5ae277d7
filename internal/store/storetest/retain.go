package storetest

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const day = 24 * time.Hour

func retainCases() []scenario {
	return []scenario{
		{"bodies go and the log stays", 0, retainBodies},
		{"everything goes with attempts", 0, retainAll},
		{"zero keeps for ever", 0, retainZero},
		{"what is young stays", 0, retainEdges},
	}
}

func (r *rig) retain(keep store.Retention) store.RetainReport {
	r.Helper()
	rep, err := r.s.Retain(r.ctx, r.now, keep, nil)
	r.must("retain", err)
	return rep
}

// retainBodies: after retention.events the log still says what became of everything.
func retainBodies(r *rig) {
	d := r.dest()
	items := r.posts(3, d)
	cold := r.settle(r.delivered(items[0]), r.rejected(items[1]), r.failed(items[2], time.Hour, 3))[2].Item
	r.settle(r.delivered(cold))
	before := r.deliveries(r.s, store.DeliveryQuery{})
	_, attempts := r.delivery(cold.ID)
	r.now = midnight(r.now).Add(3 * day)
	keep := store.Retention{Events: 2 * day, Attempts: 30 * day}
	if rep := r.retain(keep); rep.Expired != 0 || rep.Days != 1 {
		r.Errorf("report %+v, want one day and nothing expired", rep)
	}
	for range 2 {
		for _, it := range items {
			_, err := r.s.Event(r.ctx, it.ID.Day, it.ID.Event)
			r.wants("a body that aged out", err, store.ErrNotFound)
			rec := r.record(it.ID.Event)
			if rec.Gone != "expired" || rec.Event.Developer != "acme" || rec.Event.Type != "activity" || rec.Event.UserID != "user-1" || !slices.Equal(rec.To, []uint32{d}) {
				r.Errorf("its record: %+v", rec)
			}
		}
		if got := r.deliveries(r.s, store.DeliveryQuery{}); !slices.Equal(got, before) {
			r.Errorf("deliveries %+v became %+v", before, got)
		}
		if _, got := r.delivery(cold.ID); !slices.Equal(got, attempts) {
			r.Errorf("attempts %+v became %+v", attempts, got)
		}
		r.counts(d, store.Counts{Accepted: 3, Delivered: 2, Dead: 1})
		if got := r.events(r.s, store.EventQuery{User: "user-1", Developers: []string{"acme"}, Types: []string{"activity"}}); len(got) != 3 {
			r.Errorf("%d events are found, want 3", len(got))
		}
		r.reopen()
	}
	if rep := r.retain(keep); rep != (store.RetainReport{}) {
		r.Errorf("retained again: %+v", rep)
	}
}

func retainAll(r *rig) {
	dests := r.dests(2)
	its := r.post(dests...)
	its = append(its, r.post(dests...)...)
	r.settle(r.delivered(its[0]), r.rejected(its[1]))
	r.append(r.entry())
	r.now = midnight(r.now).Add(5 * day)
	young := r.post(dests[0])[0]
	keep := store.Retention{Events: 2 * day, Attempts: 4 * day}
	rep := r.retain(keep)
	if rep.Expired != 2 || rep.Days < 1 {
		r.Errorf("report %+v, want 2 expired", rep)
	}
	for range 2 {
		for _, it := range its {
			_, _, err := r.s.Delivery(r.ctx, it.ID)
			r.wants("a delivery that aged out", err, store.ErrNotFound)
			_, err = r.s.EventRecord(r.ctx, it.ID.Event)
			r.wants("an event that aged out", err, store.ErrNotFound)
			_, err = r.s.Event(r.ctx, it.ID.Day, it.ID.Event)
			r.wants("a body that aged out", err, store.ErrNotFound)
			for name, c := range changes() {
				r.wants(name, r.move(c, it.ID)[0].Err, store.ErrNotFound)
			}
			for name, of := range r.outcomes() {
				if s := r.settle(of(it))[0]; s.State != 0 {
					r.Errorf("%s of what aged out settled as %+v", name, s)
				}
			}
			_, _, err = r.s.Delivery(r.ctx, it.ID)
			r.wants("a delivery that aged out, after it was settled", err, store.ErrNotFound)
		}
		r.counts(dests[0], store.Counts{Accepted: 1, Pending: 1})
		r.counts(dests[1], store.Counts{})
		if got := r.events(r.s, store.EventQuery{}); len(got) != 1 || got[0].Event.ID != young.ID.Event {
			r.Errorf("%d events are left, want one", len(got))
		}
		r.balanced()
		r.reopen()
	}
	if rep := r.retain(keep); rep != (store.RetainReport{}) {
		r.Errorf("retained again: %+v", rep)
	}
	r.increasing(young.ID.Event, r.post(dests[1])[0].ID.Event)
}

func retainZero(r *rig) {
	d := r.dest()
	items := r.posts(2, d)
	r.settle(r.delivered(items[0]))
	e := r.entry(d)
	e.IdempotencyKey = "k"
	r.append(e)
	before := r.dump(r.s, true)
	r.advance(3000 * day)
	if rep := r.retain(store.Retention{}); rep != (store.RetainReport{}) {
		r.Errorf("report %+v", rep)
	}
	r.same("kept for ever", r.dump(r.s, true), before)
	if rep := r.retain(store.Retention{Events: day}); rep.Expired != 2 {
		r.Errorf("report %+v, want 2 expired", rep)
	}
	if n := len(r.deliveries(r.s, store.DeliveryQuery{})); n != 3 {
		r.Errorf("%d deliveries, kept for ever, want 3", n)
	}
	again := r.entry(d)
	again.IdempotencyKey, again.Event.Body = "k", e.Event.Body
	if !r.try(again)[0].Duplicate {
		r.Errorf("a key, kept for ever, is not known")
	}
}

// retainEdges puts an event on each side of the instant that r.Events names, which is a midnight.
func retainEdges(r *rig) {
	d := r.dest()
	cut := midnight(r.now).Add(day)
	var items []store.Item
	for _, at := range []time.Duration{-day, -time.Millisecond, 0, time.Millisecond, day - time.Millisecond, day} {
		r.now = cut.Add(at)
		items = append(items, r.post(d)[0])
	}
	gone := func(n int) {
		r.Helper()
		for i, it := range items {
			want := store.Pending
			if i < n {
				want = store.Dead
			}
			r.stands(it.ID, want)
			if _, err := r.s.Event(r.ctx, it.ID.Day, it.ID.Event); (err != nil) != (i < n) {
				r.Errorf("body %d of %d that should be gone: %v", i, n, err)
			}
		}
	}
	keep := store.Retention{Events: 7 * day, Attempts: 30 * day}
	r.now = cut.Add(6 * day)
	r.retain(keep) // what is exactly 7 days old is not older
	gone(0)
	r.now = cut.Add(7 * day)
	r.retain(keep)
	gone(2)
	r.now = cut.Add(8 * day)
	r.retain(keep)
	gone(5)
	keep.Attempts = 8 * day
	r.retain(keep)
	if n := len(r.deliveries(r.s, store.DeliveryQuery{})); n != 4 {
		r.Errorf("%d deliveries are left, want 4", n)
	}
}
