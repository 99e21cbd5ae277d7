package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// counted counts the reads of the store, of which none fails.
func (r *rig) counted() (dues, bodies *atomic.Int64) {
	dues, bodies = new(atomic.Int64), new(atomic.Int64)
	r.wrap = func(s Store) Store {
		return &faulty{Store: s, due: func() error { dues.Add(1); return nil }, body: func() error { bodies.Add(1); return nil }}
	}
	return dues, bodies
}

// proveFast has a destination show what it can: 16 at a time, 10 ms each.
func (r *rig) proveFast(id uint32, f *far) {
	r.t.Helper()
	f.set(takes(10 * time.Millisecond))
	for range 10 {
		r.acceptMany(16, id)
		pass(time.Second)
	}
	settleDown()
	if n := r.positions(); n != 0 {
		r.t.Fatalf("%d still wait", n)
	}
}

// TestAFastDestinationFallsBehindInMemory: what comes at once for one that takes 1,600 a
// second is not read back from the disk, neither the positions nor the bodies.
func TestAFastDestinationFallsBehindInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		dues, bodies := r.counted()
		r.start()
		defer r.close()
		r.proveFast(id, f)
		dues.Store(0)
		r.acceptMany(4000, id)
		if n := r.positions(); n != 4000-16 {
			t.Errorf("%d positions in memory", n)
		}
		pass(3 * time.Second)
		if c := r.store.Counts(id); c.Pending != 0 || dues.Load() != 0 || bodies.Load() != 0 {
			t.Errorf("%d pending, %d reads of positions, %d of bodies", c.Pending, dues.Load(), bodies.Load())
		}
	})
}

// TestBodiesOfWhatIsReadBackSoonAreKept: beyond its window a fast destination costs reads
// of positions, hundreds at a time, and none of bodies.
func TestBodiesOfWhatIsReadBackSoonAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		dues, bodies := r.counted()
		r.start()
		defer r.close()
		r.proveFast(id, f)
		dues.Store(0)
		r.acceptMany(8000, id)
		if n := r.positions(); n != 6400 { // which it takes in windowTime: 16 at once, each in 10 ms
			t.Errorf("%d positions in memory", n)
		}
		pass(6 * time.Second)
		if c := r.store.Counts(id); c.Pending != 0 || dues.Load() == 0 || dues.Load() > 20 || bodies.Load() != 0 {
			t.Errorf("%d pending, %d reads of positions, %d of bodies", c.Pending, dues.Load(), bodies.Load())
		}
	})
}

// TestWhatIsHealthyNoMoreHoldsNoMoreThanOthers: a destination that filled a large window
// and then hangs, fails or wants to be left alone gives it back, and nothing is lost.
func TestWhatIsHealthyNoMoreHoldsNoMoreThanOthers(t *testing.T) {
	for name, answer := range map[string]func(context.Context, destination.Delivery) error{
		"hangs": hang, "fails": fails,
		"throttles": func(context.Context, destination.Delivery) error {
			return destination.Throttle(errors.New("slow down"), time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a")
				r.start()
				defer r.close()
				r.proveFast(id, f)
				f.set(answer)
				r.acceptMany(3000, id)
				pass(5 * time.Second)
				if n := r.positions(); n > windowSize {
					t.Errorf("%d positions in memory", n)
				}
				f.set(nil)
				pass(time.Hour)
				if c := r.store.Counts(id); c.Pending != 0 || c.Delivered != 3160 {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// TestALargeWindowLeavesRoomForOthers: who falls behind later has a large one, too.
func TestALargeWindowLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Window: 8000}
		var fast []uint32
		var fars []*far
		for i := range 4 {
			id, f := r.add("acme", fmt.Sprint("fast", i))
			fast, fars = append(fast, id), append(fars, f)
		}
		r.start()
		defer r.close()
		for i, id := range fast {
			r.proveFast(id, fars[i])
		}
		for _, id := range fast {
			before := r.positions()
			r.acceptMany(5000, id)
			if n := r.positions() - before; n < 400 || n > 1000 {
				t.Errorf("%d positions beside %d of others", n, before)
			}
		}
	})
}

// TestLargeWindowsLeaveHalfOfThePositions to those who have small ones.
func TestLargeWindowsLeaveHalfOfThePositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Window: 1000}
		var fast []uint32
		var fars []*far
		for i := range 3 {
			id, f := r.add("acme", fmt.Sprint("fast", i))
			fast, fars = append(fast, id), append(fars, f)
		}
		slow, f := r.add("acme", "slow")
		f.answer = takes(time.Minute)
		r.start()
		defer r.close()
		for i, id := range fast {
			r.proveFast(id, fars[i])
		}
		r.acceptMany(2000, fast...)
		if n := r.positions(); n > 500+len(fast)*windowSize {
			t.Errorf("%d of 1000 positions in memory", n)
		}
		before := r.positions()
		r.acceptMany(100, slow)
		if n := r.positions() - before; n != windowSize {
			t.Errorf("%d positions of one that is slow", n)
		}
	})
}
