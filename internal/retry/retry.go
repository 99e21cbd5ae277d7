// Package retry decides when a failed delivery is due again. It is pure: times
// and chance come in as arguments.
package retry

import "time"

// Schedule is the list of waits after each counted attempt.
type Schedule struct {
	Waits  []time.Duration // Waits[0] follows the first attempt; after the last the delivery is dead
	Jitter float64         // 0.1 spreads each wait evenly over +-10 %
}

// Exponential returns the schedule of retries waits: initial, then each factor times the one before.
func Exponential(initial time.Duration, factor float64, retries int, jitter float64) Schedule {
	panic("being written")
}

// MaxRetryAfter caps what a far side may ask for (CONTRACT 2).
const MaxRetryAfter = 24 * time.Hour

// Next returns when to try again after counted attempt number n (from 1) that
// ended at now; false when the schedule is used up. asked, the far side's
// Retry-After, only lengthens the wait. chance is uniform in [0,1).
func (s Schedule) Next(now time.Time, n int, asked time.Duration, chance float64) (time.Time, bool) {
	panic("being written")
}

// Horizon returns the longest time from the first attempt to the last, jitter included.
func (s Schedule) Horizon() time.Duration { panic("being written") }
