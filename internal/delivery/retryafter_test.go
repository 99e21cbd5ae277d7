package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func asks(wait time.Duration) func(context.Context, destination.Delivery) error {
	return func(context.Context, destination.Delivery) error {
		return destination.Throttle(errors.New("answered 429 Too Many Requests"), wait)
	}
}

func TestThrottledWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = asks(10 * time.Minute)
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		if st := r.status(id); st.State != "active" || !st.WaitsUntil.Equal(r.began.Add(10*time.Minute)) || st.Reason != "answered 429 Too Many Requests" {
			t.Errorf("while it waits: %+v", st)
		}
		f.set(nil)
		for range 30 {
			r.accept(id)
		}
		pass(time.Hour)
		hits := f.seen()
		if len(hits) != 32 || hits[1].at != 10*time.Minute {
			t.Errorf("%d attempts, the second at %v, want all but the first from 10 m on", len(hits), hits[1].at)
		}
		if d, as := r.record(it[0]); d.State != store.Delivered || len(as) != 2 || as[0].Class != "throttled" || !as[0].Counted {
			t.Errorf("%+v %+v", d, as)
		}
		if st := r.status(id); !st.WaitsUntil.IsZero() || st.Reason != "" {
			t.Errorf("when it is over: %+v", st)
		}
	})
}

// A status is of the wall clock, which was set meanwhile.
func TestWaitsUntilFollowsTheWallClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = asks(10 * time.Minute)
		r.start()
		defer r.close()
		r.accept(id)
		settleDown()
		r.skew.Store(int64(time.Hour))
		if st := r.status(id); !st.WaitsUntil.Equal(r.began.Add(time.Hour + 10*time.Minute)) {
			t.Errorf("%v", st.WaitsUntil)
		}
	})
}

func TestASuccessEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		r.accept(id) // from here on two at a time
		settleDown()
		var first atomic.Pointer[string] // which of the two begins is open
		f.set(func(ctx context.Context, d destination.Delivery) error {
			if first.CompareAndSwap(nil, &d.ID) {
				time.Sleep(time.Millisecond)
				return asks(6*time.Hour)(ctx, d)
			}
			return takes(time.Second)(ctx, d)
		})
		r.acceptMany(5, id)
		settleDown()
		pass(time.Minute)
		if n := len(f.seen()); n != 1+5 {
			t.Errorf("%d attempts, want all six: one of them succeeded after another was asked to wait", n)
		}
		pass(6 * time.Hour)
		if hits := f.seen(); len(hits) != 7 || hits[6].id != *first.Load() || hits[6].at < 6*time.Hour {
			t.Errorf("%v: the delivery that was asked to wait comes last, when its own wait is over", hits)
		}
	})
}

// Third-party kinds may pass on what they were told, whatever it is.
func TestAnAbsurdWaitIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = asks(1764489600 * time.Second)
		r.start()
		defer r.close()
		r.accept(id)
		settleDown()
		if st := r.status(id); !st.WaitsUntil.IsZero() {
			t.Errorf("%+v", st)
		}
		f.set(nil)
		r.accept(id)
		settleDown()
		pass(time.Minute)
		hits := f.seen()
		if len(hits) != 3 || hits[1].at != 0 || hits[2].at != 30*time.Second {
			t.Errorf("%v, want the second at once, the first again when its schedule says so", at(hits))
		}
	})
}

func TestAPersonEndsTheWait(t *testing.T) {
	ctx := context.Background()
	for name, act := range map[string]func(r *rig, id uint32, throttled, waiting store.Item) error{
		"resume": func(r *rig, id uint32, _, _ store.Item) error { return r.s.Resume(ctx, id) },
		"retry":  func(r *rig, _ uint32, it, _ store.Item) error { return r.move(store.Retry, it).Err },
		"rebind": func(r *rig, id uint32, _, _ store.Item) error { _, err := r.s.Rebind(ctx, id); return err },
		"test":   func(r *rig, id uint32, _, _ store.Item) error { r.s.TryNow(id); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a")
				f.answer = asks(20 * time.Hour)
				r.start()
				defer r.close()
				throttled := r.accept(id)[0]
				settleDown()
				waiting := r.accept(id)[0]
				pass(time.Minute)
				if n := len(f.seen()); n != 1 {
					t.Fatalf("%d attempts before anybody did anything", n)
				}
				if err := act(r, id, throttled, waiting); err != nil {
					t.Fatal(err)
				}
				settleDown()
				if hits := f.seen(); len(hits) != 2 || hits[1].at != time.Minute {
					t.Errorf("%v, want one attempt at once, which is asked to wait again", at(hits))
				}
				if st := r.status(id); !st.WaitsUntil.Equal(r.began.Add(20*time.Hour + time.Minute)) {
					t.Errorf("waits until %v, want what the far side said last", st.WaitsUntil)
				}
			})
		})
	}
}

// A resume ends the wait of the destination. Each delivery keeps the time that its own
// answer gave it, asked for or by its schedule: a retry by hand moves that.
func TestAResumeMovesNoDelivery(t *testing.T) {
	for name, answer := range map[string]func(context.Context, destination.Delivery) error{
		"that was asked to wait": asks(20 * time.Hour), "that failed": fails,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a")
				f.answer = answer
				r.start()
				defer r.close()
				it := r.accept(id)[0]
				settleDown()
				f.set(nil)
				before, _ := r.record(it)
				if err := r.s.Resume(context.Background(), id); err != nil {
					t.Fatal(err)
				}
				settleDown()
				if after, _ := r.record(it); len(f.seen()) != 1 || after.Due != before.Due || !r.status(id).WaitsUntil.IsZero() {
					t.Errorf("%d attempts, due %d, was %d; %+v", len(f.seen()), after.Due, before.Due, r.status(id))
				}
				r.move(store.Retry, it)
				settleDown()
				r.wantState(it, store.Delivered)
			})
		})
	}
}

// What nobody asked for must not look like a person's doing: frozen settings
// that are gone have their deliveries rebound by the engine itself.
func TestARebindOfTheEngineEndsNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", func(s *Settings) { s.Frozen = true })
		f.answer = fails
		r.start()
		r.accept(id)
		settleDown()
		r.stop()
		f = &far{name: "b", rig: r, answer: asks(20 * time.Hour)}
		now := *r.targets[id].Current
		now.Hash, now.Destination = now.Hash+1, f
		r.targets[id].Current = &now
		r.start()
		defer r.close()
		r.accept(id)
		pass(time.Hour) // the frozen one is due, and its settings are gone
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d attempts, want the one that was asked to wait", n)
		}
	})
}
