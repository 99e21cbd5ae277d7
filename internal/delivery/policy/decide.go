// Package policy is the rules of delivery, apart from who applies them: what becomes of
// a delivery after an ending (decide.go), when a lane is left alone (breaker.go,
// outage.go, retryafter.go, pacer.go), and how much of it runs at once (concurrency.go,
// bucket.go). It reads no clock and holds no lock: times are handed in. What is called mono is ns
// of a monotonic clock.
package policy

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// How is how an attempt came to its end.
type How uint8

const (
	Accepted    How = iota // Send returned nil
	Failed                 // Send returned an error: class tells which
	TimedOut               // the attempt's time was up; class tells what Send made of it
	Panicked               // Send did
	Crashed                // not made: the process died of those before
	Interrupted            // cut by shutdown or a lost lease
	EngineFault            // our own store or payload store
	BodyGone               // retention or erasure took the body
)

// Asked tells whether the destination was asked, and answered or not.
func (h How) Asked() bool { return h < Crashed }

// Ending is what came of one attempt.
type Ending struct {
	How     How
	Class   destination.Class
	After   time.Duration // how long the far side asked to be left alone; 0 but for Throttled
	Code    int
	Answer  string // of the far side, or fault if it gave none; fit to show
	Fault   string // what the error says, with what to do about it; fit to show
	Address string
	At      int64 // ns, start
	Took    time.Duration

	Requests  int // as store.Attempt has it
	Unguarded int // as destination.Receipt has it
}

// DeadOfCrashes is why a delivery is dead that killed the process.
const DeadOfCrashes = "the process died during each of its last 5 attempts, with nothing else suspected"

// Terms are what the settings and the lane say.
type Terms struct {
	Schedule     retry.Schedule
	Frozen       bool
	Hash         uint64
	Current      bool          // the destination still has these settings
	Probe        bool          // of a held destination
	NextProbe    time.Duration // then: the wait until the next probe
	OwnFaultWait time.Duration // wait after a fault of our own
}

// Verdict is what an ending says of the destination.
type Verdict uint8

const (
	Unchanged     Verdict = iota
	Healthy               // it answered
	Failing               // it did not, or badly
	Throttling            // it asked to wait
	Misconfigured         // no event would get through
	OwnFault              // our own fault
)

// Decide is the outcome table: what becomes of the delivery, and what it says
// of its destination. Pure; now is the end of the attempt, chance uniform in [0,1).
func Decide(item store.Item, e Ending, p Terms, now time.Time, chance float64) (store.Outcome, Verdict) {
	o := store.Outcome{
		Item: item, State: store.Pending, Due: item.Due, Settings: item.Queue.Settings, Attempts: item.Attempts,
		Attempt: &store.Attempt{At: e.At, Took: e.Took, Class: e.Logged(), Code: e.Code, Answer: e.Answer, Address: e.Address, Requests: e.Requests},
	}
	switch e.How {
	case BodyGone:
		o.Attempt, o.State, o.Reason, o.Due = nil, store.Dead, "expired", 0
		return o, Unchanged
	case Interrupted:
		return o, Unchanged
	case EngineFault:
		o.Due = max(item.Due, now.Add(p.OwnFaultWait).UnixNano())
		return o, OwnFault
	case Accepted:
		o.Attempt.Counted = true
		o.State, o.Due, o.Attempts = store.Delivered, 0, item.Attempts+1
		return o, Healthy
	case Crashed:
		o.Attempt, o.State, o.Reason, o.Due = nil, store.Dead, DeadOfCrashes, 0
		return o, Unchanged
	case Panicked:
		e.Class = destination.Transient
	}

	switch e.Class {
	case destination.Rejected:
		o.Attempt.Counted = true
		o.State, o.Reason, o.Due, o.Attempts = store.Dead, Reason("rejected", e.Fault), 0, item.Attempts+1
		return o, Healthy
	case destination.Misconfigured:
		if !p.Current {
			// Nobody can mend settings that are gone.
			o.Settings, o.Due = 0, now.UnixNano()
			return o, Unchanged
		}
		return o, Misconfigured
	}

	// Transient and Throttled use up an attempt, unless the engine tried on its
	// own account whether the hold is over.
	says := Failing
	if e.Class == destination.Throttled {
		says = Throttling
	}
	if p.Probe {
		// The next probe is of another delivery: one that the far side will never
		// take must not keep the others from showing that it is back.
		o.Due = max(item.Due, now.Add(p.NextProbe).UnixNano())
		return o, says
	}
	o.Attempt.Counted = true
	o.Attempts = item.Attempts + 1
	next, ok := p.Schedule.Next(now, int(o.Attempts), e.After, chance)
	if !ok {
		o.State, o.Reason, o.Due = store.Dead, Reason("attempts used up", e.Fault), 0
		return o, says
	}
	o.Due = next.UnixNano()
	if p.Frozen && o.Settings == 0 {
		o.Settings = p.Hash
	}
	return o, says
}

// Logged is the class of the attempt as its log has it.
func (e *Ending) Logged() string {
	switch e.How {
	case Accepted:
		return "delivered"
	case Interrupted, EngineFault:
		return "interrupted"
	case Panicked:
		return destination.Transient.String()
	}
	return className(e.Class)
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

// Reason is what with the answer behind it, if there is one.
func Reason(what, answer string) string {
	if answer == "" {
		return what
	}
	return what + ": " + answer
}
