package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const day = 24 * time.Hour

func retainCases() []scenario {
	return []scenario{
		{"bodies go and the log stays", 0, retainBodies},
		{"what is pending expires first", 0, retainExpires},
		{"expiry comes in chunks", 0, retainChunks},
		{"expiry reaches every queue", 0, retainQueues},
		{"everything goes with attempts", 0, retainAll},
		{"zero keeps for ever", 0, retainZero},
		{"what is young stays", 0, retainEdges},
		{"an early end of the context", 0, retainContext},
		{"a chunk that was seen is durable", needCrash, retainDurable},
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

func retainExpires(r *rig) {
	d := r.dest()
	items := r.posts(3, d)
	cold := r.settle(r.failed(items[0], 100*day, 3))[0].Item
	r.settle(r.delivered(items[1]))
	r.now = midnight(r.now).Add(2 * day)
	young := r.post(d)[0]
	r.now = r.now.Add(day)
	was := map[store.DeliveryID]store.QueueID{cold.ID: cold.Queue, items[2].ID: items[2].Queue}
	rep, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: 2 * day, Attempts: 30 * day}, func(ms []store.Moved) {
		for _, m := range ms {
			q, ok := was[m.ID]
			delete(was, m.ID)
			if !ok || m.Err != nil || m.From != store.Pending || m.To != store.Dead || m.Was != q || m.Item != (store.Item{}) {
				r.Errorf("expired: %+v, was in %v", m, q)
			}
			rec, _ := r.delivery(m.ID)
			if rec.State != store.Dead || rec.Reason != "expired" || rec.Changed != r.now.UnixNano() {
				r.Errorf("a delivery seen as expired is %+v", rec)
			}
			if _, err := r.s.Event(r.ctx, m.ID.Day, m.ID.Event); err != nil {
				r.Errorf("its body went before all that was pending had expired: %v", err)
			}
		}
	})
	r.must("retain", err)
	if rep.Expired != 2 || rep.Days != 1 || len(was) != 0 {
		r.Errorf("report %+v, not seen %v", rep, was)
	}
	r.counts(d, store.Counts{Accepted: 4, Delivered: 1, Dead: 2, Pending: 1})
	r.queues(young.Queue)
	if s := r.settle(r.failed(cold, time.Hour, 3))[0]; !s.Stale || s.State != store.Dead {
		r.Errorf("an attempt that outlived its delivery settled as %+v", s)
	}
	if s := r.settle(r.delivered(items[2]))[0]; !s.Stale || s.State != store.Delivered {
		r.Errorf("delivered while it expired: %+v", s)
	}
	r.reopen()
	r.counts(d, store.Counts{Accepted: 4, Delivered: 2, Dead: 1, Pending: 1})
}

func retainChunks(r *rig) {
	d := r.dest()
	want := map[store.DeliveryID]bool{}
	for range 5 {
		batch := make([]*store.Entry, 800)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		for _, a := range r.append(batch...) {
			want[a.Items[0].ID] = true
		}
	}
	r.now = midnight(r.now).Add(3 * day)
	chunks := 0
	rep, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: 2 * day, Attempts: 30 * day}, func(ms []store.Moved) {
		chunks++
		if len(ms) == 0 {
			r.Errorf("an empty chunk")
		}
		for _, m := range ms {
			if !want[m.ID] {
				r.Errorf("%v was not pending or was seen twice", m.ID)
			}
			delete(want, m.ID)
		}
		r.stands(ms[len(ms)-1].ID, store.Dead)
	})
	r.must("retain", err)
	if rep.Expired != 4000 || len(want) != 0 {
		r.Errorf("report %+v, %d not seen", rep, len(want))
	}
	if chunks < 2 {
		r.Errorf("4,000 deliveries expired in %d chunk", chunks)
	}
	r.counts(d, store.Counts{Accepted: 4000, Dead: 4000})
}

func retainQueues(r *rig) {
	dests := r.dests(20)
	var outcomes []store.Outcome
	for range 5 {
		for i, it := range r.post(dests...) {
			if i%2 == 0 {
				outcomes = append(outcomes, r.failed(it, time.Duration(i)*day, uint64(i%3)))
			}
		}
		r.advance(time.Hour)
	}
	r.settle(outcomes...)
	r.now = midnight(r.now).Add(3 * day)
	if rep := r.retain(store.Retention{Events: day, Attempts: 30 * day}); rep.Expired != 100 {
		r.Errorf("report %+v, want 100 expired", rep)
	}
	r.queues()
	for _, d := range dests {
		r.counts(d, store.Counts{Accepted: 5, Dead: 5})
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

// retainContext: cut short, it leaves a store that balances, and the next one finishes.
func retainContext(r *rig) {
	d := r.dest()
	for range 3 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		r.append(batch...)
		r.advance(day)
	}
	r.now = midnight(r.now).Add(3 * day)
	keep := store.Retention{Events: day, Attempts: 2 * day}
	seen := 0
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	_, err := r.s.Retain(ctx, r.now, keep, func(ms []store.Moved) {
		seen += len(ms)
		cancel()
	})
	if err == nil && seen < 3000 {
		r.Errorf("retain ended after %d of 3000 without an error", seen)
	}
	r.balanced()
	_, err = r.s.Retain(r.ctx, r.now, keep, func(ms []store.Moved) { seen += len(ms) })
	r.must("retain", err)
	if seen != 3000 {
		r.Errorf("%d deliveries were seen to expire, want 3000", seen)
	}
	r.counts(d, store.Counts{})
}

func retainDurable(r *rig) {
	d := r.dest()
	for range 3 {
		batch := make([]*store.Entry, 700)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		r.append(batch...)
	}
	r.now = midnight(r.now).Add(3 * day)
	keep := store.Retention{Events: day, Attempts: 30 * day}
	var after *rig
	_, err := r.s.Retain(r.ctx, r.now, keep, func(ms []store.Moved) {
		if after != nil {
			return
		}
		crashed := *r
		after = &crashed
		after.s = r.h.Crash(r, r.s)
		for _, m := range ms {
			after.stands(m.ID, store.Dead)
		}
	})
	r.must("retain", err)
	after.balanced()
	after.retain(keep)
	after.counts(d, store.Counts{Accepted: 2100, Dead: 2100})
	after.balanced()
}
