package policy

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// The breaker opens after this much has failed without a success between: an
// outage, not one bad event and not a bad second.
const (
	breakerFailures   = 20
	breakerDeliveries = 5
	breakerSpan       = time.Minute
	BreakerFirst      = time.Second
	BreakerMost       = time.Minute
)

// Breaker of a lane. While it is open one attempt at a time looks whether the
// far side is back. These attempts count; whatever else is due is left alone
// and keeps its attempts.
type Breaker struct {
	Open       bool
	failures   int
	since      int64              // mono: the first of them
	deliveries []store.DeliveryID // distinct, the first few; made when one fails: most lanes never need it
	Pace       Pacer
}

// Fail counts one failure of a delivery and tells whether the breaker opens with it.
func (b *Breaker) Fail(id store.DeliveryID, mono int64) bool {
	if b.Open {
		b.Pace.Next(mono, BreakerFirst, BreakerMost)
		return false
	}
	if b.failures == 0 {
		b.since = mono
	}
	b.failures++
	if len(b.deliveries) < breakerDeliveries && !b.knows(id) {
		b.deliveries = append(b.deliveries, id)
	}
	if b.failures < breakerFailures || len(b.deliveries) < breakerDeliveries || mono-b.since < int64(breakerSpan) {
		return false
	}
	b.Open = true
	b.Pace = Pacer{}
	b.Pace.Next(mono, BreakerFirst, BreakerMost)
	return true
}

// Resume goes on with the failures of the process before this one, which lasted so
// long. Of how many deliveries they were is not known: those have to fail anew, and
// with them the far side has shown that it is still down.
func (b *Breaker) Resume(failures int, lasted time.Duration, mono int64) {
	b.failures, b.since = failures, mono-int64(lasted)
}

// Failing tells whether the last attempt failed.
func (b *Breaker) Failing() bool { return b.failures > 0 }

func (b *Breaker) knows(id store.DeliveryID) bool {
	for _, w := range b.deliveries {
		// Not by queue: the first failure moves a frozen delivery to another one.
		if w.Event == id.Event && w.Replay == id.Replay {
			return true
		}
	}
	return false
}

// Close forgets everything and tells whether it was open.
func (b *Breaker) Close() bool {
	was := b.Open
	*b = Breaker{}
	return was
}
