// Package retry decides when a failed delivery is due again. It is pure: times
// and chance come in as arguments.
package retry

import (
	"math"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Schedule is the list of waits after each counted attempt.
type Schedule struct {
	Waits  []time.Duration // Waits[0] follows the first attempt; after the last the delivery is dead
	Jitter float64         // 0.1 spreads each wait evenly over +-10 %; more than 1 counts as 1, less than 0 as 0
}

// maxWait is where exponential waits stop growing. It is far below the largest
// Duration because backoff's own check for overflow compares floats, which
// round up to 2^63 there and wrap to a negative wait.
const maxWait = 10 * 365 * 24 * time.Hour

// Exponential returns the schedule of retries waits: initial, then each factor
// times the one before, none above ten years. A factor below 1 counts as 1, a
// negative initial as 0; with no retries the first failure is the last.
func Exponential(initial time.Duration, factor float64, retries int, jitter float64) Schedule {
	if !(factor >= 1) { // also NaN
		factor = 1
	}
	// The spread is left to Next: a schedule is settings, it must not vary from
	// one reading to the next.
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(min(max(initial, 0), maxWait)),
		backoff.WithMultiplier(factor),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxInterval(maxWait),
		backoff.WithMaxElapsedTime(0),
	)
	waits := make([]time.Duration, max(retries, 0))
	for i := range waits {
		waits[i] = b.NextBackOff()
	}
	return Schedule{Waits: waits, Jitter: jitter}
}

// Next returns when to try again after counted attempt number n (from 1) that
// ended at now; false when the schedule is used up. asked, what
// the far side's Retry-After comes to, only lengthens the wait. chance is uniform
// in [0,1).
func (s Schedule) Next(now time.Time, n int, asked time.Duration, chance float64) (time.Time, bool) {
	n = max(n, 1)
	if n > len(s.Waits) {
		return time.Time{}, false
	}
	wait := stretch(s.Waits[n-1], s.jitter()*(2*chance-1))
	return now.Add(max(wait, asked)), true
}

// AtLeast returns the schedule with every wait that is shorter than least as
// long as that. The jitter stays: least is the middle of what it spreads.
func (s Schedule) AtLeast(least time.Duration) Schedule {
	if !slices.ContainsFunc(s.Waits, func(w time.Duration) bool { return w < least }) {
		return s
	}
	waits := slices.Clone(s.Waits)
	for i := range waits {
		waits[i] = max(waits[i], least)
	}
	return Schedule{Waits: waits, Jitter: s.Jitter}
}

// Horizon returns the longest time from the first attempt to the last that the
// schedule alone makes, jitter included. What a far side asks for with
// Retry-After, holds, and the time attempts take come on top.
func (s Schedule) Horizon() time.Duration {
	var sum time.Duration
	for _, w := range s.Waits {
		w = stretch(w, s.jitter())
		if sum > math.MaxInt64-w {
			return math.MaxInt64
		}
		sum += w
	}
	return sum
}

func (s Schedule) jitter() float64 {
	if !(s.Jitter > 0) { // also NaN
		return 0
	}
	return min(s.Jitter, 1)
}

// stretch returns wait lengthened by the part by, at least 0, never overflowing.
func stretch(wait time.Duration, by float64) time.Duration {
	wait = max(wait, 0)
	delta := float64(wait) * by
	if delta >= float64(math.MaxInt64-wait) {
		return math.MaxInt64
	}
	return max(wait+time.Duration(delta), 0)
}
