package delivery

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// heard gathers what a scheduler tells.
type heard struct {
	mu  sync.Mutex
	all []Notice
}

func (h *heard) tell(n Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, n)
}

func (h *heard) named(name string) (some []Notice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.all {
		if n.Name == name {
			some = append(some, n)
		}
	}
	return some
}

// hourly hands in an event every hour for so long.
func (r *rig) hourly(id uint32, long time.Duration) {
	for end := time.Now().Add(long); time.Now().Before(end); pass(time.Hour) {
		r.accept(id)
	}
}

func TestFailingDestinationIsHeldAfterItsScheduleAndATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := &heard{}
		r.tell = h.tell
		id, f := r.add("acme", "a", func(s *Settings) { s.Frozen = true })
		f.answer = fails
		r.start()
		defer r.close()
		r.hourly(id, 30*time.Hour)
		if st := r.status(id); st.State != "active" {
			t.Fatalf("after 30 h it is %s: %s", st.State, st.Reason)
		}
		r.hourly(id, 2*time.Hour)
		st := r.status(id)
		if st.State != "held" || !strings.HasPrefix(st.Reason, "no attempt has succeeded for 30h5m, ") || !strings.HasSuffix(st.Reason, "; the last: 503") {
			t.Fatalf("after 32 h it is %s: %s", st.State, st.Reason)
		}
		held := h.named(DestinationHeld)
		if len(held) != 1 || !held[0].Since.Equal(r.began) || held[0].Attempts < policy.HoldAttempts || held[0].Destination.Name != "a" {
			t.Errorf("told %+v", held)
		}
		failing := h.named(DestinationFailing)
		if len(failing) != 2 || failing[0].At.Sub(r.began) < 8*time.Hour || failing[0].At.Sub(r.began) > 9*time.Hour ||
			failing[1].At.Sub(r.began) < 16*time.Hour || failing[1].At.Sub(r.began) > 17*time.Hour {
			t.Errorf("told %+v", failing)
		}
		dead := len(h.named(DeliveryDead))
		if dead == 0 {
			t.Error("nothing died before the hold")
		}
		pass(48 * time.Hour) // held: nothing dies any more
		if n := len(h.named(DeliveryDead)); n != dead {
			t.Errorf("%d deliveries died of probes", n-dead)
		}
		f.set(nil)
		pass(2 * time.Hour)
		if st := r.status(id); st.State != "active" || st.Pending != 0 {
			t.Errorf("after it is back: %+v", st)
		}
		if resumed := h.named(DestinationResumed); len(resumed) != 1 || resumed[0].Reason != "a probe succeeded" {
			t.Errorf("told %+v", resumed)
		}
	})
}

// What is not the far side's failure does not hold it, and one success begins anew.
func TestFailingClockCountsFailuresOnly(t *testing.T) {
	quick := func(s *Settings) { s.Schedule = retry.Schedule{Waits: []time.Duration{time.Minute, 10 * time.Minute}} }
	engine := func(context.Context, destination.Delivery) error { return destination.ErrEngine }
	busy := func(context.Context, destination.Delivery) error {
		return destination.Throttle(errors.New("busy"), 20*time.Minute)
	}
	rejects := func(context.Context, destination.Delivery) error { return destination.Reject(errors.New("never")) }
	for _, tt := range []struct {
		name   string
		answer []func(context.Context, destination.Delivery) error // a quarter of an hour each, in turns
		held   bool
	}{
		{"failures", []func(context.Context, destination.Delivery) error{fails}, true},
		{"faults of our own", []func(context.Context, destination.Delivery) error{engine}, false},
		{"429", []func(context.Context, destination.Delivery) error{busy}, false},
		{"a success now and then", []func(context.Context, destination.Delivery) error{fails, fails, fails, nil}, false},
		{"an event it will never take", []func(context.Context, destination.Delivery) error{fails, fails, fails, rejects}, false},
		{"failures for a quarter of the time", []func(context.Context, destination.Delivery) error{fails, engine, engine, engine}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a", quick)
				r.start()
				defer r.close()
				for i := range 12 {
					f.set(tt.answer[i%len(tt.answer)])
					for range 15 {
						r.accept(id)
						pass(time.Minute)
					}
				}
				if st := r.status(id); (st.State == "held") != tt.held {
					t.Errorf("after 3 h it is %s: %s", st.State, st.Reason)
				}
			})
		})
	}
}

// Time alone does not hold: too few failures say too little.
func TestFewFailuresDoNotHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", func(s *Settings) { s.Schedule = retry.Schedule{} })
		f.answer = fails
		r.start()
		defer r.close()
		for i := range policy.HoldAttempts {
			if st := r.status(id); st.State != "active" {
				t.Fatalf("held after %d failures", i)
			}
			r.accept(id)
			pass(2 * time.Hour)
		}
		if st := r.status(id); st.State != "held" {
			t.Errorf("after %d failures it is %s", policy.HoldAttempts, st.State)
		}
	})
}

func TestFailingClockSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		h := &heard{}
		r.tell = h.tell
		id, f := r.add("acme", "a")
		f.answer = fails
		again := func() {
			r.stop()
			ds, err := r.store.Destinations(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			f = &far{name: "again", rig: r, answer: fails}
			r.targets[id].Current.Destination, r.targets[id].State = f, ds[0].State
			time.Sleep(40 * time.Hour) // nobody looks: this does not count
			r.start()
		}
		r.start()
		r.hourly(id, 20*time.Hour)
		again()
		r.hourly(id, 8*time.Hour)
		if st := r.status(id); st.State != "active" {
			t.Fatalf("after 28 h it is %s: %s", st.State, st.Reason)
		}
		r.hourly(id, 5*time.Hour)
		if st := r.status(id); st.State != "held" {
			t.Fatalf("after 33 h it is %s", st.State)
		}
		if n := len(h.named(DestinationFailing)); n != 2 {
			t.Errorf("told %d times that it fails", n)
		}
		again()
		defer r.close()
		if st := r.status(id); st.State != "held" {
			t.Errorf("after a restart it is %s", st.State)
		}
	})
}

// A pause, other settings and a success end the clock, in the store too.
func TestFailingClockEnds(t *testing.T) {
	for how, end := range map[string]func(r *rig, id uint32, f *far){
		"pause":    func(r *rig, id uint32, _ *far) { _ = r.s.Pause(context.Background(), id, "") },
		"settings": func(r *rig, id uint32, _ *far) { r.reload(id, "other", nil) },
		"disabled": func(r *rig, id uint32, _ *far) { r.targets[id].Disabled = true; r.apply() },
		"success":  func(r *rig, id uint32, f *far) { f.set(nil); r.accept(id) },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a")
				f.answer = fails
				r.start()
				defer r.close()
				r.hourly(id, 5*time.Hour)
				if ds, _ := r.store.Destinations(context.Background()); ds[0].State.Failing.Lasted < 3*time.Hour || !ds[0].State.Failing.Since.Equal(r.began) {
					t.Fatalf("stored: %+v", ds[0].State)
				}
				end(r, id, f)
				pass(10 * time.Second)
				if ds, _ := r.store.Destinations(context.Background()); ds[0].State.Failing != (store.Failing{}) {
					t.Errorf("stored: %+v", ds[0].State)
				}
			})
		})
	}
}

// An event that the far side will never take must not keep a hold up.
func TestProbesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = misconfigures
		r.start()
		defer r.close()
		bad := r.accept(id)[0].ID.String()
		settleDown()
		r.accept(id)
		f.set(func(_ context.Context, d destination.Delivery) error {
			if d.ID == bad {
				return errors.New("not this one")
			}
			return nil
		})
		pass(5 * time.Minute)
		if st := r.status(id); st.State != "active" {
			t.Errorf("it is %s: %s", st.State, st.Reason)
		}
	})
}
