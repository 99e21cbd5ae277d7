package policy

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// TestBreakerOpens: at least 20 consecutive failures of at least 5 deliveries
// over at least a minute, and not one of them less.
func TestBreakerOpens(t *testing.T) {
	id := func(i int) store.DeliveryID { return store.DeliveryID{Event: event.ID{byte(i)}} }
	tests := []struct {
		name       string
		failures   int
		deliveries int
		span       time.Duration
		success    int // after so many failures; 0: none
		open       bool
	}{
		{"enough of everything", 20, 5, time.Minute, 0, true},
		{"a failure short", 19, 5, time.Hour, 0, false},
		{"a delivery short", 100, 4, time.Hour, 0, false},
		{"a moment short", 100, 50, time.Minute - 1, 0, false},
		{"a success between", 30, 6, time.Hour, 15, false},
		{"enough after a success", 39, 6, time.Hour, 19, true},
	}
	for _, tt := range tests {
		var b Breaker
		opened := 0
		for i := range tt.failures {
			if tt.success > 0 && i == tt.success {
				b.Close()
			}
			if b.Fail(id(i%tt.deliveries), int64(tt.span)*int64(i)/int64(tt.failures-1)) {
				opened++
			}
		}
		if b.Open != tt.open || opened > 1 {
			t.Errorf("%s: open %t, opened %d times", tt.name, b.Open, opened)
		}
	}
}

// TestBreakerGoesOnAfterARestart: failures and time that the process before this one saw
// count; deliveries do not, and five have to fail anew.
func TestBreakerGoesOnAfterARestart(t *testing.T) {
	tests := []struct {
		name     string
		failures int
		lasted   time.Duration
		fail     int // deliveries, at once
		open     bool
	}{
		{"five fail anew", 20, time.Minute, 5, true},
		{"four fail anew", 1000, time.Hour, 4, false},
		{"too few failed", 14, time.Hour, 5, false},
		{"just enough", 15, time.Hour, 5, true},
		{"for too short a time", 1000, time.Minute - 1, 5, false},
		{"none failed", 0, 0, 100, false},
	}
	for _, tt := range tests {
		var b Breaker
		b.Resume(tt.failures, tt.lasted, 1)
		for i := range tt.fail {
			b.Fail(store.DeliveryID{Event: event.ID{byte(i)}}, 1)
		}
		if b.Open != tt.open {
			t.Errorf("%s: open %t", tt.name, b.Open)
		}
		b.Close()
		if b.Fail(store.DeliveryID{}, 1); b.failures != 1 {
			t.Errorf("%s: %d failures after a success and another", tt.name, b.failures)
		}
	}
}
