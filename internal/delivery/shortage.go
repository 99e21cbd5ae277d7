package delivery

import "time"

const (
	// failingPart is which part of what is healthy fails at most while processors are short: a
	// thousand dead destinations, each of which gets one call after the other, take them all else.
	failingPart = 8
	// failingLeast is how many calls of lanes that fail begin in shortageEvery in any case.
	failingLeast = 64

	shortageEvery = 250 * time.Millisecond
)

// shortage holds lanes that fail back while processors are short. Those whose breaker is open
// are tried now and then anyway.
type shortage struct {
	on      bool
	until   int64 // mono: when it is looked at again
	healthy int   // calls of other lanes that began since the last look
	failing int   // calls that lanes that fail may begin until the next one
}

// reviewShortage looks whether processors are short.
func (s *Scheduler) reviewShortage(now instant) {
	h := &s.shortage
	if now.mono < h.until {
		return
	}
	h.on = s.lag.wait(now.mono) >= busyWait
	h.failing = max(failingLeast, h.healthy/failingPart)
	h.until, h.healthy = now.mono+int64(shortageEvery), 0
}

// holdBack tells whether a lane has to wait for the next look, and counts its call otherwise.
func (h *shortage) holdBack(l *lane) bool {
	switch {
	case !l.fails():
		h.healthy++
	case h.on && h.failing == 0:
		l.heldBack = h.until
		return true
	case h.on:
		h.failing--
	}
	return false
}

// fails tells whether the last attempts of a lane that is tried as often as any other have failed.
func (l *lane) fails() bool { return l.breaker.Failing() && !l.probing() }
