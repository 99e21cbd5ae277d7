package delivery

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestWhoWatchesIsToldOfAttempts that they want, as they end, and from then on.
func TestWhoWatchesIsToldOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, f := r.add("acme", "a", short)
		b, _ := r.add("globex", "b")
		r.start()
		defer r.close()
		r.accept(a, b)
		settleDown()
		w := r.s.Watch(func(k store.DestinationKey) bool { return k.Developer == "acme" })
		f.set(fails)
		it := r.accept(a, b)[0]
		pass(10 * time.Second)
		got, lost := w.Take()
		if len(got) != 3 || lost != 0 || len(w.Wake) != 1 {
			t.Fatalf("%d attempts, %d lost: %+v", len(got), lost, got)
		}
		first, last := got[0], got[2]
		if first.Delivery != it.ID || first.Destination.Name != "a" || first.Type != "test" || first.User != "user2" || first.Class != "transient" ||
			first.Fault != "503" || first.Answer != farSays || first.Tried != 1 || first.State != store.Pending || first.Due.Sub(first.At) != time.Second {
			t.Errorf("first %+v", first)
		}
		if last.State != store.Dead || last.Reason != "attempts used up: 503" || !last.Due.IsZero() || last.Tried != 3 {
			t.Errorf("last %+v", last)
		}
		w.Close()
		w.Close()
		r.accept(a)
		pass(10 * time.Second)
		if got, lost := w.Take(); len(got) != 0 || lost != 0 {
			t.Errorf("told after the end: %+v, %d lost", got, lost)
		}
	})
}

// TestWhoIsSlowLosesAttempts and is told how many, and where.
func TestWhoIsSlowLosesAttempts(t *testing.T) {
	var ws Watchers
	all := func(store.DestinationKey) bool { return true }
	slow, quick := ws.Watch(all), ws.Watch(all)
	for i := range watchMost + 10 {
		ws.Tell(&Attempted{Tried: i})
		if got, _ := quick.Take(); len(got) != 1 || got[0].Tried != i || got[0].Lost != 0 {
			t.Fatalf("the quick one is told %+v", got)
		}
	}
	first, lost := slow.Take()
	if len(first) != watchMost || lost != 10 || first[0].Tried != 0 {
		t.Errorf("%d, then %d lost", len(first), lost)
	}
	for range watchMost + 5 {
		ws.Tell(&Attempted{})
	}
	slow.mu.Lock()
	slow.queue = slow.queue[1:] // room for one
	slow.mu.Unlock()
	ws.Tell(&Attempted{Tried: 99})
	again, lost := slow.Take()
	if last := again[len(again)-1]; last.Tried != 99 || last.Lost != 5 || lost != 0 {
		t.Errorf("behind the lost: %+v, %d lost", last, lost)
	}
}

// TestNobodyWatchesCostsNothing: an attempt allocates nothing more.
func TestNobodyWatchesCostsNothing(t *testing.T) {
	s := New(Options{})
	d := &dest{key: store.DestinationKey{Developer: "acme"}}
	l, j := &lane{dest: d}, &job{}
	ev := &event.Event{}
	o := &store.Outcome{Attempt: &store.Attempt{}}
	e := &policy.Ending{How: policy.Failed, Answer: strings.Repeat("a", 1000)}
	if n := testing.AllocsPerRun(1000, func() { s.tellWatchers(l, j, ev, o, e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNobodyWatches(b *testing.B) {
	s := New(Options{})
	l, j, o, e := &lane{dest: &dest{}}, &job{}, &store.Outcome{Attempt: &store.Attempt{}}, &policy.Ending{}
	b.ReportAllocs()
	for b.Loop() {
		s.tellWatchers(l, j, nil, o, e)
	}
}
