package storetest

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func concurrencyCases() []scenario {
	return []scenario{
		{"many append", 0, manyAppend},
		{"delivered wins every race", 0, deliveredWins},
		{"one of two settles", 0, oneSettles},
		{"changes of one delivery", 0, manyChanges},
		{"a reader misses nothing that stays", 0, readWhileWriting},
		{"audits while everything moves", 0, auditWhileMoving},
	}
}

// all runs f(0) to f(n-1) at once, and reports what went wrong.
func (r *rig) all(n int, f func(i int) error) {
	r.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				r.Errorf("%d of %d at once: %v", i, n, err)
			}
		})
	}
	wg.Wait()
}

// ended closes begun when all have ended, so that nobody waits for what will not come.
func ended(wg *sync.WaitGroup, begun chan struct{}) {
	go func() {
		wg.Wait()
		close(begun)
	}()
}

func manyAppend(r *rig) {
	dests := r.dests(3)
	const writers, each = 16, 40
	entries, ids := make([][]*store.Entry, writers), make([][]event.ID, writers)
	for w := range entries {
		for i := range each {
			entries[w] = append(entries[w], r.entry(dests[:i%4]...))
		}
	}
	r.all(writers, func(w int) error {
		for i := 0; i < each; i += 1 + w%3 {
			end := min(i+1+w%3, each)
			out, err := r.s.Append(r.ctx, r.now, entries[w][i:end])
			if err != nil {
				return err
			}
			for _, a := range out {
				ids[w] = append(ids[w], a.ID)
			}
		}
		return nil
	})
	seen := map[event.ID]bool{}
	for w := range ids {
		r.increasing(ids[w]...)
		for i, id := range ids[w] {
			if seen[id] || id != entries[w][i].Event.ID {
				r.Errorf("id %v: given twice or not to its event", id)
			}
			seen[id] = true
		}
	}
	if got := r.events(r.s, store.EventQuery{}); len(got) != writers*each {
		r.Errorf("%d events are stored, want %d", len(got), writers*each)
	}
}

// race settles each item and changes it at the same time, and returns what each said.
func (r *rig) race(items []store.Item, of func(store.Item) store.Outcome, c store.Change) (settled []store.Settled, moved []store.Moved) {
	r.Helper()
	settled, moved = make([]store.Settled, len(items)), make([]store.Moved, len(items))
	outcomes := make([]store.Outcome, len(items))
	for i, it := range items {
		outcomes[i] = of(it)
	}
	r.all(2, func(side int) error {
		for i := range items {
			if side == 0 {
				out, err := r.s.Settle(r.ctx, r.now, outcomes[i:i+1])
				if err != nil {
					return err
				}
				settled[i] = out[0]
				continue
			}
			out, err := r.s.Move(r.ctx, r.now, c, []store.DeliveryID{items[i].ID})
			if err != nil {
				return err
			}
			moved[i] = out[0]
		}
		return nil
	})
	return settled, moved
}

func deliveredWins(r *rig) {
	for name, c := range changes() {
		d := r.dest()
		items := r.posts(60, d)
		for i := range items {
			items[i] = r.settle(r.failed(items[i], time.Hour, 8))[0].Item
		}
		settled, moved := r.race(items, r.delivered, c)
		for i, it := range items {
			rec, as := r.delivery(it.ID)
			want := store.Delivered
			if c == store.Retry && moved[i].From == store.Delivered {
				want = store.Pending // the retry came after it
			}
			logged := slices.DeleteFunc(as, func(a store.Attempt) bool { return a.Class == "expired" })
			if rec.State != want || len(logged) != 2 || settled[i].State != store.Delivered {
				r.Errorf("%s against delivered: %+v with attempts %+v; settled %+v, moved %+v", name, rec, as, settled[i], moved[i])
			}
			if (moved[i].Err == nil) == (!settled[i].Stale) && c != store.Retry {
				r.Errorf("%s against delivered: settled %+v, moved %+v", name, settled[i], moved[i])
			}
		}
	}
}

func oneSettles(r *rig) {
	d := r.dest()
	const callers = 4
	for name, of := range map[string]func(store.Item) store.Outcome{"delivered": r.delivered, "rejected": r.rejected, "failed": r.outcomes()["frozen"]} {
		for range 15 {
			it := r.post(d)[0]
			var outcomes [callers]store.Outcome
			var settled [callers]store.Settled
			for i := range outcomes {
				outcomes[i] = of(it)
			}
			r.all(callers, func(i int) error {
				out, err := r.s.Settle(r.ctx, r.now, outcomes[i:i+1])
				if err == nil {
					settled[i] = out[0]
				}
				return err
			})
			first := 0
			for _, s := range settled {
				if !s.Stale {
					first++
				}
			}
			rec, as := r.delivery(it.ID)
			if first != 1 || len(as) == 0 || rec.Attempts != 1 {
				r.Errorf("%s by %d at once: %d were the first, %+v, %d attempts", name, callers, first, rec, len(as))
			}
		}
	}
}

// manyChanges lets changes and outcomes fall on few deliveries; what is left must be in order.
func manyChanges(r *rig) {
	dests := r.dests(2)
	var items []store.Item
	for range 10 {
		items = append(items, r.post(dests...)...)
	}
	const actors, steps = 8, 60
	attempts := make([]store.Attempt, actors*steps)
	for i := range attempts {
		attempts[i] = *r.attempt("transient", i, true)
	}
	r.all(actors, func(a int) error {
		for n := range steps {
			it := items[(a*7+n*3)%len(items)]
			if a%2 == 0 {
				if _, err := r.s.Move(r.ctx, r.now, store.Change(1+(a/2+n)%4), []store.DeliveryID{it.ID}); err != nil {
					return err
				}
				continue
			}
			q := store.QueueID{Dest: it.ID.Dest, Settings: uint64(n % 2)}
			due, _, err := r.s.Due(r.ctx, q, store.Position{}, math.MaxInt64, 5)
			if err != nil {
				return err
			}
			for i, it := range due {
				o := store.Outcome{Item: it, Attempt: &attempts[a*steps+n], State: store.State(1 + (n+i)%3), Attempts: it.Attempts + 1}
				if o.State == store.Pending {
					o.Due, o.Settings = it.Due+int64(i), uint64((n+1)%2)
				}
				if _, err := r.s.Settle(r.ctx, r.now, []store.Outcome{o}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	r.balanced()
	before := r.dump(r.s, true)
	r.reopen()
	r.same("after a reopen", r.dump(r.s, true), before)
}

// readWhileWriting: Due sees each pending delivery that nobody touches, on every read.
func readWhileWriting(r *rig) {
	d := r.dest()
	still := r.posts(20, d)
	entries := make([]*store.Entry, 300)
	for i := range entries {
		entries[i] = r.entry(d)
	}
	stop := make(chan struct{})
	r.all(2, func(side int) error {
		if side == 0 {
			defer close(stop)
			for i := range entries {
				out, err := r.s.Append(r.ctx, r.now, entries[i:i+1])
				if err != nil {
					return err
				}
				if i%2 == 0 {
					if _, err := r.s.Move(r.ctx, r.now, store.Cancel, []store.DeliveryID{out[0].Items[0].ID}); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for {
			got, _, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, store.Position{}, math.MaxInt64, 1000)
			if err != nil {
				return err
			}
			for i, it := range still {
				if len(got) <= i || got[i] != it {
					return fmt.Errorf("a read of %d left out or changed what nobody touched", len(got))
				}
			}
			select {
			case <-stop:
				return nil
			default:
			}
		}
	})
}

// auditWhileMoving: every deep audit is of one snapshot, so it agrees with itself.
func auditWhileMoving(r *rig) {
	dests := r.dests(3)
	entries := make([]*store.Entry, 200)
	attempts := make([]store.Attempt, len(entries))
	for i := range entries {
		entries[i], attempts[i] = r.entry(dests...), *r.attempt("delivered", 200, true)
	}
	stop := make(chan struct{})
	r.all(2, func(side int) error {
		if side == 0 {
			defer close(stop)
			for i := range entries {
				out, err := r.s.Append(r.ctx, r.now, entries[i:i+1])
				if err != nil {
					return err
				}
				o := store.Outcome{Item: out[0].Items[i%3], Attempt: &attempts[i], State: store.Delivered, Attempts: 1}
				if _, err := r.s.Settle(r.ctx, r.now, []store.Outcome{o}); err != nil {
					return err
				}
			}
			return nil
		}
		for {
			rows, err := r.s.Audit(r.ctx, true, func(int64) {})
			if err != nil {
				return err
			}
			for _, row := range rows {
				if row.Recounted == nil || *row.Recounted != row.Counts {
					return fmt.Errorf("destination %d: counters %+v, recounted %+v", row.Dest, row.Counts, row.Recounted)
				}
				c := row.Counts
				if c.Accepted != c.Delivered+c.Pending+c.Dead+c.Cancelled {
					return fmt.Errorf("destination %d does not balance: %+v", row.Dest, c)
				}
			}
			select {
			case <-stop:
				return nil
			default:
			}
		}
	})
}
