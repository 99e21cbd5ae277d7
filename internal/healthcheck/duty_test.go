package healthcheck

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Of two daemons the one whose duty it is sends them, and whoever takes the duty over goes on
// from the figures that are stored.
func TestOneOfSeveralDaemonsSendsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var holder atomic.Int32
		start := func(n int32) (stop func()) {
			h := New(Options{Store: m, Accept: m.accept, Log: slog.New(slog.DiscardHandler), Mine: func(context.Context) bool { return holder.Load() == n },
				Active: func() map[uint32]bool { return map[uint32]bool{1: true} }})
			h.SetTargets(time.Hour, []Target{target(1)})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { h.Run(ctx); close(done) }()
			return func() { cancel(); <-done }
		}
		holder.Store(1)
		first, second := start(1), start(2)
		for minute := range 4 * 60 {
			time.Sleep(30 * time.Second) // counters are read on the minute
			m.add(1, 1)
			time.Sleep(30 * time.Second)
			if minute == 2*60 {
				first()
				holder.Store(2)
			}
		}
		second()
		if len(m.sent) != 4 {
			t.Fatalf("%d healthchecks in 4 hours", len(m.sent))
		}
		for i, s := range m.sent[1:] {
			if d := s.at.Sub(m.sent[i].at); d != time.Hour {
				t.Errorf("one comes %v after the one before", d)
			}
		}
		if last := m.sent[3].body; !containsCount(last, 60) {
			t.Errorf("the figures of the daemon before are gone: %s", last)
		}
	})
}

func containsCount(body string, n int) bool {
	return strings.Contains(body, fmt.Sprintf(`"sent_webhooks_last_hour":%d`, n))
}
