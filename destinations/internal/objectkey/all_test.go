package objectkey

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/fanout"
)

func fakes(n int) []Object {
	var all []Object
	for i := range n {
		all = append(all, Object{Keys: []string{fmt.Sprint(i)}})
	}
	return all
}

func TestAtMostEightAtOnceAndThoseOfOneKeyInOrder(t *testing.T) {
	for keys, want := range map[int]int32{100: fanout.Width, 3: 3, 1: 1} {
		synctest.Test(t, func(t *testing.T) {
			objects := fakes(100)
			for i := range objects {
				objects[i].Keys[0], objects[i].Body = fmt.Sprint(i%keys), []byte{byte(i)}
			}
			var now, most atomic.Int32
			var mu sync.Mutex
			last := map[string]byte{}
			_, err := PlaceAll(t.Context(), slices.Values(objects), func(o Object) (destination.Receipt, Outcome, error) {
				n := now.Add(1)
				time.Sleep(time.Duration(100-o.Body[0]) * time.Millisecond) // those that come later would be sooner
				now.Add(-1)
				mu.Lock()
				defer mu.Unlock()
				most.Store(max(most.Load(), n))
				if o.Body[0] < last[o.Keys[0]] {
					t.Errorf("%d keys: %d after %d", keys, o.Body[0], last[o.Keys[0]])
				}
				last[o.Keys[0]] = o.Body[0]
				return destination.Receipt{Code: 200}, Stored, nil
			})
			if err != nil || most.Load() != want {
				t.Errorf("%d keys: %d at once, want %d; %v", keys, most.Load(), want, err)
			}
		})
	}
}

func TestTheGravestFailureCounts(t *testing.T) {
	cause := errors.New("x")
	rejected, transient, misconfigured := destination.Reject(cause), cause, destination.Misconfigure(cause)
	soon, late := destination.Throttle(cause, time.Second), destination.Throttle(cause, time.Hour)
	for _, c := range []struct {
		errs  []error
		class destination.Class
		wait  time.Duration
	}{
		{[]error{nil, nil, rejected}, destination.Rejected, 0},
		{[]error{rejected, transient, nil}, destination.Transient, 0},
		{[]error{transient, rejected}, destination.Transient, 0},
		{[]error{soon, transient, late}, destination.Throttled, time.Hour},
		{[]error{late, misconfigured, soon}, destination.Misconfigured, 0},
	} {
		for range 2 {
			slices.Reverse(c.errs)
			_, err := PlaceAll(t.Context(), slices.Values(fakes(len(c.errs))), func(o Object) (destination.Receipt, Outcome, error) {
				var i int
				fmt.Sscan(o.Keys[0], &i)
				return destination.Receipt{}, Stored, c.errs[i]
			})
			class, wait := destination.ClassOf(err)
			if err == nil || class != c.class || wait != c.wait {
				t.Errorf("%v: %v waits %v, want %v %v", c.errs, class, wait, c.class, c.wait)
			}
		}
	}
}
