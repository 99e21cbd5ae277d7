package delivery

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestSpilledQueue: 100,000 deliveries while memory keeps a window; they go out
// in order and none is lost or sent twice.
func TestSpilledQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 1 })
		f.answer = takes(time.Millisecond)
		r.start()
		defer r.close()
		const n = 100_000
		want := make([]string, 0, n)
		ctx := context.Background()
		for len(want) < n {
			batch := make([]*store.Entry, 500)
			for i := range batch {
				batch[i] = &store.Entry{Event: &event.Event{Developer: "dev", Reference: "r", Envelope: event.Envelope{Type: "t"}, Body: []byte("{}")}, To: []uint32{id}}
			}
			done, err := r.store.Append(ctx, r.now(), batch)
			if err != nil {
				t.Fatal(err)
			}
			for i := range done {
				r.s.Offer(batch[i].Event, done[i].Items)
				want = append(want, done[i].Items[0].ID.String())
			}
			r.s.mu.Lock()
			if l := len(r.s.jobs); l > 5000 {
				t.Errorf("%d deliveries in memory", l)
			}
			r.s.mu.Unlock()
			pass(100 * time.Millisecond)
		}
		pass(5 * time.Minute)
		hits := f.seen()
		got := make([]string, len(hits))
		for i := range hits {
			got[i] = hits[i].id
		}
		if !slices.Equal(got, want) {
			slices.Sort(got)
			if got = slices.Compact(got); len(hits) != n || len(got) != n {
				t.Fatalf("%d attempts of %d deliveries, want %d", len(hits), len(got), n)
			}
			t.Error("not in order")
		}
		if c := r.store.Counts(id); c.Pending != 0 || c.Delivered != n {
			t.Errorf("%+v", c)
		}
	})
}

// TestWindowsShareABudget: every queue goes on though few positions are left.
func TestWindowsShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Window: 100}
		var ids []uint32
		var fars []*far
		for i := range 50 {
			id, f := r.add("acme", string(rune('A'+i)))
			f.answer = takes(time.Second)
			ids, fars = append(ids, id), append(fars, f)
		}
		r.start()
		defer r.close()
		for range 40 {
			r.accept(ids...)
		}
		settleDown()
		r.s.mu.Lock()
		if n := r.s.loader.positions; n > 150 {
			t.Errorf("%d positions in windows, want about 100", n)
		}
		r.s.mu.Unlock()
		pass(5 * time.Minute)
		for _, f := range fars {
			if n := len(f.seen()); n != 40 {
				t.Errorf("%s: %d of 40", f.name, n)
			}
		}
	})
}

// TestRestartWithBacklog: everything pending is found again, what is not due waits for its time.
func TestRestartWithBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		fa.answer, fb.answer = fails, hang
		r.start()
		for range 500 {
			r.accept(a, b)
		}
		pass(10 * time.Second)
		r.stop()
		fa, fb = &far{name: "a2", rig: r}, &far{name: "b2", rig: r}
		r.targets[a].Current.Destination, r.targets[b].Current.Destination = fa, fb
		r.start()
		defer r.close()
		pass(time.Minute)
		for _, id := range []uint32{a, b} {
			if c := r.store.Counts(id); c.Pending != 0 || c.Delivered != 500 {
				t.Errorf("%+v", c)
			}
		}
		if len(fa.seen()) != 500 || len(fb.seen()) != 500 {
			t.Errorf("%d and %d attempts, want 500 each", len(fa.seen()), len(fb.seen()))
		}
		if first := fa.seen()[0].at; first < 30*time.Second {
			t.Errorf("a retry at %v, due at 30 s", first)
		}
	})
}

// TestClockSteps: due times are wall time; a step is noticed within a minute,
// and intervals of our own do not care.
func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = fails
		r.start()
		defer r.close()
		step := func(d time.Duration) { r.skew.Add(int64(d)) }
		r.accept(id)
		pass(170 * time.Second) // tried at 0, 30 s, 2 m; due at 6 m 30 s
		step(time.Hour)
		pass(time.Minute)
		if got := at(f.seen()); len(got) != 4 || got[3] > 4*time.Minute {
			t.Errorf("after a step forward: attempts at %v", got)
		}
		f.set(nil)
		step(-2 * time.Hour)
		began := r.since()
		for range 200 {
			r.accept(id)
			pass(time.Second)
		}
		settleDown()
		hits := f.seen()[4:]
		if len(hits) != 200 || hits[0].at != began || hits[199].at != began+199*time.Second {
			t.Errorf("after a step back %d of 200 new deliveries", len(hits))
		}
		pass(3 * time.Hour)
		if st := r.status(id); st.Pending != 0 {
			t.Errorf("%+v", st)
		}
	})
}
