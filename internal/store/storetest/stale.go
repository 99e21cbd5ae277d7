package storetest

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func staleCases() []scenario {
	return []scenario{
		{"every change under every outcome", 0, staleTable},
		{"over a reopen", 0, staleReopen},
		{"a change that did not apply is none", 0, staleConflict},
		{"the changed row is settled as its own", 0, staleThenFresh},
		{"of many changes, every attempt is logged", 0, staleMany},
	}
}

// changes that can come between an offer and its outcome.
func changes() map[string]store.Change {
	return map[string]store.Change{"cancel": store.Cancel, "retry": store.Retry, "rebind": store.Rebind, "expire": store.Expire}
}

// staleTable: delivered wins, any other outcome leaves the change standing, and both log the attempt.
func staleTable(r *rig) {
	for change, c := range changes() {
		for outcome, of := range r.outcomes() {
			for _, frozen := range []uint64{0, 11} {
				if c == store.Rebind && frozen == 0 {
					continue
				}
				name := change + " under " + outcome
				d := r.dest()
				it := r.post(d)[0]
				if frozen != 0 {
					it = r.settle(r.failed(it, time.Hour, frozen))[0].Item
				}
				o := of(it)
				r.advance(time.Second)
				m := r.move(c, it.ID)[0]
				r.must(name, m.Err)
				stands, before := r.delivery(it.ID)
				logged := len(before)
				r.advance(time.Second)
				s := r.settle(o)[0]
				rec, as := r.delivery(it.ID)
				if o.Attempt != nil {
					logged++
				}
				if len(as) != logged {
					r.Errorf("%s: %d attempts are logged, want %d", name, len(as), logged)
				}
				if !s.Stale {
					r.Errorf("%s: not called stale", name)
				}
				if o.State == store.Delivered {
					if s.State != store.Delivered || rec.State != store.Delivered || rec.Reason != "" || rec.Changed != r.now.UnixNano() {
						r.Errorf("%s: settled %+v, delivery %+v", name, s, rec)
					}
					r.counts(d, store.Counts{Accepted: 1, Delivered: 1})
					if got := r.s.Counts(d).PendingBytes; got != 0 {
						r.Errorf("%s: %d bytes are pending", name, got)
					}
					r.queues()
					continue
				}
				if s.State != m.To || s.Item != m.Item || rec != stands {
					r.Errorf("%s: settled %+v, delivery %+v, want %+v to stand as %+v", name, s, rec, m, stands)
				}
				r.balanced()
				r.move(store.Cancel, it.ID)
			}
		}
	}
}

func staleReopen(r *rig) {
	d := r.dest()
	var items []store.Item
	for range changes() {
		items = append(items, r.settle(r.failed(r.post(d)[0], time.Hour, 3))[0].Item)
	}
	i := 0
	for name, c := range changes() {
		r.must(name, r.move(c, items[i].ID)[0].Err)
		i++
	}
	r.reopen()
	for _, it := range items {
		if s := r.settle(r.rejected(it))[0]; !s.Stale {
			r.Errorf("an outcome for a row changed before the reopen: %+v", s)
		}
		if s := r.settle(r.delivered(it))[0]; !s.Stale || s.State != store.Delivered {
			r.Errorf("delivered, for a row changed before the reopen: %+v", s)
		}
	}
	r.counts(d, store.Counts{Accepted: 4, Delivered: 4})
}

func staleConflict(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	r.wants("rebinding what is not frozen", r.move(store.Rebind, it.ID)[0].Err, store.ErrConflict)
	s := r.settle(r.failed(it, time.Minute, 4))[0]
	if s.Stale || s.Item.Queue.Settings != 4 {
		r.Errorf("settled %+v, though nothing had changed", s)
	}
}

func staleThenFresh(r *rig) {
	d := r.dest()
	old := r.settle(r.failed(r.post(d)[0], time.Hour, 3))[0].Item
	fresh := r.move(store.Retry, old.ID)[0].Item
	if fresh.Attempts != 0 || fresh.Queue.Settings != 0 {
		r.Errorf("retried: %+v, want a fresh schedule with current settings", fresh)
	}
	r.settle(r.failed(old, time.Minute, 3))
	if s := r.settle(r.failed(fresh, time.Minute, 0))[0]; s.Stale || s.Item.Attempts != 1 {
		r.Errorf("the retried row settled as %+v", s)
	}
	if _, as := r.delivery(old.ID); len(as) != 3 {
		r.Errorf("%d attempts are logged of 3", len(as))
	}
}

// staleMany retries by hand again and again while no attempt has ended; then they all do.
func staleMany(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	var late []store.Outcome
	for i := range 50 {
		late = append(late, r.rejected(it))
		late[i].Attempt.Code = i
		it = r.move(store.Retry, it.ID)[0].Item
	}
	r.move(store.Cancel, it.ID)
	for _, s := range r.settle(late...) {
		if !s.Stale || s.State != store.Cancelled {
			r.Errorf("settled %+v", s)
		}
	}
	_, as := r.delivery(it.ID)
	if len(as) != len(late) {
		r.Errorf("%d attempts are logged of %d", len(as), len(late))
	}
	for i := range min(len(as), len(late)) {
		if as[i] != *late[i].Attempt {
			r.Errorf("attempt %d is %+v, want %+v", i, as[i], *late[i].Attempt)
		}
	}
	r.counts(d, store.Counts{Accepted: 1, Cancelled: 1})
}
