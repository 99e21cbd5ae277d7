package delivery

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// allHits are the attempts of several far sides, in order.
func allHits(fars ...*far) (hits []hit) {
	for _, f := range fars {
		hits = append(hits, f.seen()...)
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return int(a.at - b.at) })
	return hits
}

// spaced checks that attempts are as far from each other as they must be.
func spaced(t *testing.T, hits []hit, apart time.Duration) {
	t.Helper()
	for i := 1; i < len(hits); i++ {
		if hits[i].at-hits[i-1].at < apart {
			t.Fatalf("attempts of %s and %s at %v and %v, want %v between them", hits[i-1].name, hits[i].name, hits[i-1].at, hits[i].at, apart)
		}
	}
}

// A developer's destinations share the allowance evenly, use all of it, and take
// nothing from other developers.
func TestAttemptsOfADeveloperAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{PerDeveloper: 10}
		var ids []uint32
		var fars []*far
		for i := range 30 {
			id, f := r.add("acme", fmt.Sprint("d", i))
			if i%3 == 0 {
				f.answer = fails // their retries are attempts, too
			}
			ids, fars = append(ids, id), append(fars, f)
		}
		other, o := r.add("globex", "a")
		r.start()
		defer r.close()
		pass(time.Minute) // idling saves up nothing
		began := r.since()
		r.acceptMany(4, ids...)
		for i := range 10 {
			pass(time.Second)
			at := r.since()
			r.accept(other)
			settleDown()
			if hits := o.seen(); len(hits) != i+1 || hits[i].at != at {
				t.Fatalf("another developer's event was tried at %v, accepted at %v", hits, at)
			}
		}
		hits := allHits(fars...)
		spaced(t, hits, 100*time.Millisecond)
		if n := len(hits); n < 99 || n > 101 || hits[0].at != began {
			t.Errorf("%d attempts in 10 s, the first at %v, accepted at %v", n, hits[0].at, began)
		}
		of := map[string]int{}
		for i, h := range hits {
			if of[h.name]++; i < 30 && of[h.name] > 1 {
				t.Fatalf("%s came twice before all had come once", h.name)
			}
		}
		pass(24 * time.Hour)
		spaced(t, allHits(fars...), 100*time.Millisecond)
		for i, f := range fars {
			if i%3 != 0 && len(f.seen()) != 4 {
				t.Errorf("%s had %d attempts, want 4", f.name, len(f.seen()))
			}
		}
	})
}

// Each delivery of a batch is one attempt.
func TestAllowanceCountsTheDeliveriesOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{PerDeveloper: 10}
		id, b := r.bulk(50)
		b.far.answer = nil
		small, f := r.add("acme", "small")
		r.start()
		defer r.close()
		began := r.since()
		r.acceptMany(100, id)
		r.acceptMany(10, small)
		for range 20 {
			pass(500 * time.Millisecond)
			n := len(b.seen()) + len(f.seen())
			for _, size := range b.batches() {
				n += size
			}
			if most := int((r.since()-began)/(100*time.Millisecond)) + 50; n > most {
				t.Fatalf("%d attempts after %v", n, r.since()-began)
			}
		}
		pass(time.Minute)
		sum := len(b.seen()) + len(f.seen())
		for _, size := range b.batches() {
			sum += size
		}
		if sum != 110 || len(b.batches()) == 0 {
			t.Errorf("%d delivered, in batches of %v", sum, b.batches())
		}
	})
}

// Bodies that wait for bytes wait for the allowance too, without holding up those
// of others behind them, and without losing their place.
func TestAllowanceHoldsForWhatWaitsForBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Bytes: 16 << 20, PerDeveloper: 5} // 12 MiB of large bodies
		free := make(chan struct{})
		first, f := r.add("first", "a")
		f.answer = func(context.Context, destination.Delivery) error { <-free; return nil }
		acme, a := r.add("acme", "large")
		busy, b := r.add("acme", "small")
		behind, h := r.add("behind", "a")
		r.start()
		defer r.close()
		r.acceptSized(1, 9<<20, first)
		settleDown()
		r.acceptSized(1, 8<<20, acme) // finds no room beside the first
		settleDown()
		r.acceptMany(20, busy) // and these use the allowance up
		pass(50 * time.Millisecond)
		r.acceptSized(1, 4<<20, behind)
		pass(50 * time.Millisecond)
		if len(a.seen()) != 0 || len(b.seen()) != 1 || len(h.seen()) != 0 {
			t.Errorf("large %v, small %v, behind %v", a.seen(), b.seen(), h.seen())
		}
		close(free)
		settleDown()
		if len(a.seen()) != 0 || len(h.seen()) != 1 {
			t.Errorf("large %v, behind %v: who waits for the allowance holds up others", a.seen(), h.seen())
		}
		pass(100 * time.Millisecond)
		if len(a.seen()) != 1 || len(b.seen()) != 1 {
			t.Errorf("large %v, small %v: the large body has lost its place", a.seen(), b.seen())
		}
		pass(time.Minute)
		spaced(t, allHits(a, b), 200*time.Millisecond)
		if len(b.seen()) != 20 {
			t.Errorf("%d small ones", len(b.seen()))
		}
	})
}

// A timer that fires late costs no throughput, and idling saves up nothing.
func TestAllowanceMakesUpForALateTimer(t *testing.T) {
	s := New(Options{Limits: Limits{PerDeveloper: 100}})
	d := s.dest(1, store.DestinationKey{Developer: "acme", Name: "a", Kind: "fake"})
	l := d.lane(1)
	const ms = int64(time.Millisecond)
	s.spendAllowance(d.dev, 1, instant{mono: 1000 * ms})
	s.ring.set(l, true)
	s.renewAllowance(d.dev) // at 1014
	s.spendAllowance(d.dev, 1, instant{mono: 1014 * ms})
	if at := d.dev.allowance.rate.At; at != 1020*ms {
		t.Errorf("the next attempt is at %d ms, want 1020", at/ms)
	}
	s.ring.set(l, false)
	s.renewAllowance(d.dev) // nobody waits
	s.spendAllowance(d.dev, 1, instant{mono: 1034 * ms})
	if at := d.dev.allowance.rate.At; at != 1044*ms {
		t.Errorf("the next attempt is at %d ms, want 1044", at/ms)
	}
}
