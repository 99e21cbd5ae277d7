package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Wait says why no attempt of a queue starts now. The zero Wait: one may.
type Wait struct {
	For    string    // one of the names below; "": nothing keeps it
	Until  time.Time // zero: until somebody does something, or at any moment
	Reason string    // fit to show
}

// What a queue may wait for.
const (
	WaitRemoved   = "removed"   // the destination, from the settings
	WaitDisabled  = "disabled"  // in the settings
	WaitPaused    = "paused"    // by a person
	WaitHeld      = "held"      // by the engine, which probes it at Until
	WaitApart     = "apart"     // it may have killed the process
	WaitThrottled = "throttled" // as the far side asked
	WaitBreaker   = "breaker"   // the far side fails, and is tried one by one
	WaitSettings  = "settings"  // frozen ones that cannot be opened
	WaitEngine    = "engine"    // after a fault of our own
	WaitRate      = "rate"      // of the destination's settings
)

const (
	whyRemoved  = "it is no longer in the settings"
	whyDisabled = "enabled: false in the settings"
)

// Waits says for each queue why nothing of it is tried now.
func (s *Scheduler) Waits(qs []store.QueueID) []Wait {
	now := s.lock()
	defer s.mu.Unlock()
	waits := make([]Wait, len(qs))
	for i, id := range qs {
		d := s.dests[id.Dest]
		if d == nil {
			continue
		}
		l := d.current
		if id.Settings != 0 {
			l = nil
			for _, known := range d.lanes {
				if known.hash == id.Settings {
					l = known
				}
			}
		}
		waits[i] = d.currentWait(l, now)
	}
	return waits
}

// currentWait says why no call of l starts now; l is nil where memory knows the
// destination alone. Of several reasons it tells the one that lasts longest: what only
// a person ends comes before what the engine waits for.
func (d *dest) currentWait(l *lane, now instant) Wait {
	switch {
	case d.removed:
		return Wait{For: WaitRemoved, Reason: whyRemoved}
	case d.disabled:
		return Wait{For: WaitDisabled, Reason: whyDisabled}
	case d.state.Paused:
		return Wait{For: WaitPaused, Reason: d.state.Reason}
	}
	until := func(mono int64) time.Time {
		if mono <= now.mono {
			return time.Time{}
		}
		return now.time().Add(time.Duration(mono - now.mono)).UTC()
	}
	if l != nil && l.held() {
		return Wait{For: WaitHeld, Until: until(l.hold.At), Reason: d.state.Reason}
	}
	if d.apart {
		return Wait{For: WaitApart, Until: until(d.apartUntil), Reason: d.whyApart()}
	}
	switch {
	case l == nil:
		return Wait{}
	case l.retryAfter.Until > now.mono:
		return Wait{For: WaitThrottled, Until: until(l.retryAfter.Until), Reason: l.retryAfter.Why}
	case l.breaker.Open:
		why := "its far side fails, with the settings of the first attempt"
		if l == d.current {
			why = d.failure()
		}
		return Wait{For: WaitBreaker, Until: until(l.breaker.Pace.At), Reason: why}
	case l.inst == nil && l.thaw.pace.At > now.mono:
		return Wait{For: WaitSettings, Until: until(l.thaw.pace.At), Reason: "the settings of the first attempt cannot be opened: see the daemon's log"}
	case l.ownFault.At > now.mono:
		return Wait{For: WaitEngine, Until: until(l.ownFault.At), Reason: "a fault of the daemon's own: see its log"}
	case d.rate.At > now.mono:
		return Wait{For: WaitRate, Until: until(d.rate.At), Reason: "no more attempts a second than rate says"}
	}
	return Wait{}
}
