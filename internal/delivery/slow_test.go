package delivery

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// naps is a store whose answers a test delays.
type naps struct {
	Store
	mu          sync.Mutex
	due, settle time.Duration
}

func (n *naps) set(due, settle time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.due, n.settle = due, settle
}

func (n *naps) get() (due, settle time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.due, n.settle
}

func (n *naps) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	items, next, err := n.Store.Due(ctx, q, from, until, limit)
	d, _ := n.get()
	time.Sleep(d)
	return items, next, err
}

func (n *naps) Settle(ctx context.Context, now time.Time, o []store.Outcome) ([]store.Settled, error) {
	done, err := n.Store.Settle(ctx, now, o)
	_, d := n.get()
	time.Sleep(d)
	return done, err
}

func (r *rig) naps() *naps {
	n := &naps{}
	r.wrap = func(s Store) Store { n.Store = s; return n }
	return n
}

// TestChangeOvertakesASettle: memory learns of a retry before it learns of the
// failure that the store recorded before it.
func TestChangeOvertakesASettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, f := r.add("acme", "a")
		f.answer = fails
		r.start()
		defer r.close()
		n.set(0, 10*time.Second)
		it := r.accept(id)
		settleDown()
		f.set(nil)
		n.set(0, 0)
		if m := r.move(store.Retry, it[0]); m.Item.Version != 3 {
			t.Fatalf("%+v", m)
		}
		settleDown()
		if len(f.seen()) != 1 {
			t.Error("tried again before its settle is through")
		}
		pass(10 * time.Second)
		r.wantState(it[0], store.Delivered)
		if hits := f.seen(); len(hits) != 2 || hits[1].at != 10*time.Second {
			t.Errorf("%v", hits)
		}
	})
}

// TestSettledWhileARead runs that began before: it must not bring the delivery back.
func TestSettledWhileARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 1 })
		f.answer = takes(time.Second)
		r.start()
		defer r.close()
		settleDown() // the watchdog looks at the start, too
		var items []store.Item
		items = append(items, r.accept(id)...)
		n.set(10*time.Second, 0)
		r.s.mu.Lock()
		r.s.queue(items[0].Queue).spill(store.Position{}) // a read from the start, which sees the first in flight
		r.s.mu.Unlock()
		items = append(items, r.accept(id)...)
		pass(time.Minute)
		if got := f.seen(); len(got) != 2 {
			t.Errorf("%d attempts of 2 deliveries", len(got))
		}
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
	})
}

// TestCancelledWhileARead that saw it pending runs.
func TestCancelledWhileARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		settleDown()
		n.set(10*time.Second, 0)
		r.s.mu.Lock()
		r.s.queue(store.QueueID{Dest: id}).spill(store.Position{})
		r.s.mu.Unlock()
		it := r.accept(id)
		pass(5 * time.Second)
		r.move(store.Cancel, it[0])
		pass(time.Minute)
		if len(f.seen()) != 0 {
			t.Error("a cancelled delivery was tried")
		}
		r.wantState(it[0], store.Cancelled)
	})
}

// TestPausedWhileARead runs: what it brings stays on disk.
func TestPausedWhileARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 1 })
		f.answer = takes(time.Second)
		r.start()
		defer r.close()
		items := r.acceptMany(200, id)
		n.set(10*time.Second, 0)
		pass(35 * time.Second) // half of the window is gone: it is read again
		if q := r.s.known(items[0].Queue); !q.reading {
			t.Fatal("no read is running")
		}
		if err := r.s.Pause(context.Background(), id, "now"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if p := r.positions(); p != 0 {
			t.Errorf("%d positions in memory of a paused destination", p)
		}
		if err := r.s.Resume(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		pass(10 * time.Minute)
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
		if len(f.seen()) != 200 {
			t.Errorf("%d attempts of 200", len(f.seen()))
		}
	})
}

// TestNothingJoinsWhatHangs: beside attempts over age none starts until one succeeds.
func TestNothingJoinsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = takes(10 * time.Millisecond)
		r.start()
		defer r.close()
		r.acceptMany(100, id) // up to 16 at once
		pass(time.Minute)
		var calls atomic.Int32
		f.set(func(ctx context.Context, d destination.Delivery) error {
			if calls.Add(1) == 1 {
				return takes(4*time.Second)(ctx, d)
			}
			return takes(20*time.Second)(ctx, d)
		})
		r.acceptMany(4, id)
		pass(3 * time.Second)
		r.acceptMany(4, id)
		settleDown()
		if n := f.running(); n != 4 {
			t.Errorf("%d in flight, want the 4 that are over age", n)
		}
		pass(time.Second)
		if n := f.running(); n != 7 {
			t.Errorf("%d in flight after a success, want the other 4 beside the 3 that are over age", n)
		}
	})
}

// TestOneDeveloperLeavesRoom: they fill every place with endpoints that worked
// until now; when all hang, half of the places come free for others.
func TestOneDeveloperLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 16, Slow: 16}
		good, g := r.add("healthy", "good")
		var bad []uint32
		var fars []*far
		for i := range 60 {
			id, f := r.add("big", fmt.Sprint("bad", i))
			bad, fars = append(bad, id), append(fars, f)
		}
		r.start()
		defer r.close()
		r.accept(bad...)
		r.accept(good)
		pass(time.Second)
		for _, f := range fars {
			f.set(hang)
		}
		r.acceptMany(10, bad...)
		pass(3 * time.Second)
		r.s.mu.Lock()
		dev := r.s.developers["big"]
		if dev.slowPlaces != 8 || dev.inFlight != 8 {
			t.Errorf("%d slow, %d in flight, want half of 16 each", dev.slowPlaces, dev.inFlight)
		}
		r.s.mu.Unlock()
		for range 20 {
			began := r.since()
			r.accept(good)
			settleDown()
			if hits := g.seen(); hits[len(hits)-1].at != began {
				t.Fatalf("tried at %v, accepted at %v", hits[len(hits)-1].at, began)
			}
			pass(time.Second)
		}
	})
}

// TestSecondPlacesLeaveFirstPlaces: those who hang with many take no more than
// half of the slow budget with them, so that others find a first place there.
func TestSecondPlacesLeaveFirstPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 32, Slow: 16}
		var ids []uint32
		var fars []*far
		for i := range 8 {
			id, f := r.add(fmt.Sprint("dev", i), "a", func(s *Settings) { s.MaxInFlight = 8 })
			f.answer = takes(10 * time.Millisecond)
			ids, fars = append(ids, id), append(fars, f)
		}
		r.start()
		defer r.close()
		r.acceptMany(50, ids...)
		pass(time.Minute)
		for _, f := range fars {
			f.set(hang)
		}
		r.acceptMany(8, ids[:2]...)
		pass(2 * time.Second)
		r.accept(ids[2:]...)
		pass(2 * time.Second)
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		if b := &r.s.budget; b.surplus != 8 || b.slow != 16 {
			t.Errorf("%d slow, %d of them beside others, want 16 and 8", b.slow, b.surplus)
		}
		for _, id := range ids {
			if r.s.dests[id].slowPlaces == 0 {
				t.Errorf("destination %d hangs without a place in the slow budget", id)
			}
		}
	})
}

// TestStuckMovesWhenThereIsRoom: a place in the slow budget that comes free goes to who waits for one.
func TestStuckMovesWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 8, Slow: 2}
		var ids []uint32
		for i := range 3 {
			id, f := r.add(fmt.Sprint("dev", i), "a")
			f.answer = takes(time.Duration(5+5*i) * time.Second)
			ids = append(ids, id)
		}
		r.start()
		defer r.close()
		r.accept(ids...)
		want := func(slow, inFlight int) {
			t.Helper()
			settleDown()
			r.s.mu.Lock()
			defer r.s.mu.Unlock()
			if b := &r.s.budget; b.slow != slow || b.inFlight != inFlight {
				t.Errorf("%v: %d slow, %d in flight, want %d and %d", r.since(), b.slow, b.inFlight, slow, inFlight)
			}
		}
		pass(2 * time.Second)
		want(2, 1)
		pass(4 * time.Second)
		want(2, 0)
		pass(time.Minute)
		want(0, 0)
	})
}

// TestLargeBodyGetsItsTurn though smaller ones of its kind come without end.
func TestLargeBodyGetsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Bytes: 1600 * 4 / 3}
		var others []uint32
		for i := range 40 {
			id, f := r.add(fmt.Sprint("dev", i), "small")
			f.answer = takes(time.Duration(900+i) * time.Millisecond)
			others = append(others, id)
		}
		big, fb := r.add("big", "big")
		r.start()
		defer r.close()
		for range 10 {
			r.acceptSized(2, 90, others...)
			pass(500 * time.Millisecond)
		}
		r.acceptSized(1, 1500, big)
		began := r.since()
		for range 20 {
			r.acceptSized(2, 90, others...)
			pass(500 * time.Millisecond)
		}
		if hits := fb.seen(); len(hits) != 1 || hits[0].at-began > 4*time.Second {
			t.Errorf("offered at %v, tried %v", began, hits)
		}
		pass(5 * time.Minute)
	})
}

// TestLargeBodiesLeaveBytesToSmallOnes: those that hang with large bodies take
// nothing from small ones, and a large one that waits for them takes no turn away.
func TestLargeBodiesLeaveBytesToSmallOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Bytes: 16 << 20}
		var hanging []uint32
		var fars []*far
		for i := range 20 {
			id, f := r.add(fmt.Sprint("hangs", i), "a")
			f.answer = hang
			hanging, fars = append(hanging, id), append(fars, f)
		}
		good, g := r.add("good", "a")
		mixed, m := r.add("mixed", "a", func(s *Settings) { s.MaxInFlight = 8 })
		m.answer = takes(10 * time.Millisecond)
		r.start()
		defer r.close()
		r.acceptMany(20, mixed)
		pass(time.Minute)
		m.set(takes(900 * time.Millisecond))
		r.acceptSized(1, 2<<20, mixed)
		r.acceptSized(1, 2<<20, hanging...)
		for range 30 {
			began := r.since()
			r.accept(good, mixed)
			settleDown()
			for _, f := range []*far{g, m} {
				if hits := f.seen(); hits[len(hits)-1].at != began {
					t.Fatalf("tried at %v, accepted at %v", hits[len(hits)-1].at, began)
				}
			}
			pass(200 * time.Millisecond)
		}
		r.s.mu.Lock()
		if p := &r.s.budget.pools[large]; p.inFlight != p.max || p.slow != p.max || len(p.waiting) == 0 {
			t.Errorf("%d bytes in flight, %d slow of %d, %d wait", p.inFlight, p.slow, p.max, len(p.waiting))
		}
		r.s.mu.Unlock()
		pass(2 * time.Minute)
		for i, f := range fars {
			if len(f.seen()) == 0 {
				t.Errorf("the large body of %d was never tried", i)
			}
		}
	})
}

// slowReads is a store whose bodies take a while to read.
type slowReads struct {
	Store
	mu    sync.Mutex
	takes time.Duration
	began []time.Time
}

func (r *slowReads) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	r.mu.Lock()
	r.began = append(r.began, time.Now())
	r.mu.Unlock()
	time.Sleep(r.takes)
	return r.Store.Event(ctx, day, id)
}

// all returns when each read began.
func (r *slowReads) all() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.began)
}

// slowReaders starts a scheduler with five destinations whose bodies are all read
// from the store, each in that time.
func slowReaders(t *testing.T, takes time.Duration) (*rig, *slowReads, []uint32) {
	r := newRig(t)
	r.limits = Limits{CacheBytes: 1} // nothing is still there from accepting
	reads := &slowReads{takes: takes}
	r.wrap = func(s Store) Store { reads.Store = s; return reads }
	var ids []uint32
	for i := range 5 {
		id, _ := r.add(fmt.Sprint("dev", i), "a")
		ids = append(ids, id)
	}
	r.start()
	return r, reads, ids
}

// TestLargeBodiesAreReadInTurn: one at a time, for a quarter of the time at
// most, and no slower than once a second because of that.
func TestLargeBodiesAreReadInTurn(t *testing.T) {
	for _, tt := range []struct {
		size          int
		takes, spaced time.Duration
	}{
		{largeBody, 100 * time.Millisecond, 400 * time.Millisecond},
		{largeBody, 800 * time.Millisecond, 800*time.Millisecond + largeBodyPause},
		{largeBody - 1, 100 * time.Millisecond, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r, reads, ids := slowReaders(t, tt.takes)
			defer r.close()
			for _, id := range ids {
				r.acceptSized(1, tt.size, id)
			}
			pass(time.Minute)
			began := reads.all()
			if len(began) != len(ids) {
				t.Fatalf("%d reads", len(began))
			}
			for i := range ids[1:] {
				if d := began[i+1].Sub(began[i]); d != tt.spaced {
					t.Errorf("%d bytes, %v: read %d began %v after the one before it, want %v", tt.size, tt.takes, i+1, d, tt.spaced)
				}
			}
		})
	}
}

// TestNobodyWaitsToReadALargeBodyAtAStop: only the read under way ends first.
func TestNobodyWaitsToReadALargeBodyAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, ids := slowReaders(t, 800*time.Millisecond)
		defer r.close()
		r.acceptSized(1, largeBody, ids...)
		pass(100 * time.Millisecond)
		began := r.since()
		r.stop()
		if took := r.since() - began; took > time.Second {
			t.Errorf("stopping took %v", took)
		}
	})
}
