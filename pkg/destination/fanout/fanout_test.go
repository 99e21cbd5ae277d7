package fanout

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// upTo yields 0 to n-1.
func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestAtMostWidthAtOnceAndThoseOfOneKeyInOrder(t *testing.T) {
	for _, c := range []struct {
		width, keys int
		want        int32
	}{{8, 100, 8}, {8, 3, 3}, {8, 1, 1}, {1, 100, 1}, {0, 100, 1}, {200, 100, 100}} {
		synctest.Test(t, func(t *testing.T) {
			var now, most atomic.Int32
			var mu sync.Mutex
			last := map[int]int{}
			finished := 0
			Each(upTo(100), Order[int]{Width: c.width, Key: func(i int) string { return fmt.Sprint(i % c.keys) }}, func(i int) (int, error) {
				n := now.Add(1)
				time.Sleep(time.Duration(100-i) * time.Millisecond) // those that come later would be sooner
				now.Add(-1)
				mu.Lock()
				defer mu.Unlock()
				most.Store(max(most.Load(), n))
				if i < last[i%c.keys] {
					t.Errorf("%+v: %d after %d", c, i, last[i%c.keys])
				}
				last[i%c.keys] = i
				return 2 * i, nil
			}, func(i, twice int, err error) bool {
				if finished++; twice != 2*i || err != nil {
					t.Errorf("%+v: the result of %d is %d, %v", c, i, twice, err)
				}
				return true
			})
			if finished != 100 || most.Load() != c.want {
				t.Errorf("%+v: %d results, %d at once", c, finished, most.Load())
			}
		})
	}
}

// TestAPanicEndsItsItemAlone: wherever it happens, in the goroutine of the caller
// (a single item, or the last) or in one of its own.
func TestAPanicEndsItsItemAlone(t *testing.T) {
	for _, n := range []int{1, 2, 20} {
		for at := range n {
			var failed, good []int
			Each(upTo(n), Order[int]{Width: 4}, func(i int) (int, error) {
				if i == at {
					var none []int
					return none[i], nil //nolint:gosec // this is the panic
				}
				return 0, nil
			}, func(i, _ int, err error) bool {
				if err == nil {
					good = append(good, i)
					return true
				}
				failed = append(failed, i)
				p := destination.PanicOf(err)
				if p == nil || p.Type != "runtime.boundsError" || !strings.Contains(string(p.Stack), "TestAPanicEndsItsItemAlone") {
					t.Errorf("the error of the panic is %v: %+v", err, p)
				}
				if class, _ := destination.ClassOf(err); class != destination.Transient {
					t.Errorf("%v is %v", err, class)
				}
				return true
			})
			if !slices.Equal(failed, []int{at}) || len(good) != n-1 {
				t.Errorf("%d items, a panic in %d: %v failed, %v did not", n, at, failed, good)
			}
		}
	}
}

func TestTheTextOfAPanicIsKeptFromEverybody(t *testing.T) {
	Each(upTo(2), Order[int]{Width: 2}, func(int) (int, error) { panic("hunter2") }, func(_, _ int, err error) bool {
		if text := fmt.Sprintf("%v %+v %#v %s", err, err, destination.PanicOf(err), destination.PanicOf(err).Stack); strings.Contains(text, "hunter2") {
			t.Error(text)
		}
		return true
	})
}

// TestWhatIsTheCallersPanicsThere, when all that was begun has ended.
func TestWhatIsTheCallersPanicsThere(t *testing.T) {
	for name, panics := range map[string]func(running *atomic.Int32){
		"items": func(running *atomic.Int32) {
			Each(func(yield func(int) bool) { yield(1); yield(2); yield(3); panic("items") }, Order[int]{Width: 8}, linger(running), func(int, int, error) bool { return true })
		},
		"done": func(running *atomic.Int32) {
			Each(upTo(8), Order[int]{Width: 8}, linger(running), func(int, int, error) bool { panic("done") })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			defer func() {
				if v := recover(); v != name || running.Load() != 0 {
					t.Errorf("%s: recovered %v while %d were running", name, v, running.Load())
				}
			}()
			panics(&running)
		})
	}
}

func linger(running *atomic.Int32) func(int) (int, error) {
	return func(i int) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		time.Sleep(time.Duration(i+1) * time.Second)
		return 0, nil
	}
}

func TestDoneEndsIt(t *testing.T) {
	var begun atomic.Int32
	ended := 0
	Each(upTo(1000), Order[int]{Width: 4}, func(i int) (int, error) {
		begun.Add(1)
		return 0, errors.New("no")
	}, func(int, int, error) bool { ended++; return false })
	if n := int(begun.Load()); n > 8 || n != ended {
		t.Errorf("%d begun, %d ended", n, ended)
	}
}

// TestAWorkerThatExits, as a failing test within work does, leaves nobody waiting.
func TestAWorkerThatExits(t *testing.T) {
	var errs []error
	Each(upTo(3), Order[int]{Width: 2, Key: func(int) string { return "" }}, func(i int) (int, error) {
		if i == 0 {
			runtime.Goexit()
		}
		return 0, nil
	}, func(_, _ int, err error) bool { errs = append(errs, err); return true })
	if len(errs) != 3 || !errors.Is(errors.Join(errs...), errUnfinished) {
		t.Errorf("%v", errs)
	}
}

func TestNothingToDo(t *testing.T) {
	Each(upTo(0), Order[int]{Width: 2}, func(int) (int, error) { panic("work") }, func(int, int, error) bool { panic("done") })
}
