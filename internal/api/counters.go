package api

import (
	"fmt"
	"sync"
	"time"
)

// countersEvery is how often those who follow counters are told them.
const countersEvery = 2 * time.Second

// recent is what each developer's destinations came to a moment ago. Destinations are gone through once a second at
// the most, however many follow counters.
type recent struct {
	mu sync.Mutex
	at time.Time
	of map[string]*totalsView
}

// totalsOf sums up the destinations that who may see.
func (a *API) totalsOf(who *principal) totalsView {
	r := &a.recent
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.of == nil || now.Sub(r.at) >= countersEvery/2 {
		r.at, r.of = now, map[string]*totalsView{}
		for _, s := range a.Scheduler.Status() {
			t := r.of[s.Key.Developer]
			if t == nil {
				t = &totalsView{States: map[string]int{}}
				r.of[s.Key.Developer] = t
			}
			t.add(&s)
		}
	}
	sum := totalsView{States: map[string]int{}}
	for developer, t := range r.of {
		if who.sees(developer) {
			sum.plus(t)
		}
	}
	return sum
}

// plus adds those of other destinations.
func (t *totalsView) plus(o *totalsView) {
	t.Destinations += o.Destinations
	for state, n := range o.States {
		t.States[state] += n
	}
	t.Failing += o.Failing
	t.Waiting += o.Waiting
	t.Pending += o.Pending
	t.InFlight += o.InFlight
	t.Dead += o.Dead
	if o.OldestPending.Before(t.OldestPending) && !o.OldestPending.IsZero() || t.OldestPending.IsZero() {
		t.OldestPending = o.OldestPending
	}
}

// toTell reads what a reader of the stream wants to be told of: attempts, if they do not say.
func toTell(names []string) (attempts, counters bool, err error) {
	for _, name := range names {
		switch name {
		case "attempts":
			attempts = true
		case "counters":
			counters = true
		default:
			return false, false, refuse(400, "invalid_parameter", fmt.Sprintf("unknown tell %q: want attempts or counters", name))
		}
	}
	return attempts || len(names) == 0, counters, nil
}
