package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// idle is how many workers wait for a call.
func (r *rig) idle() int {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return len(r.s.workers.idle)
}

// TestWorkerMakesTheNextCall, and goes home when for some minutes there is none.
// That none stays after Stop is what synctest sees to.
func TestWorkerMakesTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, _ := r.add("acme", "a")
		b, _ := r.add("acme", "b")
		r.start()
		defer r.close()
		for range 3 {
			items := append(r.accept(a), r.accept(b)...)
			synctest.Wait()
			for _, it := range items {
				r.wantState(it, store.Delivered)
			}
			if n := r.idle(); n < 1 || n > 2 {
				t.Fatalf("%d workers wait after the calls of two destinations, want 1 or 2", n)
			}
		}
		pass(3 * time.Minute)
		synctest.Wait()
		if n := r.idle(); n != 0 {
			t.Errorf("%d workers wait still after minutes without a call", n)
		}
		it := r.accept(a)[0]
		synctest.Wait()
		r.wantState(it, store.Delivered)
	})
}

// TestIdleWorkersAreBounded, and those that were needed of late stay.
func TestIdleWorkersAreBounded(t *testing.T) {
	var w workers
	all := make([]chan *call, idleMost+1)
	for i := range all {
		all[i] = make(chan *call, 1)
		w.park(all[i], false)
	}
	if _, open := <-all[idleMost]; open || len(w.idle) != idleMost {
		t.Fatalf("%d workers wait, want %d and the next one dismissed", len(w.idle), idleMost)
	}
	w.dismiss(w.unused) // who was parked since the last look may be needed still
	if len(w.idle) != idleMost {
		t.Fatalf("%d workers are left after their first look, want all", len(w.idle))
	}
	one, two := w.take(), w.take()
	if one != all[idleMost-1] || two != all[idleMost-2] {
		t.Error("the worker that waits since last is not the first to be taken")
	}
	w.park(one, false)
	w.park(two, false)
	w.dismiss(w.unused)
	if len(w.idle) != 2 || w.idle[0] != one || w.idle[1] != two {
		t.Errorf("%d workers are left, want the two that were needed", len(w.idle))
	}
	w.park(make(chan *call, 1), true)
	if len(w.idle) != 2 {
		t.Error("a worker waits after the stop")
	}
}
