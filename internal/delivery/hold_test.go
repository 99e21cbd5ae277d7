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

func misconfigures(context.Context, destination.Delivery) error {
	return destination.Misconfigure(errors.New("no such bucket"))
}

func TestHoldProbesAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = misconfigures
		r.start()
		defer r.close()
		first := r.acceptMany(50, id)
		settleDown()
		if n := r.positions(); n != 0 {
			t.Errorf("%d positions in memory of a held destination", n)
		}
		r.acceptMany(100, id)
		settleDown()
		if st := r.status(id); st.State != "held" || st.Reason != "no such bucket" || st.Pending != 150 {
			t.Fatalf("%+v", st)
		}
		pass(10 * time.Hour)
		hits := f.seen()
		wait := time.Minute
		for i := 1; i < len(hits); i++ {
			if hits[i].id != first[0].ID.String() || hits[i].attempt != 1 {
				t.Errorf("probe %d is of %s, attempt %d", i, hits[i].id, hits[i].attempt)
			}
			if d := hits[i].at - hits[i-1].at; d != wait {
				t.Errorf("probe %d after %v, want %v", i, d, wait)
			}
			wait = min(2*wait, time.Hour)
		}
		if n := len(hits); n < 13 || n > 16 {
			t.Errorf("%d probes in 10 h", n-1)
		}
		if d, _ := r.record(first[0]); d.Attempts != 0 || d.Due != first[0].Due {
			t.Errorf("%+v", d)
		}
		if n := r.positions(); n != 0 {
			t.Errorf("%d positions in memory of a held destination", n)
		}
		f.set(nil)
		pass(time.Hour)
		if st := r.status(id); st.State != "active" || st.Pending != 0 || st.Reason != "" {
			t.Errorf("%+v", st)
		}
		if ds, _ := r.store.Destinations(context.Background()); ds[0].State.Held {
			t.Error("the store does not know that the hold is over")
		}
	})
}

func TestProbeCountsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = misconfigures
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		f.set(fails) // now it is down altogether
		pass(24 * time.Hour)
		if d, as := r.record(it[0]); d.State != store.Pending || d.Attempts != 0 || len(as) < 20 {
			t.Errorf("%+v, %d attempts", d, len(as))
		}
		if st := r.status(id); st.State != "held" || st.Breaker != "closed" {
			t.Errorf("%+v", st)
		}
	})
}

func TestHoldSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = misconfigures
		r.start()
		it := r.accept(id)
		settleDown()
		r.stop()
		ds, err := r.store.Destinations(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if st := ds[0].State; !st.Held || st.Reason != "no such bucket" || st.Settings != r.targets[id].Current.Hash || !st.Since.Equal(r.began) {
			t.Fatalf("stored: %+v", st)
		}
		f = &far{name: "again", rig: r}
		r.targets[id].Current.Destination, r.targets[id].State = f, ds[0].State
		r.start()
		pass(59 * time.Second)
		if len(f.seen()) > 0 || r.status(id).State != "held" {
			t.Errorf("%v %+v", f.seen(), r.status(id))
		}
		r.stop()
		// Other settings: the hold is over.
		f = &far{name: "mended", rig: r}
		r.targets[id].Current.Destination = f
		r.targets[id].Current.Hash++
		r.start()
		defer r.close()
		settleDown()
		r.wantState(it[0], store.Delivered)
		if ds, _ := r.store.Destinations(context.Background()); ds[0].State.Held {
			t.Error("the store does not know that the hold is over")
		}
	})
}

func TestHoldEndsByHandAndByReload(t *testing.T) {
	for _, how := range []string{"by hand", "reload"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, f := r.add("acme", "a")
			f.answer = misconfigures
			r.start()
			defer r.close()
			it := r.accept(id)
			pass(10 * time.Second)
			if how == "reload" {
				r.reload(id, "mended", nil)
			} else {
				f.set(nil)
				if err := r.s.Resume(context.Background(), id); err != nil {
					t.Fatal(err)
				}
			}
			settleDown()
			r.wantState(it[0], store.Delivered)
		})
	}
}

// TestHoldIsStoredHowever long the store refuses, and only what is newest.
func TestHoldIsStoredHoweverLongItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var broken atomic.Bool
		broken.Store(true)
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, state: func() error {
				if broken.Load() {
					return errors.New("disk")
				}
				return nil
			}}
		}
		id, f := r.add("acme", "a")
		f.answer = misconfigures
		r.start()
		defer r.close()
		r.accept(id)
		settleDown()
		if err := r.s.Pause(context.Background(), id, "by hand"); err == nil {
			t.Error("a pause that is not durable was reported as made")
		}
		pass(time.Hour)
		broken.Store(false)
		pass(time.Minute)
		ds, _ := r.store.Destinations(context.Background())
		if st := ds[0].State; !st.Paused || !st.Held || st.Reason != "by hand" {
			t.Errorf("%+v", st)
		}
	})
}
