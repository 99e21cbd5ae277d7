package policy

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// A destination is held when it has failed without one success for longer than
// its schedule lasts, and a tenth more: what was accepted at the beginning is
// dead by then, and without a hold all that follows would die too.
const (
	// HoldAttempts is how many must have failed: more than one delivery makes
	// with the default schedule, so that no single event holds a destination.
	HoldAttempts = 10
	// holdLeast keeps short schedules from holding for a passing outage.
	holdLeast = time.Hour
	// A clock that ran for storeFirst is stored, and every storeEvery from
	// then on: a flapping destination costs no writes, a dead one few.
	storeFirst = time.Minute
	storeEvery = time.Hour
)

// told are the ages at which a notice says that a destination fails.
var told = [...]time.Duration{8 * time.Hour, 16 * time.Hour}

// Outage is the clock of a lane that fails. It counts the time that ends in a
// failure: what ends in a fault of our own, or in the far side's wish to be left
// alone, says nothing, and while the daemon is down nobody looks.
type Outage struct {
	Attempts int       // failed since the last success; 0: the clock stands at zero
	Began    time.Time // the first of them
	Told     int       // how many notices have said so
	since    int64     // mono: began, moved by what does not count
	last     int64     // mono: the last ending that said anything
	storeAt  int64     // mono: when it is stored again
}

// Restored is the clock that was stored as f, going on.
func Restored(f store.Failing, mono int64) Outage {
	return Outage{
		Attempts: f.Attempts, Began: f.Since, Told: f.Told, last: mono,
		since: mono - int64(f.Lasted), storeAt: mono + int64(storeEvery),
	}
}

// Fail counts a failure, at two readings of one moment.
func (o *Outage) Fail(wall time.Time, mono int64) {
	if o.Attempts == 0 {
		*o = Outage{Began: wall, since: mono, storeAt: mono + int64(storeFirst)}
	}
	o.Attempts++
	o.last = mono
}

// Discount takes the time since the last ending out of the clock.
func (o *Outage) Discount(mono int64) {
	if o.Attempts > 0 {
		o.since += mono - o.last
		o.last = mono
	}
}

// Lasted is how long it has lasted.
func (o *Outage) Lasted(mono int64) time.Duration { return time.Duration(mono - o.since) }

// Holds tells whether a destination with that schedule is held after so long.
func (o *Outage) Holds(s retry.Schedule, lasted time.Duration) bool {
	return lasted > holdAfter(s) && o.Attempts >= HoldAttempts
}

// holdAfter is how long a lane may fail. Jitter is left out of the horizon: its
// extremes do not add up.
func holdAfter(s retry.Schedule) time.Duration {
	horizon := retry.Schedule{Waits: s.Waits}.Horizon()
	return max(holdLeast, horizon+horizon/10)
}

// Tell tells whether a notice is to say how long it has lasted. It does so once for each age.
func (o *Outage) Tell(lasted time.Duration) bool {
	before := o.Told
	for o.Told < len(told) && lasted >= told[o.Told] {
		o.Told++
	}
	return o.Told > before
}

// Store tells whether it is to be stored now.
func (o *Outage) Store(mono int64) bool { return mono >= o.storeAt }

// StoreNow has it stored with the next failure.
func (o *Outage) StoreNow() { o.storeAt = o.since }

// Stored puts off when it is stored again.
func (o *Outage) Stored(mono int64) { o.storeAt = mono + int64(storeEvery) }
