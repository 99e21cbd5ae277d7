package ingest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestProducersWaitWhileDeliveriesAreBehind(t *testing.T) {
	for name, c := range map[string]struct {
		behind, most time.Duration
		wait         time.Duration // of the third of three requests of 100 events, 3 deliveries each
		refused      bool
	}{
		"not behind":       {0, 2 * time.Second, 0, false},
		"as far as may be": {2 * time.Second, 2 * time.Second, 0, false},
		"twice as far":     {4 * time.Second, 2 * time.Second, 1200 * time.Millisecond, false}, // 600 deliveries at half of 1,000 a second
		"too far":          {20*time.Second + 1, 2 * time.Second, 0, true},
		"no matter":        {time.Hour, 0, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &Pace{Behind: func() (time.Duration, float64) { return c.behind, 1000 }, Most: c.most}
			p.Took(1000, 3000)
			began := time.Now()
			var errs [3]error
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() { errs[i] = p.Wait(t.Context(), 100) })
				synctest.Wait()
			}
			wg.Wait()
			err := errs[2]
			if waited := time.Since(began); waited != c.wait || (err != nil) != c.refused {
				t.Errorf("%s: waited %v, %v", name, waited, err)
			}
			if r, ok := errors.AsType[*Refusal](err); c.refused && (!ok || r.Status != 503 || r.Code != "behind" || r.RetryAfter != c.most) {
				t.Errorf("%s: %+v", name, r)
			}
		})
	}
	if err := (*Pace)(nil).Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

// TestAsManyComeInAsGoOut: a daemon delivers 15,000 a second, 5,000 events, and its producers
// hand in as many as they may.
func TestAsManyComeInAsGoOut(t *testing.T) {
	const capacity, fanout = 15000.0, 3
	for name, c := range map[string]struct{ producers, batch int }{
		"64 with single events": {64, 1}, "256 with single events": {256, 1}, "4,000 with single events": {4000, 1},
		"8 with batches": {8, 64}, "64 with batches": {64, 64}, "256 with batches": {256, 64},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				pending, looks := 0.0, 0
				at := time.Now()
				work := func() {
					pending = max(0, pending-capacity*time.Since(at).Seconds())
					at = time.Now()
				}
				p := &Pace{Most: 2 * time.Second, Behind: func() (time.Duration, float64) {
					mu.Lock()
					defer mu.Unlock()
					work()
					if looks++; looks%10 == 0 {
						return 0, capacity // it cannot be seen
					}
					return time.Duration(pending / capacity * float64(time.Second)), capacity
				}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var wg sync.WaitGroup
				events := 0
				for range c.producers {
					wg.Go(func() {
						for {
							err := p.Wait(ctx, c.batch)
							if ctx.Err() != nil {
								return
							}
							if err != nil {
								t.Errorf("refused: %v", err)
								return
							}
							mu.Lock()
							work()
							pending += fanout * float64(c.batch)
							events += c.batch
							mu.Unlock()
							p.Took(c.batch, fanout*c.batch)
							time.Sleep(time.Duration(c.batch) * 100 * time.Microsecond * time.Duration(max(1, c.producers/100))) // the API's own work
						}
					})
				}
				worst, idle := 0.0, 0
				for range 300 {
					time.Sleep(200 * time.Millisecond)
					mu.Lock()
					work()
					if pending == 0 {
						idle++
					}
					worst = max(worst, pending/capacity)
					mu.Unlock()
				}
				cancel()
				wg.Wait()
				if worst > 5 || idle > 3 {
					t.Errorf("at worst %.1f s behind, without work %d times", worst, idle)
				}
				if sum := float64(events * fanout); sum < 0.95*60*capacity {
					t.Errorf("%.0f deliveries, could be %.0f", sum, 60*capacity)
				}
			})
		})
	}
}

func TestAProducerWhoGoesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pace{Behind: func() (time.Duration, float64) { return time.Minute, 1000 }, Most: 10 * time.Second}
		if err := p.Wait(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := p.Wait(ctx, 1)
		if r, ok := errors.AsType[*Refusal](err); !ok || r.Status != 503 || time.Since(began) != 10*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
