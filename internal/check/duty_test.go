package check

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What nobody asks for is checked by the daemon whose duty it is; what somebody asks for by the
// daemon that they ask.
func TestOneOfSeveralDaemonsChecksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar()
		var mine atomic.Bool
		r := NewRunner(Options{Begin: func(uint32) (func(), string) { return func() {}, "" }, Mine: func(context.Context) bool { return mine.Load() }, Log: slog.New(slog.DiscardHandler)})
		r.SetTargets([]Target{f.target(1, "app")})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { r.Run(ctx); close(over) }()
		time.Sleep(time.Hour)
		if n := f.counts()["app"]; n != 0 {
			t.Errorf("%d checks without the duty", n)
		}
		if _, err := r.Check(t.Context(), keyed("app")); err != nil || f.counts()["app"] != 1 {
			t.Errorf("asked for: %v, %v", f.counts(), err)
		}
		mine.Store(true)
		time.Sleep(25 * time.Hour)
		if n := f.counts()["app"]; n != 2 {
			t.Errorf("%d checks, a day after the duty came", n)
		}
		cancel()
		<-over
	})
}
