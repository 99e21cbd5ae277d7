package ingest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestProducersWaitWhileDeliveriesAreBehind(t *testing.T) {
	for name, c := range map[string]struct {
		behind, most, wait time.Duration
		refused            bool
	}{
		"not behind":                 {0, 2 * time.Second, 0, false},
		"as far as may be":           {2 * time.Second, 2 * time.Second, 0, false},
		"a little further":           {2*time.Second + 100*time.Millisecond, 2 * time.Second, 10 * time.Millisecond, false},
		"much further":               {7 * time.Second, 2 * time.Second, time.Second / 2, false},
		"no wait is longer than 1 s": {19 * time.Second, 2 * time.Second, time.Second, false},
		"too far":                    {20*time.Second + 1, 2 * time.Second, 0, true},
		"no matter":                  {time.Hour, 0, 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := (&Pace{func() time.Duration { return c.behind }, c.most}).Wait(t.Context())
			if waited := time.Since(began); waited != c.wait || (err != nil) != c.refused {
				t.Errorf("%s: waited %v, %v", name, waited, err)
			}
			if r, ok := errors.AsType[*Refusal](err); c.refused && (!ok || r.Status != 503 || r.Code != "behind" || r.RetryAfter != c.most) {
				t.Errorf("%s: %+v", name, r)
			}
		})
	}
}

func TestAProducerWhoGoesWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := (&Pace{func() time.Duration { return time.Minute }, 10 * time.Second}).Wait(ctx)
		if r, ok := errors.AsType[*Refusal](err); !ok || r.Status != 503 || time.Since(began) != 10*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
