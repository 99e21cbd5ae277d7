package ingest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func TestRateIsEachDevelopersOwnAndRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := start(t, newMemory(), Limits{Rate: 2})
		burst := func(developer string) (accepted int, wait time.Duration) {
			for range 10 {
				_, refusal := accept(t, in, Request{Developer: developer, Body: []byte(sleep)})
				if refusal == nil {
					accepted++
					continue
				}
				if refusal.Status != 429 || refusal.Code != "limited" {
					t.Fatalf("got %+v, want 429", refusal)
				}
				wait = refusal.RetryAfter
			}
			return accepted, wait
		}
		if n, wait := burst("acme"); n != 2 || wait != 500*time.Millisecond {
			t.Errorf("accepted %d at once, then asked to wait %v; want 2 and 500ms", n, wait)
		}
		if n, _ := burst("initech"); n != 2 {
			t.Errorf("another developer got %d, want 2", n)
		}
		in.SetRoutes(sample())
		if n, _ := burst("acme"); n != 0 {
			t.Errorf("a reload gave %d events away", n)
		}
		time.Sleep(500 * time.Millisecond)
		if n, _ := burst("acme"); n != 1 {
			t.Errorf("after the wait %d were accepted, want 1", n)
		}
		time.Sleep(time.Hour)
		if n, _ := burst("acme"); n != 2 {
			t.Errorf("after an hour %d were accepted, want 2: no more than a second is saved up", n)
		}
	})
}

// TestRequestsAtOnceGetNoMore: the time of a request is read when it comes, but concurrent
// requests are judged in any order.
func TestRequestsAtOnceGetNoMore(t *testing.T) {
	b, now, n := NewBucket(2, nil), time.Now(), 0
	for i := range 40 {
		if b.Take(now.Add(time.Duration(i%2)*time.Second)) == 0 {
			n++
		}
	}
	if n > 4 {
		t.Errorf("%d were accepted within a second, want the 2 saved up and 2 more", n)
	}
}

func TestSlowRateStillLetsOneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, _ := start(t, newMemory(), Limits{Rate: 0.1})
		if _, refusal := accept(t, in, Request{Developer: "acme", Body: []byte(sleep)}); refusal != nil {
			t.Fatal(refusal)
		}
		_, refusal := accept(t, in, Request{Developer: "acme", Body: []byte(sleep)})
		if refusal == nil || refusal.RetryAfter != 10*time.Second {
			t.Fatalf("got %+v, want a wait of 10s", refusal)
		}
	})
}

func TestWhatIsPendingLimitsADeveloper(t *testing.T) {
	size := int64(len(sleep))
	for name, c := range map[string]struct {
		limits   Limits
		accepted int // of 10 sleep events with two deliveries each
	}{
		"deliveries":                  {Limits{Pending: 7}, 3},
		"deliveries of the removed":   {Limits{Pending: 5 + 100}, 2},
		"bytes":                       {Limits{Bytes: 8 * size}, 4},
		"bytes, just not":             {Limits{Bytes: 8*size - 1}, 3},
		"both":                        {Limits{Pending: 7, Bytes: 2 * size}, 1},
		"one that alone is too many":  {Limits{Pending: 1}, 1},
		"one that alone is too large": {Limits{Bytes: 1}, 1},
		"neither":                     {Limits{}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			for _, batched := range []bool{true, false} {
				m := newMemory()
				if name == "deliveries of the removed" {
					m.counts[9] = store.Counts{Pending: 100}
				}
				in, _ := start(t, m, c.limits)
				rs := make([]Request, 10)
				for i := range rs {
					rs[i] = Request{Developer: "acme", Body: []byte(sleep)}
				}
				var results []Result
				if batched {
					results = in.Accept(t.Context(), rs)
				} else {
					for _, r := range rs {
						got, _ := accept(t, in, r)
						results = append(results, got)
					}
				}
				accepted := 0
				for _, r := range results {
					if r.Err == nil {
						accepted++
					} else if refusal := r.Err.(*Refusal); refusal.Status != 429 || refusal.RetryAfter <= 0 {
						t.Errorf("got %+v, want 429 with a wait", refusal)
					}
				}
				if accepted != c.accepted || len(m.entries) != c.accepted {
					t.Errorf("batched %v: accepted %d, stored %d, want %d", batched, accepted, len(m.entries), c.accepted)
				}
			}
		})
	}
}

func TestAFullDeveloperStillKeepsWhatMatchesNobody(t *testing.T) {
	m := newMemory()
	m.counts[9] = store.Counts{Pending: 100}
	in, _ := start(t, m, Limits{Pending: 10})
	routes := sample()
	routes.Developers["acme"].Destinations = nil
	in.SetRoutes(routes)
	if got, refusal := accept(t, in, Request{Developer: "acme", Body: []byte(sleep)}); refusal != nil || got.Deliveries != 0 || len(m.entries) != 1 {
		t.Fatalf("got %+v, %v", got, refusal)
	}
}

// TestSeveralDaemonsShareARate: each gives out its part of it, also of what was saved up before another came.
func TestSeveralDaemonsShareARate(t *testing.T) {
	daemons := 1
	b, now := NewBucket(6, func() int { return daemons }), time.Now()
	burst := func() (n int, wait time.Duration) {
		for n < 100 {
			if wait = b.Take(now); wait > 0 {
				return n, wait
			}
			n++
		}
		return n, 0
	}
	for _, c := range []struct {
		daemons, want int
		wait          time.Duration
	}{{1, 6, time.Second / 6}, {2, 3, time.Second / 3}, {3, 2, time.Second / 2}, {12, 1, 2 * time.Second}, {0, 6, time.Second / 6}} {
		daemons = c.daemons
		now = now.Add(time.Hour)
		if n, wait := burst(); n != c.want || (wait-c.wait).Abs() > time.Microsecond {
			t.Errorf("one of %d daemons let %d in at once and has the next wait %v, want %d and %v", c.daemons, n, wait, c.want, c.wait)
		}
	}
	daemons, now = 1, now.Add(time.Hour)
	b.Take(now)
	daemons = 3
	if n, _ := burst(); n != 2 {
		t.Errorf("of what was saved up alone, one of 3 daemons lets %d in, want 2", n)
	}
	if b.Rate() != 6 {
		t.Errorf("the rate is %v", b.Rate())
	}
}
