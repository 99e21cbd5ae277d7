package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// how is how an attempt came to its end.
type how uint8

const (
	accepted    how = iota // Send returned nil
	failed                 // Send returned an error: class tells which
	timedOut               // the attempt's time was up; class tells what Send made of it
	panicked               // Send did
	crashed                // not made: the process died of those before
	interrupted            // cut by shutdown or a lost lease
	engineFault            // our own store or payload store
	bodyGone               // retention or erasure took the body
)

// asked tells whether the destination was asked, and answered or not.
func (h how) asked() bool { return h < crashed }

// ending is what came of one attempt.
type ending struct {
	how     how
	class   destination.Class
	after   time.Duration // how long the far side asked to be left alone; 0 but for Throttled
	code    int
	answer  string // of the far side, or fault if it gave none; fit to show
	fault   string // what the error says, with what to do about it; fit to show
	address string
	at      int64 // ns, start
	took    time.Duration

	requests  int // as store.Attempt has it
	unguarded int // as destination.Receipt has it
}

// terms are what the settings and the lane say.
type terms struct {
	schedule     retry.Schedule
	frozen       bool
	hash         uint64
	current      bool          // the destination still has these settings
	probe        bool          // of a held destination
	nextProbe    time.Duration // then: the wait until the next probe
	ownFaultWait time.Duration // wait after a fault of our own
}

// verdict is what an ending says of the destination.
type verdict uint8

const (
	unchanged     verdict = iota
	healthy               // it answered
	failing               // it did not, or badly
	throttling            // it asked to wait
	misconfigured         // no event would get through
	ownFault              // our own fault
)

// decide is the outcome table: what becomes of the delivery, and what it says
// of its destination. Pure; now is the end of the attempt, chance uniform in [0,1).
func decide(item store.Item, e ending, p terms, now time.Time, chance float64) (store.Outcome, verdict) {
	o := store.Outcome{
		Item: item, State: store.Pending, Due: item.Due, Settings: item.Queue.Settings, Attempts: item.Attempts,
		Attempt: &store.Attempt{At: e.at, Took: e.took, Class: e.logged(), Code: e.code, Answer: e.answer, Address: e.address, Requests: e.requests},
	}
	switch e.how {
	case bodyGone:
		o.Attempt, o.State, o.Reason, o.Due = nil, store.Dead, "expired", 0
		return o, unchanged
	case interrupted:
		return o, unchanged
	case engineFault:
		o.Due = max(item.Due, now.Add(p.ownFaultWait).UnixNano())
		return o, ownFault
	case accepted:
		o.Attempt.Counted = true
		o.State, o.Due, o.Attempts = store.Delivered, 0, item.Attempts+1
		return o, healthy
	case crashed:
		o.Attempt, o.State, o.Reason, o.Due = nil, store.Dead, deadOfCrashes, 0
		return o, unchanged
	case panicked:
		e.class = destination.Transient
	}

	switch e.class {
	case destination.Rejected:
		o.Attempt.Counted = true
		o.State, o.Reason, o.Due, o.Attempts = store.Dead, reason("rejected", e.fault), 0, item.Attempts+1
		return o, healthy
	case destination.Misconfigured:
		if !p.current {
			// Nobody can mend settings that are gone.
			o.Settings, o.Due = 0, now.UnixNano()
			return o, unchanged
		}
		return o, misconfigured
	}

	// Transient and Throttled use up an attempt, unless the engine tried on its
	// own account whether the hold is over.
	says := failing
	if e.class == destination.Throttled {
		says = throttling
	}
	if p.probe {
		// The next probe is of another delivery: one that the far side will never
		// take must not keep the others from showing that it is back.
		o.Due = max(item.Due, now.Add(p.nextProbe).UnixNano())
		return o, says
	}
	o.Attempt.Counted = true
	o.Attempts = item.Attempts + 1
	next, ok := p.schedule.Next(now, int(o.Attempts), e.after, chance)
	if !ok {
		o.State, o.Reason, o.Due = store.Dead, reason("attempts used up", e.fault), 0
		return o, says
	}
	o.Due = next.UnixNano()
	if p.frozen && o.Settings == 0 {
		o.Settings = p.hash
	}
	return o, says
}

// logged is the class of the attempt as its log has it.
func (e *ending) logged() string {
	switch e.how {
	case accepted:
		return "delivered"
	case interrupted, engineFault:
		return "interrupted"
	case panicked:
		return destination.Transient.String()
	}
	return className(e.class)
}

// className is the class as logs and metrics show it. What a destination made
// up is Transient, like an error nobody classified.
func className(c destination.Class) string {
	switch c {
	case destination.Throttled, destination.Rejected, destination.Misconfigured:
		return c.String()
	}
	return destination.Transient.String()
}

func reason(what, answer string) string {
	if answer == "" {
		return what
	}
	return what + ": " + answer
}
