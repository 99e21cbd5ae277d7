package delivery

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatFailsTakesLittleWhileProcessorsAreShort: dead destinations, each with one call after
// the other, would begin all calls that there are.
func TestWhatFailsTakesLittleWhileProcessorsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const dead, each = 50, 200
		r := newRig(t)
		var wait atomic.Int64
		wait.Store(int64(20 * time.Millisecond))
		r.busy = func() time.Duration { return time.Duration(wait.Load()) }
		var fars []*far
		attempts := func() (n int) {
			for _, f := range fars {
				n += len(f.seen())
			}
			return n
		}
		var ids []uint32
		for i := range dead {
			id, f := r.add(fmt.Sprintf("dead-%d", i), "a")
			f.answer = fails
			ids, fars = append(ids, id), append(fars, f)
		}
		id, healthy := r.add("acme", "a")
		r.start()
		defer r.close()
		for _, id := range ids {
			r.acceptMany(each, id)
		}
		time.Sleep(shortageEvery / 2)
		for range 4 { // a look in each
			before := attempts()
			time.Sleep(shortageEvery)
			if n := attempts() - before; n != failingLeast {
				t.Errorf("%d attempts at what is dead between two looks, want %d", n, failingLeast)
			}
		}
		r.acceptMany(failingPart*100, id)
		if time.Sleep(time.Millisecond); len(healthy.seen()) != failingPart*100 {
			t.Errorf("%d attempts at what is healthy, want all of %d", len(healthy.seen()), failingPart*100)
		}
		before := attempts()
		time.Sleep(shortageEvery)
		if n := attempts() - before; n != 100 {
			t.Errorf("%d attempts beside %d that succeeded, want a part in %d", n, failingPart*100, failingPart)
		}
		wait.Store(0)
		time.Sleep(time.Second)
		if n := attempts(); n != dead*each {
			t.Errorf("%d attempts once processors were free, want all of %d", n, dead*each)
		}
	})
}

// TestWhatFailsIsTriedInTurnWhileProcessorsAreShort: of more destinations that fail than may begin
// between two looks none waits for ever, as one that is back would.
func TestWhatFailsIsTriedInTurnWhileProcessorsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const dead, rounds, each = 3 * failingLeast, 4, 2 * failingLeast
		r := newRig(t)
		r.busy = func() time.Duration { return 20 * time.Millisecond }
		var ids []uint32
		var fars []*far
		for i := range dead {
			id, f := r.add(fmt.Sprintf("dead-%d", i), "a")
			f.answer = fails
			ids, fars = append(ids, id), append(fars, f)
		}
		r.start()
		defer r.close()
		for _, id := range ids {
			r.acceptMany(each, id)
		}
		time.Sleep(shortageEvery) // each has failed once, and the looks follow each other
		before := make([]int, dead)
		for i, f := range fars {
			before[i] = len(f.seen())
		}
		time.Sleep(rounds * dead / failingLeast * shortageEvery)
		for i, f := range fars {
			if n := len(f.seen()) - before[i]; n < rounds-1 || n > rounds+1 {
				t.Errorf("%d attempts at destination %d of %d, want about %d", n, i, dead, rounds)
			}
		}
	})
}
