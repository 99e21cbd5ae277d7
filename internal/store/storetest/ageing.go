package storetest

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func ageingCases() []scenario {
	return []scenario{
		{"day by day", 0, ageDayByDay},
		{"nothing is retried without its body", 0, ageRetry},
		{"nothing is retried while its body goes", 0, ageRetryRace},
		{"a retried delivery expires too", 0, ageRetried},
		{"after a clock that stepped back", 0, ageClock},
		{"while everything goes on", 0, ageBusy},
		{"expired settings are collected", 0, ageSettings},
	}
}

// ageDayByDay retains every night for three weeks: what is kept is a window that moves.
func ageDayByDay(r *rig) {
	d := r.dest()
	keep := store.Retention{Events: 3 * day, Attempts: 7 * day, Idempotency: 2 * day}
	r.now = midnight(r.now)
	for night := range 21 {
		for i := range 4 {
			it := r.post(d)[0]
			if i%2 == 0 {
				r.settle(r.delivered(it))
			}
			r.advance(6 * time.Hour)
		}
		r.retain(keep)
		if n, want := len(r.events(r.s, store.EventQuery{})), min(4*(night+1), 28); n != want {
			r.Errorf("night %d: %d events, want %d", night, n, want)
		}
		if got, most := r.s.Counts(d).Pending, int64(12); got > most {
			r.Errorf("night %d: %d pending, want at most %d", night, got, most)
		}
		if night%5 == 4 {
			r.balanced()
			r.reopen()
		}
	}
}

// ageRetry: a delivery that would be pending for ever, with nothing to send, is not made.
func ageRetry(r *rig) {
	d := r.dest()
	items := r.posts(3, d)
	r.settle(r.delivered(items[0]), r.rejected(items[1]))
	r.now = midnight(r.now).Add(3 * day)
	r.retain(store.Retention{Events: day, Attempts: 30 * day})
	for _, it := range items {
		m := r.move(store.Retry, it.ID)[0]
		if !errors.Is(m.Err, store.ErrNotFound) && !errors.Is(m.Err, store.ErrConflict) {
			r.Errorf("retrying what has no body any more: %+v", m)
		}
	}
	r.counts(d, store.Counts{Accepted: 3, Delivered: 1, Dead: 2})
	r.queues()
}

// ageRetryRace retries by hand what retention is taking at that moment.
func ageRetryRace(r *rig) {
	d := r.dest()
	r.now = midnight(r.now)
	for range 40 {
		items := r.posts(4, d)
		var ids []store.DeliveryID
		var outcomes []store.Outcome
		for _, it := range items {
			outcomes, ids = append(outcomes, r.delivered(it)), append(ids, it.ID)
		}
		r.settle(outcomes...)
		r.now = midnight(r.now).Add(2 * day)
		r.all(2, func(side int) error {
			if side == 0 {
				_, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: day, Attempts: 300 * day}, nil)
				return err
			}
			for i := range ids {
				if _, err := r.s.Move(r.ctx, r.now, store.Retry, ids[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		})
		for _, it := range items {
			if rec, _ := r.delivery(it.ID); rec.State == store.Pending {
				r.hasBody(it.ID, int64(it.Size))
			}
		}
	}
}

func ageRetried(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	r.settle(r.rejected(it))
	r.advance(day)
	r.move(store.Retry, it.ID)
	r.now = midnight(start).Add(3 * day)
	if rep := r.retain(store.Retention{Events: 2 * day, Attempts: 30 * day}); rep.Expired != 1 {
		r.Errorf("report %+v, want 1 expired", rep)
	}
	rec, as := r.delivery(it.ID)
	if rec.State != store.Dead || rec.Reason != "expired" || len(as) != 2 || as[1].Class != "expired" {
		r.Errorf("it is %+v with attempts %+v", rec, as)
	}
}

// ageClock: an event bears the day its id says, even when the clock said another.
func ageClock(r *rig) {
	d := r.dest()
	r.now = midnight(r.now).Add(2 * day)
	r.post(d)
	r.advance(-day)
	late := r.post(d)[0]
	if late.ID.Day != late.ID.Event.Day() {
		r.Errorf("delivery %+v does not bear the day of its event", late.ID)
	}
	r.now = midnight(start).Add(3 * day)
	r.retain(store.Retention{Events: day, Attempts: day})
	r.counts(d, store.Counts{Accepted: 2, Pending: 2})
	r.advance(day)
	if rep := r.retain(store.Retention{Events: day, Attempts: 2 * day}); rep.Expired != 2 {
		r.Errorf("report %+v, want 2 expired", rep)
	}
	r.counts(d, store.Counts{Accepted: 2, Dead: 2})
}

// ageBusy retains while others append, settle and move what is old and what is young.
func ageBusy(r *rig) {
	d := r.dest()
	var old []store.Item
	for range 2 {
		batch := make([]*store.Entry, 600)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		for _, a := range r.append(batch...) {
			old = append(old, a.Items...)
		}
	}
	outcomes := make([]store.Outcome, len(old))
	for i, it := range old {
		switch i % 3 {
		case 0:
			outcomes[i] = r.delivered(it)
		case 1:
			outcomes[i] = r.failed(it, time.Hour, uint64(i%2))
		case 2:
			outcomes[i] = r.rejected(it)
		}
	}
	young := make([]*store.Entry, 200)
	for i := range young {
		young[i] = r.entry(d)
	}
	r.now = midnight(r.now).Add(3 * day)
	var wg sync.WaitGroup
	each := func(n int, do func(i int) error) {
		wg.Go(func() {
			for i := range n {
				if err := do(i); err != nil {
					r.Errorf("while retaining: %v", err)
					return
				}
			}
		})
	}
	each(len(outcomes), func(i int) error {
		_, err := r.s.Settle(r.ctx, r.now, outcomes[i:i+1])
		return err
	})
	each(len(old), func(i int) error {
		_, err := r.s.Move(r.ctx, r.now, store.Change(1+i%4), []store.DeliveryID{old[len(old)-1-i].ID})
		return err
	})
	each(len(young), func(i int) error {
		_, err := r.s.Append(r.ctx, r.now, young[i:i+1])
		return err
	})
	each(1, func(int) error {
		_, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: day, Attempts: 30 * day}, nil)
		return err
	})
	wg.Wait()
	r.balanced()
	r.retain(store.Retention{Events: day, Attempts: 30 * day})
	r.counts(d, store.Counts{Accepted: 1400, Pending: 200, Delivered: r.s.Counts(d).Delivered, Dead: r.s.Counts(d).Dead, Cancelled: r.s.Counts(d).Cancelled})
	r.balanced()
	r.reopen()
	r.balanced()
	r.retain(store.Retention{Events: day, Attempts: day})
	r.counts(d, store.Counts{Accepted: 200, Pending: 200})
}

func ageSettings(r *rig) {
	d := r.dest()
	r.seal(1, 2)
	r.settle(r.failed(r.post(d)[0], 90*day, 1))
	r.now = midnight(r.now).Add(3 * day)
	r.settle(r.failed(r.post(d)[0], 90*day, 2))
	r.retain(store.Retention{Events: 2 * day, Attempts: 30 * day})
	r.collects([]uint64{1, 2}, []uint64{2})
}
