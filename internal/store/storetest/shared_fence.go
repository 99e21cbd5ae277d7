package storetest

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func fenceCases() []sharedScenario {
	return []sharedScenario{
		{"a stale owner changes nothing", staleOwner, lapses},
		{"a stale owner loses every slot at once", staleWhole, lapses},
		{"a late renewal goes on where nobody has replaced the owner", lateRenewal, lapses},
		{"no attempt begins once somebody may adopt", ownedEnds, lapses},
		{"of two outcomes one counts", outcomesRace, lapses},
	}
}

// replaced cuts a until b has adopted it, and lets it back.
func (r *sharedRig) replaced(a, b *daemon, items ...store.Item) {
	r.Helper()
	mend := r.cluster.Cut(r, a.i)
	for _, it := range items {
		r.adoptedBy(b, it, r.lapse())
	}
	mend()
}

func staleOwner(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	dead, items := a.post(d)
	id := items[0].ID
	_, more := a.post(d)
	r.replaced(a, b, items[0], more[0])
	fenced := func(what string, do func() error) {
		r.Helper()
		if err := r.patiently(do); !errors.Is(err, store.ErrFenced) {
			r.Errorf("%s by a stale owner: %v, want that its lease is lost", what, err)
		}
	}
	e := r.entry(d)
	e.IdempotencyKey = "stale"
	fenced("append", func() error {
		out, err := a.Append(r.ctx, time.Now(), []*store.Entry{e})
		if err == nil && len(out) > 0 {
			err = out[0].Err
		}
		return err
	})
	fenced("settle", func() error { _, err := a.deliver(items[0]); return err })
	fenced("cancel", func() error {
		_, err := a.Move(r.ctx, time.Now(), store.Cancel, []store.DeliveryID{id})
		return err
	})
	fenced("replay", func() error {
		_, err := a.Replay(r.ctx, time.Now(), 7, []store.Want{{Event: dead, Day: dead.Day(), Dest: d, Due: time.Now().UnixNano()}})
		return err
	})

	if got := b.state(id); got != store.Pending {
		r.Errorf("a stale owner made a delivery %v", got)
	}
	if page, err := b.Events(r.ctx, store.EventQuery{Limit: 10}); err != nil || len(page.Items) != 2 {
		r.Errorf("%d events, %v; want the 2 that were accepted", len(page.Items), err)
	}
	if _, as, err := b.Delivery(r.ctx, id); err != nil || len(as) != 0 {
		r.Errorf("%d attempts by a stale owner are in the log, %v", len(as), err)
	}
	r.counted(b, d, store.Counts{Accepted: 2, Pending: 2})
	r.within(r.soon(), "who runs the stale daemon is told", func() bool { return errors.Is(r.cluster.Fatal(a.i), store.ErrFenced) })
	if a.Owned() {
		r.Errorf("a stale owner may begin attempts")
	}
	// The key of what was refused is free.
	if again, err := b.Append(r.ctx, time.Now(), []*store.Entry{e}); err != nil || again[0].Duplicate {
		r.Errorf("what was refused is known: %+v, %v", again, err)
	}
	if s, err := b.deliver(more[0]); err != nil || s[0].Stale {
		r.Errorf("settled by the owner: %+v, %v", s, err)
	}
	a.over = true
	_ = a.Close()
}

// staleWhole: the first slot that somebody adopts ends its owner, whatever other slots it has.
func staleWhole(r *sharedRig) {
	a := r.join().announce()
	x := a.dest("x")
	var items []store.Item
	for range 4 {
		_, its := a.post(x)
		items = append(items, its...)
	}
	had := len(a.slots(a))
	b := r.join().announce()
	mend := r.cluster.Cut(r, a.i)
	r.within(r.lapse(), "some slot is adopted", func() bool { return len(a.slots(b)) < had || len(b.slots(b)) > had })
	mend()
	for _, it := range items {
		if _, err := a.deliver(it); !errors.Is(err, store.ErrFenced) {
			r.Errorf("a daemon some of whose slots were set free settles: %v", err)
		}
	}
	e := []*store.Entry{r.entry(x)}
	err := r.patiently(func() error { _, err := a.Append(r.ctx, time.Now(), e); return err })
	if !errors.Is(err, store.ErrFenced) {
		r.Errorf("a daemon some of whose slots were set free accepts: %v", err)
	}
	for _, it := range items {
		r.within(r.lapse(), "every slot is adopted", func() bool { return b.shows(it.ID) })
	}
	a.over = true
	_ = a.Close()
}

func lateRenewal(r *sharedRig) {
	a := r.join()
	d := a.dest("x")
	_, items := a.post(d)
	mend := r.cluster.Cut(r, a.i)
	r.within(r.lapse(), "no attempts begin without the lease", func() bool { return !a.Owned() })
	time.Sleep(2 * r.lease)
	mend()
	r.within(r.lapse(), "attempts begin again", a.Owned)
	if s, err := a.deliver(items[0]); err != nil || s[0].Stale {
		r.Errorf("settled after a late renewal: %+v, %v", s, err)
	}
	if _, its := a.post(d); len(its) != 1 {
		r.Errorf("accepted after a late renewal: %d deliveries", len(its))
	}
	if err := r.cluster.Fatal(a.i); err != nil {
		r.Errorf("an owner that nobody has replaced is told to end: %v", err)
	}
}

func ownedEnds(r *sharedRig) {
	a, b := r.join(), r.join()
	_, items := a.post(a.dest("x"))
	mend := r.cluster.Cut(r, a.i)
	defer mend()
	for end := time.Now().Add(r.lapse()); ; time.Sleep(2 * time.Millisecond) {
		owned := a.Holds(items[0].ID.Event) // before the look: what is adopted after it does not count
		if _, ok := b.told(items[0].Queue, items[0].Position()); ok {
			if owned {
				r.Errorf("attempts may begin at a daemon whose slots another has adopted")
			}
			break
		}
		if time.Now().After(end) {
			r.Fatalf("nobody adopts")
		}
	}
	if a.Owned() {
		r.Errorf("attempts may begin at a daemon that was replaced")
	}
}

func outcomesRace(r *sharedRig) {
	a, b := r.join(), r.join()
	d := a.dest("x")
	var items []store.Item
	for range 20 {
		_, its := a.post(d)
		items = append(items, its...)
	}
	r.replaced(a, b, items...)
	results := make(chan bool, 2*len(items))
	for _, it := range items {
		for _, by := range []*daemon{a, b} {
			go func() {
				s, err := by.deliver(it)
				results <- err == nil && !s[0].Stale
			}()
		}
	}
	n := 0
	for range 2 * len(items) {
		if <-results {
			n++
		}
	}
	if n != len(items) {
		r.Errorf("%d outcomes count of %d deliveries", n, len(items))
	}
	r.counted(b, d, store.Counts{Accepted: int64(len(items)), Delivered: int64(len(items))})
	a.over = true
	_ = a.Close()
}
