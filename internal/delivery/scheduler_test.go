package delivery

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func TestDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		r.start()
		defer r.close()
		it := r.accept(a, b)
		settleDown()
		if r.since() != 0 {
			t.Errorf("delivering took %v of waiting", r.since())
		}
		for i, f := range []*far{fa, fb} {
			if hits := f.seen(); len(hits) != 1 || hits[0].attempt != 1 || hits[0].id != it[i].ID.String() {
				t.Errorf("%s saw %v", f.name, hits)
			}
			d, as := r.record(it[i])
			if d.State != store.Delivered || len(as) != 1 || as[0].Class != "delivered" || !as[0].Counted || as[0].Code != 200 {
				t.Errorf("%s: %+v %+v", f.name, d, as)
			}
		}
	})
}

// TestRetriesAtTheirDueTimes runs the default schedule, 27 h 20 m, in fake time.
func TestRetriesAtTheirDueTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = fails
		r.start()
		defer r.close()
		it := r.accept(id)
		pass(28 * time.Hour)
		var want []time.Duration
		at0 := time.Duration(0)
		want = append(want, 0)
		for w := 30 * time.Second; len(want) < 9; w *= 3 {
			at0 += w
			want = append(want, at0)
		}
		if got := at(f.seen()); !slices.Equal(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		if d, as := r.record(it[0]); d.State != store.Dead || d.Reason != "attempts used up: 503" || len(as) != 9 || d.Attempts != 9 {
			t.Errorf("%+v with %d attempts", d, len(as))
		}
	})
}

func TestShutdownBurnsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = hang
		r.start()
		it := r.accept(id)
		pass(time.Second)
		began := r.since()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		r.s.Stop(ctx)
		if took := r.since() - began; took != 10*time.Second {
			t.Errorf("stopping took %v, want the grace of 10 s", took)
		}
		d, as := r.record(it[0])
		if d.State != store.Pending || d.Attempts != 0 || d.Due != it[0].Due || len(as) != 1 || as[0].Class != "interrupted" || as[0].Counted {
			t.Errorf("%+v %+v", d, as)
		}
		if f.closes() != 1 {
			t.Errorf("closed %d times", f.closes())
		}
		f2 := &far{name: "again", rig: r}
		r.targets[id].Current.Destination = f2
		r.start()
		defer r.close()
		settleDown()
		if hits := f2.seen(); len(hits) != 1 || hits[0].attempt != 1 {
			t.Errorf("after the restart: %v", hits)
		}
		r.wantState(it[0], store.Delivered)
	})
}

func TestCancelInFlight(t *testing.T) {
	for _, delivered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, f := r.add("acme", "a")
			release := make(chan error, 1)
			f.answer = func(context.Context, destination.Delivery) error { return <-release }
			r.start()
			defer r.close()
			it := r.accept(id)
			settleDown()
			if m := r.move(store.Cancel, it[0]); m.Err != nil {
				t.Fatal(m.Err)
			}
			want := store.Delivered
			if !delivered {
				release <- context.DeadlineExceeded
				want = store.Cancelled
			} else {
				release <- nil
			}
			pass(time.Hour)
			r.wantState(it[0], want)
			if n := len(f.seen()); n != 1 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

func TestRetryInFlightWaitsForTheAttempt(t *testing.T) {
	for _, delivered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, f := r.add("acme", "a")
			release := make(chan error, 2)
			f.answer = func(context.Context, destination.Delivery) error { return <-release }
			r.start()
			defer r.close()
			it := r.accept(id)
			settleDown()
			r.move(store.Retry, it[0])
			settleDown()
			if n := len(f.seen()); n != 1 {
				t.Fatalf("%d attempts while the first is in flight", n)
			}
			want := 1
			if !delivered {
				release <- context.DeadlineExceeded
				want = 2
			}
			release <- nil
			settleDown()
			if n := len(f.seen()); n != want {
				t.Errorf("%d attempts, want %d", n, want)
			}
			r.wantState(it[0], store.Delivered)
		})
	}
}

func TestCancelAndRetryWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = takes(time.Minute / 4)
		r.start()
		defer r.close()
		first := r.accept(id)
		waiting := r.accept(id)
		settleDown()
		if m := r.move(store.Cancel, waiting[0]); m.To != store.Cancelled {
			t.Fatalf("%+v", m)
		}
		pass(time.Hour)
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d attempts, want that of the first alone", n)
		}
		r.wantState(first[0], store.Delivered)
		r.move(store.Retry, waiting[0])
		pass(time.Minute)
		r.wantState(waiting[0], store.Delivered)
		r.move(store.Retry, first[0]) // what is delivered can be sent again
		pass(time.Minute)
		if n := len(f.seen()); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
	})
}

// Why a destination is paused names nobody who is erased, after a restart either.
func TestAPauseForgetsTheErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, _ := r.add("acme", "a")
		same, _ := r.add("acme", "b")
		other, _ := r.add("globex", "a")
		r.start()
		for d, why := range map[uint32]string{id: "user-7 asked", same: "user-77 asked", other: "user-7 asked"} {
			if err := r.s.Pause(t.Context(), d, why); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Hour)
		if err := r.s.ForgetUser(t.Context(), "acme", "user-7"); err != nil {
			t.Fatal(err)
		}
		if st := r.status(id); st.State != "paused" || st.Reason != "[erased]" || !st.Since.Equal(r.began) {
			t.Errorf("%+v", st)
		}
		stored, err := r.store.Destinations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range stored {
			if want := map[uint32]string{id: "[erased]", same: "user-77 asked", other: "user-7 asked"}[d.ID]; d.State.Reason != want {
				t.Errorf("%s/%s is stored as paused because %q, want %q", d.Developer, d.Name, d.State.Reason, want)
			}
		}
		r.close()
	})
}

func TestPauseAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, _ := r.add("acme", "a")
		r.start()
		if err := r.s.Pause(context.Background(), id, "maintenance"); err != nil {
			t.Fatal(err)
		}
		it := r.accept(id)
		pass(3 * time.Hour)
		if st := r.status(id); st.State != "paused" || st.Reason != "maintenance" || st.Pending != 1 || st.OldestPending.IsZero() || !st.Since.Equal(r.began) {
			t.Errorf("%+v", st)
		}
		r.stop()
		ds, _ := r.store.Destinations(context.Background())
		f := &far{name: "again", rig: r}
		r.targets[id].Current.Destination, r.targets[id].State = f, ds[0].State
		r.start()
		defer r.close()
		pass(time.Hour)
		if len(f.seen()) != 0 {
			t.Fatal("an attempt of a paused destination")
		}
		if err := r.s.Resume(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		settleDown()
		r.wantState(it[0], store.Delivered)
		if err := r.s.Pause(context.Background(), 999, ""); err != store.ErrNotFound {
			t.Errorf("pausing nothing: %v", err)
		}
		if st := r.status(id); st.State != "active" || st.Pending != 0 || !st.OldestPending.IsZero() {
			t.Errorf("%+v", st)
		}
	})
}

func TestDisabledAndRemovedKeepTheirDeliveries(t *testing.T) {
	for _, change := range []func(*Target){
		func(t *Target) { t.Disabled = true },
		func(t *Target) { t.Removed, t.Current = true, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, f := r.add("acme", "a")
			r.start()
			defer r.close()
			f.answer = takes(time.Second)
			before := *r.targets[id]
			items := r.acceptMany(50, id)
			settleDown()
			change(r.targets[id])
			r.apply()
			if n := r.positions(); n != 0 {
				t.Errorf("%d positions in memory", n)
			}
			items = append(items, r.acceptMany(100, id)...)
			pass(time.Hour)
			if n := len(f.seen()); n != 1 {
				t.Fatalf("%d attempts", n)
			}
			made := f
			r.targets[id] = &before
			if f.closes() > 0 {
				f = &far{name: "again", rig: r}
				before.Current.Destination = f
			}
			r.apply()
			pass(5 * time.Minute)
			n := len(f.seen())
			if f != made {
				n++ // that before the change
			}
			if n != len(items) {
				t.Errorf("%d attempts of %d deliveries", n, len(items))
			}
		})
	}
}
