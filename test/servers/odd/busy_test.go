package odd_test

import (
	"fmt"
	"testing"
	"time"
)

// unhurt runs a test that needs somebody to be on time: a server that says something in a pause, a client that is told
// within a second. Where it fails while the machine stands still, it proves nothing, and is run again; the last of
// ten runs decides.
func unhurt(t testing.TB, test func(t testing.TB)) {
	t.Helper()
	for run := 1; ; run++ {
		r := &heldBack{TB: t}
		stood := standstill(func() { test(r) })
		r.over = true
		if !r.failed {
			return
		}
		if stood < 20*time.Millisecond || run == 10 {
			for _, text := range r.said {
				t.Error(text)
			}
			return
		}
		t.Logf("run again: the machine stood still for %v", stood)
	}
}

// heldBack keeps what a test says against it.
type heldBack struct {
	testing.TB
	failed bool
	over   bool // what is said from now on, as by a clean-up, is said at once
	said   []string
}

func (r *heldBack) Errorf(format string, args ...any) {
	if r.over {
		r.TB.Errorf(format, args...)
		return
	}
	r.failed = true
	r.Logf(format, args...)
}

func (r *heldBack) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *heldBack) Logf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *heldBack) Failed() bool { return r.failed || r.TB.Failed() }

// standstill is by how much somebody who wakes up every millisecond was late at the most, while f ran.
func standstill(f func()) (longest time.Duration) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			began := time.Now()
			select {
			case <-over:
				return
			case <-time.After(time.Millisecond):
				longest = max(longest, time.Since(began)-time.Millisecond)
			}
		}
	}()
	f()
	close(over)
	<-done
	return longest
}
