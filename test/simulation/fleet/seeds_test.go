package fleet

import (
	"flag"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed = flag.Uint64("seed", 0, "run this seed only")
	seeds   = flag.Uint64("seeds", 30, "run that many seeds")
	first   = flag.Uint64("first", 1, "the first of them")
	stop    = flag.Bool("stop", false, "begin no further seed once one has failed")
)

// TestSeeds plays one scenario per seed. oracle.go says what must be true of each.
func TestSeeds(t *testing.T) {
	from, to := *first, *first+*seeds
	if *oneSeed != 0 {
		from, to = *oneSeed, *oneSeed+1
	}
	var failed atomic.Bool
	for seed := from; seed < to; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			if *stop && failed.Load() {
				return
			}
			began := time.Now()
			var f *fleet
			synctest.Test(t, func(*testing.T) { f = play(draw(seed)) })
			t.Log(f.summary(time.Since(began)))
			if len(f.oracle.faults) > 0 {
				failed.Store(true)
				t.Error(f.report())
			}
		})
	}
}
