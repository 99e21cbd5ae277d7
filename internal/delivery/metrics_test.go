package delivery

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// figures reads everything a scrape shows: name{label,label} -> value or count.
func figures(t *testing.T, s *Scheduler) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	m := s.metrics
	reg.MustRegister(m.attempts, m.deliveries, m.unguarded, m.latency, m.seconds, m.rescued, m.usage.deliveries, m.usage.attempts, m.usage.bytes, m)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, x := range f.Metric {
			name := f.GetName() + "{"
			for i, l := range x.Label {
				if i > 0 {
					name += ","
				}
				name += l.GetValue()
			}
			v := x.GetCounter().GetValue() + x.GetGauge().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				v = float64(x.GetHistogram().GetSampleCount())
				out[name+"}sum"] = x.GetHistogram().GetSampleSum()
			}
			out[name+"}"] = v
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		c, fc := r.add("acme", "c")
		fa.answer, fb.answer, fc.answer = takes(2*time.Second), hang, misconfigures
		r.start()
		defer r.close()
		r.accept(a, b, c)
		cancelled := r.accept(b)
		r.move(store.Cancel, cancelled[0])
		pass(70 * time.Second)
		got := figures(t, r.s)
		for name, want := range map[string]float64{
			"fantail_attempts_total{delivered,fake}":         1,
			"fantail_attempts_total{transient,fake}":         1,
			"fantail_attempts_total{misconfigured,fake}":     2,
			"fantail_attempts_total{rejected,fake}":          0,
			"fantail_deliveries_total{fake,delivered}":       1,
			"fantail_deliveries_total{fake,cancelled}":       1,
			"fantail_deliveries_total{fake,dead}":            0,
			"fantail_delivery_latency_seconds{fake}":         1,
			"fantail_attempt_seconds{fake}":                  4,
			"fantail_pending{b,acme}":                        1,
			"fantail_pending{a,acme}":                        0,
			"fantail_oldest_pending_seconds{b,acme}":         70,
			"fantail_oldest_pending_seconds{a,acme}":         0,
			"fantail_last_success_timestamp_seconds{a,acme}": float64(r.began.Add(2 * time.Second).Unix()),
			"fantail_last_success_timestamp_seconds{b,acme}": 0,
			"fantail_failed_attempts{a,acme}":                0,
			"fantail_failed_attempts{b,acme}":                1,
			"fantail_failed_attempts{c,acme}":                2,
			"fantail_dead_last_day{a,acme}":                  0,
			"fantail_in_flight{fake}":                        1,
			"fantail_slow_in_flight{}":                       1,
			"fantail_held{}":                                 1,
			"fantail_breaker_open{}":                         0,
			"fantail_scheduler_rescued_total{}":              0,
		} {
			if v, ok := got[name]; !ok || v-want > 0.01 || want-v > 0.01 {
				t.Errorf("%s = %v (%t), want %v", name, v, ok, want)
			}
		}
		if s := got["fantail_delivery_latency_seconds{fake}sum"]; s < 2 || s > 2.01 {
			t.Errorf("latency %v, want 2", s)
		}
	})
}

// TestUnguardedObjectsAreCounted of every attempt, those that fail in the end
// included.
func TestUnguardedObjectsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		c, fc := r.add("acme", "c")
		fa.unguarded, fb.unguarded, fc.unguarded = 2, 3, -1
		fb.answer = misconfigures
		r.start()
		defer r.close()
		r.accept(a, b, c)
		pass(time.Second)
		if got := figures(t, r.s)["fantail_unguarded_objects_total{fake}"]; got != 5 {
			t.Errorf("%v, want 5", got)
		}
	})
}

// TestGaugesAreBounded: the first 500 by name, the rest together.
func TestGaugesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var ids []uint32
		for i := range 600 {
			id, f := r.add("acme", fmt.Sprintf("d%03d", i))
			f.answer = hang
			ids = append(ids, id)
		}
		r.start()
		defer r.close()
		r.accept(ids...)
		pass(31 * time.Second) // each has failed once
		got := figures(t, r.s)
		if got["fantail_pending{d499,acme}"] != 1 || got["fantail_pending{other,other}"] != 100 {
			t.Errorf("%v of the 500th, %v of the rest", got["fantail_pending{d499,acme}"], got["fantail_pending{other,other}"])
		}
		if n := got["fantail_failed_attempts{d000,acme}"]; n != 1 || got["fantail_failed_attempts{other,other}"] != 1 {
			t.Errorf("failed: %v of the first, %v of the rest, want the most of them, 1", n, got["fantail_failed_attempts{other,other}"])
		}
		if _, shown := got["fantail_pending{d500,acme}"]; shown {
			t.Error("a gauge beyond the first 500")
		}
	})
}

// TestOldestPending: at most a minute stale, over failures, restarts and cancels.
func TestOldestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		f.answer = fails
		r.start()
		defer r.close()
		first := r.accept(id)
		pass(time.Hour)
		second := r.accept(id)
		pass(time.Hour)
		want := func(it store.Item) {
			t.Helper()
			time.Sleep(time.Minute)
			settleDown()
			if st := r.status(id); !st.OldestPending.Equal(it.ID.Event.Time()) {
				t.Errorf("oldest %v, want %v", st.OldestPending, it.ID.Event.Time())
			}
		}
		want(first[0])
		r.move(store.Cancel, first[0])
		want(second[0])
		f.set(hang)
		r.move(store.Retry, first[0])
		want(first[0])
		r.move(store.Cancel, first[0])
		r.move(store.Cancel, second[0])
		pass(time.Minute)
		if st := r.status(id); !st.OldestPending.IsZero() {
			t.Errorf("%+v", st)
		}
	})
}

// TestSafetyNetCatches what a defect would lose, at the second look.
func TestSafetyNetCatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		r.start()
		r.accept(id)
		pass(10 * time.Second)
		s := r.s
		// A delivery that nobody offered: as if the scheduler had forgotten it.
		r.s = New(Options{Store: r.store})
		it := r.accept(id)
		r.s = s
		pass(59 * time.Second)
		r.wantState(it[0], store.Pending)
		pass(2 * time.Minute)
		r.wantState(it[0], store.Delivered)
		if n := value(s.metrics.rescued); n != 1 || len(f.seen()) != 2 {
			t.Errorf("%v rescued", n)
		}
		// A lane that fell out of the ring.
		f.set(takes(time.Second))
		s.mu.Lock()
		s.budget.maxInFlight = 0 // nothing starts
		s.mu.Unlock()
		it = r.accept(id)
		s.mu.Lock()
		s.budget.maxInFlight = 10
		s.ring.remove(s.dests[id].current)
		s.mu.Unlock()
		pass(2 * time.Minute)
		r.wantState(it[0], store.Delivered)
		if n := value(s.metrics.rescued); n != 2 {
			t.Errorf("%v rescued", n)
		}
		s.Stop(t.Context())
		r.store.Close()
	})
}
