package simulation

import (
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this seed only")
	seeds   = flag.Uint64("seeds", 30, "run that many seeds")
	first   = flag.Uint64("first", 1, "the first of them")
)

// TestSeeds plays one scenario per seed; what must be true of each stands in
// liveness.go, attempts.go, settle.go and check.go.
func TestSeeds(t *testing.T) {
	from, to := *first, *first+*seeds
	if *oneSeed != 0 {
		from, to = *oneSeed, *oneSeed+1
	}
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			var e *engine
			synctest.Test(t, func(*testing.T) { e = Run(Draw(seed)) })
			t.Log(e.summary(time.Since(began)))
			if len(e.model.faults) > 0 {
				t.Error(e.report())
			}
		})
	}
}
