package delivery

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestLagIsOfWhatWaitsForTheDaemon alone: 8,000 deliveries are five seconds of work for
// each destination here, and whose fault that is decides whether producers are slowed down.
func TestLagIsOfWhatWaitsForTheDaemon(t *testing.T) {
	type setting struct {
		r  *rig
		id uint32
		f  *far
	}
	throttles := func(context.Context, destination.Delivery) error {
		return destination.Throttle(errors.New("slow down"), time.Second)
	}
	for name, c := range map[string]struct {
		busy   time.Duration // what goroutines wait
		limits Limits
		change func(*Settings)
		before func(*setting) // the 8,000
		after  func(*setting)
		counts bool
	}{
		"too much to do":      {busy: 20 * time.Millisecond, counts: true},
		"processors are free": {busy: 0},
		"they are nearly free": {busy: 900 * time.Microsecond, limits: Limits{InFlight: 1}, change: func(s *Settings) { s.MaxInFlight = 1 }, before: func(s *setting) {
			s.f.set(takes(time.Millisecond))
			s.r.acceptMany(30, s.id)
			pass(time.Second)
		}},
		"the far side is what is slow": {busy: 4 * time.Millisecond},
		"takes one at a time":          {busy: 20 * time.Millisecond, change: func(s *Settings) { s.MaxInFlight = 1 }},
		"limited by its rate":          {busy: 20 * time.Millisecond, change: func(s *Settings) { s.Rate = 1000 }},
		"fails":                        {busy: 20 * time.Millisecond, after: func(s *setting) { s.f.set(fails) }},
		"hangs":                        {busy: 20 * time.Millisecond, after: func(s *setting) { s.f.set(hang) }},
		"throttles":                    {busy: 20 * time.Millisecond, after: func(s *setting) { s.f.set(throttles) }},
		"is paused":                    {busy: 20 * time.Millisecond, after: func(s *setting) { s.r.pause(s.id) }},
		"catches up after a pause":     {busy: 20 * time.Millisecond, before: func(s *setting) { s.r.pause(s.id) }, after: func(s *setting) { s.r.resume(s.id) }},
		"paused with one in flight": {busy: 20 * time.Millisecond, before: func(s *setting) {
			s.r.accept(s.id)
			s.r.pause(s.id)
			time.Sleep(time.Second) // it has succeeded
		}, after: func(s *setting) { s.r.resume(s.id) }},
		"catches up after it throttled": {busy: 20 * time.Millisecond, before: func(s *setting) {
			s.f.set(throttles)
			s.r.accept(s.id)
			settleDown()
			s.f.set(takes(10 * time.Millisecond))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.busy, r.limits = func() time.Duration { return c.busy }, c.limits
				var changes []func(*Settings)
				if c.change != nil {
					changes = append(changes, c.change)
				}
				id, f := r.add("acme", "a", changes...)
				r.start()
				defer r.close()
				r.proveFast(id, f)
				if lag := r.s.Lag(); lag != 0 {
					t.Errorf("behind by %v with nothing to do", lag)
				}
				s := &setting{r, id, f}
				if c.before != nil {
					c.before(s)
				}
				r.acceptMany(8000, id)
				if c.after != nil {
					pass(10 * time.Millisecond)
					c.after(s)
				}
				pass(3 * time.Second)
				lag := r.s.Lag()
				if c.counts && (lag < 2900*time.Millisecond || lag > 3*time.Second) || !c.counts && lag != 0 {
					t.Errorf("behind by %v", lag)
				}
				if c.counts {
					pass(3 * time.Second)
					if lag := r.s.Lag(); lag != 0 {
						t.Errorf("behind by %v when all is delivered", lag)
					}
				}
			})
		})
	}
}

// TestABacklogOfBeforeTheRestartIsNoLag: producers of today do not pay for it.
func TestABacklogOfBeforeTheRestartIsNoLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = hang
		r.start()
		r.acceptMany(8000, id)
		pass(time.Second)
		r.stop()
		f = &far{name: "again", rig: r, answer: takes(10 * time.Millisecond)}
		r.targets[id].Current.Destination = f
		r.busy = func() time.Duration { return 20 * time.Millisecond }
		r.start()
		defer r.close()
		for range 3 {
			pass(time.Second)
			if lag := r.s.Lag(); lag != 0 {
				t.Errorf("behind by %v", lag)
			}
		}
		pass(10 * time.Second)
		r.acceptMany(8000, id) // it has caught up: this is of today
		pass(time.Second)
		if lag := r.s.Lag(); lag < 900*time.Millisecond {
			t.Errorf("behind by %v", lag)
		}
	})
}

// TestABusyRestartEndsNoPace: what is accepted from then on is more than the daemon
// delivers, so that it never catches up, and falls behind for that all the same.
func TestABusyRestartEndsNoPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = hang
		r.start()
		r.acceptMany(8000, id)
		pass(time.Second)
		r.stop()
		r.targets[id].Current.Destination = &far{name: "again", rig: r, answer: takes(10 * time.Millisecond)} // 1,600 a second
		r.busy = func() time.Duration { return 20 * time.Millisecond }
		r.start()
		defer r.close()
		lags := make([]time.Duration, 56)
		for i := range lags { // 14 s
			r.acceptMany(750, id)
			pass(lagEvery)
			lags[i] = r.s.Lag()
		}
		for i, lag := range lags[:20] {
			if lag > 100*time.Millisecond {
				t.Errorf("behind by %v after %v, of what was there before", lag, time.Duration(i+1)*lagEvery)
			}
		}
		if lag := lags[len(lags)-1]; lag < 2*time.Second {
			t.Errorf("behind by %v", lag)
		}
	})
}

// TestGoroutinesThatWaitForAProcessorAreSeen, and those that wait for anything else are not.
func TestGoroutinesThatWaitForAProcessorAreSeen(t *testing.T) {
	p := newProcessors()
	done := make(chan struct{})
	n := 50 * runtime.GOMAXPROCS(0)
	for range n {
		go func() {
			for began := time.Now(); time.Since(began) < 300*time.Millisecond; {
				for spin := time.Now(); time.Since(spin) < time.Millisecond; {
				}
				runtime.Gosched()
			}
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	if wait := p.wait(); wait < busyWait {
		t.Errorf("they waited %v", wait)
	}
}

func (r *rig) pause(id uint32) {
	r.t.Helper()
	if err := r.s.Pause(context.Background(), id, "asked for"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) resume(id uint32) {
	r.t.Helper()
	if err := r.s.Resume(context.Background(), id); err != nil {
		r.t.Fatal(err)
	}
}

// TestOneDestinationThatIsBehindSlowsNobodyDown: it gets more than it takes, in ways that
// look like a daemon with too much to do, and ten others keep up.
func TestOneDestinationThatIsBehindSlowsNobodyDown(t *testing.T) {
	type answer = func(context.Context, destination.Delivery) error
	for name, c := range map[string]struct {
		most   int // in flight
		answer func(began time.Time) answer
	}{
		"one at a time":        {1, func(time.Time) answer { return takes(10 * time.Millisecond) }},
		"just not slow":        {16, func(time.Time) answer { return takes(39 * time.Millisecond) }},
		"slower by and by":     {16, func(began time.Time) answer { return growing(began) }},
		"every other one well": {16, func(time.Time) answer { return alternating() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.busy = func() time.Duration { return 20 * time.Millisecond }
				id, f := r.add("mallory", "a", func(s *Settings) { s.MaxInFlight = c.most })
				var others []uint32
				for i := range 10 {
					other, g := r.add(fmt.Sprint("dev", i), "a")
					g.set(takes(10 * time.Millisecond))
					others = append(others, other)
				}
				r.start()
				defer r.close()
				r.acceptMany(32, others...)
				r.proveFast(id, f)
				f.set(c.answer(time.Now()))
				for range 40 { // 10 s
					r.acceptMany(25, others...)
					r.acceptMany(200, id)
					pass(lagEvery)
					if lag := r.s.Lag(); lag != 0 {
						t.Fatalf("producers are slowed down: %v", lag)
					}
				}
				if behind := r.behind(id); behind < time.Second {
					t.Errorf("it is behind by %v: the test shows nothing", behind)
				}
			})
		})
	}
}

// TestOneBehindThatGetsMostCounts: nearly all is for one destination, and the daemon
// cannot keep up with it.
func TestOneBehindThatGetsMostCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.busy = func() time.Duration { return 20 * time.Millisecond }
		id, f := r.add("acme", "a")
		other, g := r.add("other", "a")
		r.start()
		defer r.close()
		r.proveFast(id, f)
		r.proveFast(other, g)
		for range 12 {
			r.acceptMany(800, id)
			r.acceptMany(100, other)
			pass(lagEvery)
			r.s.Lag()
		}
		if lag := r.s.Lag(); lag < time.Second {
			t.Errorf("behind by %v", lag)
		}
	})
}

func growing(began time.Time) func(context.Context, destination.Delivery) error {
	return func(ctx context.Context, d destination.Delivery) error {
		return takes(time.Since(began)/250)(ctx, d) // 40 ms in the end
	}
}

func alternating() func(context.Context, destination.Delivery) error {
	var n atomic.Int32
	return func(ctx context.Context, d destination.Delivery) error {
		if n.Add(1)%2 == 0 {
			return fails(ctx, d)
		}
		return takes(10*time.Millisecond)(ctx, d)
	}
}

// behind is how far the destination is.
func (r *rig) behind(id uint32) time.Duration {
	now := r.s.lock()
	defer r.s.mu.Unlock()
	return time.Duration(r.s.dests[id].current.behind(now))
}
