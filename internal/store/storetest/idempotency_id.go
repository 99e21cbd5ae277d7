package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// idKeyCases are about keys that are the id of an event, as an export gives them.
func idKeyCases() []scenario {
	return []scenario{
		{"the id of an event is a known key", 0, idKnown},
		{"the id of an event is known as long as the event", 0, idAges},
		{"the id of an event with another body", 0, idMismatch},
		{"the id of another developer's event", 0, idScope},
		{"the id of an event that was erased", 0, idErased},
		{"the id of an event in flight", needStall | needBubble, idInFlight},
	}
}

func idKnown(r *rig) {
	d, other := r.dest(), r.dest()
	plain := r.append(r.keyed("", "body", d))[0]
	keyed := r.append(r.keyed("key", "other body", d, other))[0]
	for range 2 {
		for _, a := range []store.Appended{plain, keyed} {
			body := "body"
			if a.ID == keyed.ID {
				body = "other body"
			}
			r.duplicates(r.keyed(a.ID.String(), body, other), a)
			twice := r.try(r.keyed(a.ID.String(), body, other), r.keyed(a.ID.String(), body, other))
			if !twice[0].Duplicate || !twice[1].Duplicate {
				r.Errorf("twice in one batch: %+v", twice)
			}
		}
		r.reopen()
	}
	if n := len(r.events(r.s, store.EventQuery{})); n != 2 {
		r.Errorf("%d events, want 2", n)
	}
	// What no event has is a key as any other.
	r.append(r.keyed("019f1d89-0000-7000-8000-000000000002", "body", d))
	r.append(r.keyed("9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d", "body", d))
}

func idAges(r *rig) {
	d := r.dest()
	keep := store.Retention{Events: 3 * 24 * time.Hour, Attempts: 6 * 24 * time.Hour, Idempotency: 24 * time.Hour}
	first := r.append(r.keyed("key", "body", d))[0]
	again := func() *store.Entry { return r.keyed(first.ID.String(), "body", d) }
	for range 6 {
		r.advance(24 * time.Hour)
		_, err := r.s.Retain(r.ctx, r.now, keep, nil)
		r.must("retain", err)
		r.duplicates(again(), first)
	}
	r.advance(24 * time.Hour)
	_, err := r.s.Retain(r.ctx, r.now, keep, nil)
	r.must("retain", err)
	if got := r.try(again())[0]; got.Err != nil || got.Duplicate {
		r.Errorf("the id of an event that retention took: %+v", got)
	}
}

func idMismatch(r *rig) {
	d := r.dest()
	first := r.append(r.keyed("", "body", d))[0]
	r.wants("another body", r.try(r.keyed(first.ID.String(), "another", d))[0].Err, store.ErrIdempotencyMismatch)
	r.duplicates(r.keyed(first.ID.String(), "body", d), first)
}

func idScope(r *rig) {
	d := r.dest()
	first := r.append(r.keyed("", "body", d))[0]
	e := r.keyed(first.ID.String(), "body", d)
	e.Event.Developer = "globex"
	if second := r.append(e)[0]; second.ID == first.ID {
		r.Errorf("another developer was told of %v", first.ID)
	}
}

func idErased(r *rig) {
	d := r.dest()
	first := r.append(r.keyed("", "body", d))[0]
	_, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "user-1", By: "test"}, nil)
	r.must("erase", err)
	first.Reference = ""
	r.duplicates(r.keyed(first.ID.String(), "body", d), first)
	r.duplicates(r.keyed(first.ID.String(), "nobody knows what it was", d), first)
}

// idInFlight: who saw an event in a list before it was durable is told that it is known
// only once it is.
func idInFlight(r *rig) {
	d := r.dest()
	release := r.h.Stall(r, r.s)
	var first, again []store.Appended
	var errs [2]error
	var wg sync.WaitGroup
	var done atomic.Bool
	wg.Go(func() { first, errs[0] = r.s.Append(r.ctx, r.now, []*store.Entry{r.keyed("", "body", d)}) })
	synctest.Wait()
	if seen := r.events(r.s, store.EventQuery{}); len(seen) == 1 {
		e := r.keyed(seen[0].Event.ID.String(), "body", d)
		wg.Go(func() {
			again, errs[1] = r.s.Append(r.ctx, r.now, []*store.Entry{e})
			done.Store(true)
		})
		synctest.Wait()
		if done.Load() {
			r.Errorf("it was known before it was durable")
		}
	}
	release()
	wg.Wait()
	r.must("append", errors.Join(errs[0], errs[1]))
	if again != nil && (!again[0].Duplicate || again[0].ID != first[0].ID) {
		r.Errorf("first %+v, again %+v", first[0], again[0])
	}
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
}
