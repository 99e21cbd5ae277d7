package delivery

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestThreePhases plots attempts in flight while the far side is healthy, hangs
// and has recovered.
func TestThreePhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = takes(100 * time.Millisecond)
		r.start()
		defer r.close()
		var plot []int
		run := func(d time.Duration) (least, most, last int) {
			least = 1 << 30
			for range int(d / (500 * time.Millisecond)) {
				r.acceptMany(80, id) // 160 a second, as much as 16 in flight can take
				pass(450 * time.Millisecond)
				n := f.running()
				plot = append(plot, n)
				least, most, last = min(least, n), max(most, n), n
				pass(50 * time.Millisecond)
			}
			return least, most, last
		}
		if _, most, last := run(10 * time.Second); most != 16 || last != 16 {
			t.Errorf("healthy: up to %d in flight, %d at last, want 16", most, last)
		}
		f.set(hang)
		run(20 * time.Second) // those in flight hang, nothing joins them
		if n := f.running(); n > 16 {
			t.Errorf("hanging: %d in flight", n)
		}
		if _, most, _ := run(20 * time.Second); most > 16 {
			t.Errorf("hanging: up to %d in flight", most)
		}
		if least, most, _ := run(2 * time.Minute); most > 1 || least > 1 {
			t.Errorf("after its timeouts: %d to %d in flight, want at most 1", least, most)
		}
		f.set(takes(100 * time.Millisecond))
		run(time.Minute)
		if least, _, last := run(10 * time.Second); least != 16 || last != 16 {
			t.Errorf("recovered: %d at least, %d at last, want 16", least, last)
		}
		t.Logf("in flight, every 500 ms: %v", plot)
		pass(3 * time.Hour)
		if st := r.status(id); st.Pending != 0 {
			t.Errorf("%d still pending", st.Pending)
		}
		if f.peak() > 16 {
			t.Errorf("%d in flight, more than max_in_flight", f.peak())
		}
		if len(f.doubled()) > 0 {
			t.Errorf("tried twice at once: %v", f.doubled())
		}
	})
}

// TestHangingDelaysNobody: 500 endpoints that hang, at full concurrency, and
// healthy ones beside them whose attempts start the moment they are due.
func TestHangingDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 1024, Slow: 1024}
		var bad []uint32
		var fars []*far
		for i := range 500 {
			id, f := r.add(fmt.Sprint("dev", i%50), fmt.Sprint("bad", i))
			f.answer = takes(10 * time.Millisecond)
			bad, fars = append(bad, id), append(fars, f)
		}
		good, g := r.add("healthy", "good")
		g.answer = takes(10 * time.Millisecond)
		r.start()
		defer r.close()
		r.acceptMany(40, bad...) // everybody proves itself and reaches full concurrency
		r.accept(good)
		pass(time.Minute)
		for _, f := range fars {
			f.set(hang)
		}
		r.acceptMany(30, bad...)
		settleDown()
		if n := r.s.callsInFlight(); n != 1024 {
			t.Errorf("%d hang, want all 1024 places taken at first", n)
		}
		pass(5 * time.Second) // the slow have moved out of the way
		before := len(g.seen())
		var want []time.Duration
		for range 600 {
			want = append(want, r.since())
			r.accept(good)
			pass(500 * time.Millisecond)
		}
		if got := at(g.seen())[before:]; !slices.Equal(got, want) {
			late := 0
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					late++
				}
			}
			t.Errorf("%d of %d attempts of the healthy destination late, %d made", late, len(want), len(got))
		}
	})
}

// TestExhaustedBudgets: far more endpoints hang than there are places.
func TestExhaustedBudgets(t *testing.T) {
	for _, devs := range []int{1, 200} {
		t.Run(fmt.Sprint(devs, " developers"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.limits = Limits{InFlight: 16, Slow: 16}
				good, g := r.add("healthy", "good")
				r.start()
				defer r.close()
				r.accept(good) // it has proved itself
				settleDown()
				var bad []uint32
				for i := range 200 {
					id, f := r.add(fmt.Sprint("dev", i%devs), fmt.Sprint("bad", i))
					f.answer = hang
					bad = append(bad, id)
				}
				r.targets[good].Current.Destination = nil
				r.apply()
				for range 5 {
					r.accept(bad...)
				}
				pass(10 * time.Second)
				if got, most := r.s.callsInFlight(), 32; got > most || got < 12 {
					t.Errorf("%d in flight, want 12 to %d", got, most)
				}
				r.s.mu.Lock()
				for _, d := range r.s.developers {
					if d.slowPlaces > 8 {
						t.Errorf("developer %s has %d of 16 slow places", d.name, d.slowPlaces)
					}
				}
				r.s.mu.Unlock()
				for range 200 {
					r.accept(good)
					pass(time.Second)
				}
				hits := g.seen()[1:]
				if len(hits) != 200 {
					t.Fatalf("%d of 200 delivered", len(hits))
				}
				for i, h := range hits {
					if h.at != hits[0].at+time.Duration(i)*time.Second {
						t.Fatalf("attempt %d at %v", i, h.at)
					}
				}
			})
		})
	}
}

func TestDevelopersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 1}
		var ids []uint32
		var order []string
		add := func(dev, name string) {
			id, f := r.add(dev, name)
			f.answer = func(ctx context.Context, d destination.Delivery) error {
				order = append(order, dev)
				return takes(time.Second)(ctx, d)
			}
			ids = append(ids, id)
		}
		for i := range 9 {
			add("big", fmt.Sprint("b", i))
		}
		add("small", "s")
		r.start()
		defer r.close()
		for range 10 {
			r.accept(ids...)
		}
		pass(20 * time.Second)
		small := 0
		for _, d := range order[:20] {
			if d == "small" {
				small++
			}
		}
		if small < 9 {
			t.Errorf("small had %d of 20 turns: %v", small, order[:20])
		}
	})
}

func TestOneBodyInSixteen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{Bytes: 160_000}
		body := []byte(`{"type":"test","pad":"` + string(make([]byte, 3000)) + `"}`)
		for i := range body {
			if body[i] == 0 {
				body[i] = 'x'
			}
		}
		id, f := r.add("acme", "a")
		f.answer = takes(10 * time.Millisecond)
		big, fb := r.add("acme", "big")
		r.start()
		defer r.close()
		for range 50 {
			r.acceptBody(body, id)
		}
		pass(time.Minute)
		if f.peak() != 2 { // a sixteenth of three quarters is 7,500
			t.Errorf("%d bodies of 3 kB in flight, want 2", f.peak())
		}
		huge := append([]byte(nil), body...)
		for len(huge) < 200_000 {
			huge = append(huge, ' ')
		}
		it := r.acceptBody(huge, big)
		f.set(takes(time.Millisecond))
		for range 50 {
			r.acceptBody(body, id)
		}
		pass(time.Minute)
		if len(fb.seen()) != 1 || len(f.seen()) != 100 {
			t.Errorf("a body larger than all that may be in flight: %d attempts; beside it %d of 100", len(fb.seen()), len(f.seen()))
		}
		r.wantState(it[0], store.Delivered)
	})
}

func TestRateLimitIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", func(s *Settings) { s.Rate = 8 })
		r.start()
		defer r.close()
		pass(time.Minute) // idling saves up nothing
		begin := r.since()
		for range 200 {
			r.accept(id)
		}
		pass(time.Minute)
		hits := f.seen()
		if len(hits) != 200 {
			t.Fatalf("%d attempts", len(hits))
		}
		for i, h := range hits {
			if want := begin + time.Duration(i)*125*time.Millisecond; h.at != want {
				t.Fatalf("attempt %d at %v, want %v", i, h.at, want)
			}
		}
	})
}

// TestRateLimitIsOneForAllLanes: retries with old settings and what goes out with
// current ones are due in one instant, and share the rate of their destination.
func TestRateLimitIsOneForAllLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen, func(s *Settings) { s.Rate = 1 })
		old.answer = fails
		r.start()
		defer r.close()
		r.acceptMany(5, id) // retries are due from 30 s on, one a second
		pass(20 * time.Second)
		old.set(nil)
		next := r.reload(id, "new", nil)
		r.acceptMany(20, id)
		pass(time.Minute)
		hits := slices.Concat(old.seen(), next.seen())
		slices.SortFunc(hits, func(a, b hit) int { return int(a.at - b.at) })
		if len(old.seen()) != 10 || len(next.seen()) != 20 {
			t.Errorf("%d attempts with old settings, %d with current ones", len(old.seen()), len(next.seen()))
		}
		for i := 1; i < len(hits); i++ {
			if hits[i].at-hits[i-1].at < time.Second {
				t.Errorf("attempts at %v and %v, one a second is the rate", hits[i-1].at, hits[i].at)
			}
		}
	})
}

func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 5 })
		f.answer = takes(time.Second)
		r.start()
		defer r.close()
		for range 100 {
			r.accept(id)
		}
		pass(10 * time.Second)
		if f.peak() != 5 {
			t.Errorf("%d in flight, want 5", f.peak())
		}
		r.targets[id].Current.Destination, r.targets[id].Current.MaxInFlight = nil, 2
		r.apply()
		pass(2 * time.Second)
		if n := f.running(); n != 2 {
			t.Errorf("%d in flight after the limit was lowered to 2", n)
		}
		pass(time.Minute)
		if f.closes() != 0 {
			t.Error("the destination was closed though its settings are the same")
		}
	})
}
