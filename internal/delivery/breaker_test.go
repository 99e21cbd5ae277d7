package delivery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func TestOpenBreakerTriesTheEarliestDueNowAndThen(t *testing.T) {
	for _, frozen := range []bool{false, true} { // then what failed lies in a queue of its own
		t.Run(fmt.Sprint("frozen=", frozen), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { openBreaker(t, frozen) })
		})
	}
}

func openBreaker(t *testing.T, frozen bool) {
	r := newRig(t)
	waits := make([]time.Duration, 200)
	for i := range waits {
		waits[i] = 20 * time.Second
	}
	id, f := r.add("acme", "a", func(s *Settings) { s.Schedule, s.Frozen = retry.Schedule{Waits: waits}, frozen })
	f.answer = fails
	r.start()
	defer r.close()
	var items []store.Item
	for range 30 {
		items = append(items, r.accept(id)...)
		pass(time.Second)
	}
	for r.status(id).Breaker == "closed" {
		pass(time.Second)
		if r.since() > time.Hour {
			t.Fatal("the breaker never opened")
		}
	}
	if s := r.since(); s < time.Minute || s > 3*time.Minute {
		t.Errorf("opened after %v", s)
	}
	// From now on every attempt is that of the delivery that is due first.
	n := len(f.seen())
	f.set(func(_ context.Context, d destination.Delivery) error {
		first, when := "", int64(never)
		for _, it := range items {
			rec, _ := r.record(it)
			if rec.Due < when {
				first, when = it.ID.String(), rec.Due
			}
		}
		if d.ID != first {
			t.Errorf("tried %s, due first is %s", d.ID, first)
		}
		if when > r.now().UnixNano() {
			t.Errorf("tried %v before its due", time.Duration(when-r.now().UnixNano()))
		}
		return errors.New("still down")
	})
	pass(20 * time.Minute)
	hits := f.seen()[n:]
	gap := time.Duration(0)
	for i := 1; i < len(hits); i++ {
		d := hits[i].at - hits[i-1].at
		if d < min(gap, time.Minute) || d > 61*time.Second {
			t.Errorf("attempt %d after %v, the one before after %v", i, d, gap)
		}
		gap = d
	}
	fresh := r.accept(id) // it waits for its turn
	pass(5 * time.Minute)
	if d, _ := r.record(fresh[0]); d.Attempts != 0 {
		t.Errorf("a new delivery had %d attempts before those that are due for longer", d.Attempts)
	}
	if gap != time.Minute || len(hits) < 20 || len(hits) > 30 {
		t.Errorf("%d attempts in 20 m, the last %v after the one before", len(hits), gap)
	}
	if st := r.status(id); st.Breaker != "open" || st.Pending != 31 {
		t.Errorf("%+v", st)
	}
	if n := r.positions(); n != 0 {
		t.Errorf("%d positions in memory behind an open breaker", n)
	}
	f.set(takes(time.Second))
	pass(2 * time.Minute)
	if st := r.status(id); st.Breaker != "closed" || st.Pending != 0 {
		t.Errorf("after it came back: %+v", st)
	}
}

// TestOpenBreakerKeepsNothing in memory of a backlog, and loses nothing of it.
func TestOpenBreakerKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = func(ctx context.Context, d destination.Delivery) error {
			takes(4*time.Second)(ctx, d)
			return errors.New("no")
		}
		r.start()
		defer r.close()
		r.acceptMany(300, id)
		for r.status(id).Breaker == "closed" {
			pass(time.Second)
		}
		settleDown()
		if n := r.positions(); n != 0 {
			t.Errorf("%d positions in memory", n)
		}
		f.set(nil)
		pass(time.Hour)
		if c := r.store.Counts(id); c.Delivered != 300 {
			t.Errorf("%+v", c)
		}
	})
}

func TestThrottlingOpensNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = func(context.Context, destination.Delivery) error {
			return destination.Throttle(errors.New("slow down"), time.Second)
		}
		r.start()
		defer r.close()
		for range 60 {
			r.accept(id)
		}
		pass(30 * time.Minute)
		if st := r.status(id); st.Breaker != "closed" {
			t.Errorf("%+v", st)
		}
	})
}

// TestARestartDoesNotCloseABreakerForAMinute: what has failed for long is tried five times,
// not for another minute, and what is back is delivered at once.
func TestARestartDoesNotCloseABreakerForAMinute(t *testing.T) {
	for name, c := range map[string]struct {
		down time.Duration // before the restart
		each time.Duration // between failures
		back bool          // it answers well after it
		few  bool          // attempts are made after it: five, and probes
	}{
		"still down":    {5 * time.Minute, time.Second / 10, false, true},
		"failed slowly": {5 * time.Minute, 6 * time.Second, false, true},
		"back":          {5 * time.Minute, time.Second / 10, true, false},
		"not known":     {30 * time.Second, time.Second / 10, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a", func(s *Settings) { s.Schedule = retry.Schedule{Waits: []time.Duration{24 * time.Hour}} })
				f.answer = fails
				r.start()
				for began := r.since(); r.since()-began < c.down; pass(c.each) {
					r.accept(id)
				}
				if open := r.status(id).Breaker == "open"; open != (c.down > time.Minute) {
					t.Errorf("before the restart open: %t", open)
				}
				r.stop()
				again := &far{name: "again", rig: r, answer: fails}
				if c.back {
					again.answer = takes(time.Millisecond)
				}
				r.targets[id].Current.Destination = again
				states, err := r.store.Destinations(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				r.targets[id].State = states[0].State
				r.start()
				defer r.close()
				r.acceptMany(1000, id)
				pass(30 * time.Second)
				if n := len(again.seen()); c.few != (n <= 10) || !c.few && n < 1000 {
					t.Errorf("%d attempts in the first 30 s", n)
				}
				if open := r.status(id).Breaker == "open"; open != c.few {
					t.Errorf("after the restart open: %t", open)
				}
			})
		})
	}
}
