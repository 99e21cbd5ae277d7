package storetest

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func expiryCases() []scenario {
	return []scenario{
		{"comes before the body goes", 0, retainExpires},
		{"comes in chunks", 0, retainChunks},
		{"reaches every queue", 0, retainQueues},
		{"an early end of the context", 0, retainContext},
		{"a chunk that was seen is durable", needCrash, retainDurable},
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
