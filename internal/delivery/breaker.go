package delivery

import "time"

// The breaker opens after this much has failed without a success between: an
// outage, not one bad event and not a bad second.
const (
	breakerFailures   = 20
	breakerDeliveries = 5
	breakerSpan       = time.Minute
	breakerFirst      = time.Second
	breakerMost       = time.Minute
)

// breaker of a lane. While it is open one attempt at a time looks whether the
// far side is back. These attempts count; whatever else is due is left alone
// and keeps its attempts.
type breaker struct {
	open       bool
	failures   int
	since      int64 // mono: the first of them
	deliveries [breakerDeliveries]key
	distinct   int // of who
	pace       pacer
}

// fail notes one failure of k and tells whether the breaker opens with it.
func (b *breaker) fail(k key, mono int64) bool {
	if b.open {
		b.pace.next(mono, breakerFirst, breakerMost)
		return false
	}
	if b.failures == 0 {
		b.since = mono
	}
	b.failures++
	if b.distinct < len(b.deliveries) && !b.knows(k) {
		b.deliveries[b.distinct] = k
		b.distinct++
	}
	if b.failures < breakerFailures || b.distinct < breakerDeliveries || mono-b.since < int64(breakerSpan) {
		return false
	}
	b.open = true
	b.pace = pacer{}
	b.pace.next(mono, breakerFirst, breakerMost)
	return true
}

func (b *breaker) knows(k key) bool {
	for _, w := range b.deliveries[:b.distinct] {
		// Not by queue: the first failure moves a frozen delivery to another one.
		if w.event == k.event && w.replay == k.replay {
			return true
		}
	}
	return false
}

// close forgets everything and tells whether it was open.
func (b *breaker) close() bool {
	was := b.open
	*b = breaker{}
	return was
}
