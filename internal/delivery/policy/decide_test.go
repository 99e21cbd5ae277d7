package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestOutcomeTable is the outcome table: every ending, with every kind of
// settings it can end under.
func TestOutcomeTable(t *testing.T) {
	const (
		hash   = 77
		frozen = 66 // of a delivery that is frozen already
	)
	now := time.Unix(1_800_000_000, 0)
	due := now.Add(-time.Minute).UnixNano()
	plan := retry.Schedule{Waits: []time.Duration{time.Minute, time.Hour}}
	in := func(d time.Duration) int64 { return now.Add(d).UnixNano() }

	endings := []struct {
		name string
		e    Ending
		want func(item store.Item, p Terms) result
	}{
		{"nil", Ending{How: Accepted}, func(it store.Item, _ Terms) result {
			return result{store.Delivered, 0, it.Attempts + 1, true, "delivered", Healthy}
		}},
		{"transient", Ending{How: Failed}, transient(plan, now, Failing)},
		{"unclassified", Ending{How: Failed, Class: destination.Class(99)}, transient(plan, now, Failing)},
		{"timeout", Ending{How: TimedOut}, transient(plan, now, Failing)},
		{"panic", Ending{How: Panicked}, transient(plan, now, Failing)},
		{"dead of crashes", Ending{How: Crashed}, func(it store.Item, _ Terms) result {
			return result{store.Dead, 0, it.Attempts, false, "", Unchanged}
		}},
		{"throttled less than the schedule", Ending{How: Failed, Class: destination.Throttled, After: time.Second},
			named(transient(plan, now, Throttling), "throttled")},
		{"throttled more than the schedule", Ending{How: Failed, Class: destination.Throttled, After: 5 * time.Hour},
			named(asked(transient(plan, now, Throttling), in(5*time.Hour)), "throttled")},
		{"rejected", Ending{How: Failed, Class: destination.Rejected, Answer: "no such column"}, func(it store.Item, _ Terms) result {
			return result{store.Dead, 0, it.Attempts + 1, true, "rejected", Healthy}
		}},
		{"misconfigured", Ending{How: Failed, Class: destination.Misconfigured}, func(it store.Item, p Terms) result {
			if p.Current {
				return result{store.Pending, due, it.Attempts, false, "misconfigured", Misconfigured}
			}
			return result{store.Pending, in(0), it.Attempts, false, "misconfigured", Unchanged}
		}},
		{"shutdown", Ending{How: Interrupted}, func(it store.Item, _ Terms) result {
			return result{store.Pending, due, it.Attempts, false, "interrupted", Unchanged}
		}},
		{"our own fault", Ending{How: EngineFault}, func(it store.Item, p Terms) result {
			return result{store.Pending, in(p.OwnFaultWait), it.Attempts, false, "interrupted", OwnFault}
		}},
		{"no body", Ending{How: BodyGone}, func(it store.Item, _ Terms) result {
			return result{store.Dead, 0, it.Attempts, false, "", Unchanged}
		}},
	}
	for _, tt := range endings {
		for mask := range 16 {
			p := Terms{Schedule: plan, Hash: hash, Frozen: mask&1 != 0, Current: mask&2 != 0, Probe: mask&4 != 0, NextProbe: 2 * time.Minute, OwnFaultWait: 3 * time.Second}
			queue := store.QueueID{Dest: 1}
			if mask&8 != 0 {
				queue.Settings = frozen
			}
			for attempts := range uint16(4) {
				it := store.Item{Queue: queue, Due: due, Attempts: attempts, Version: 5}
				name := fmt.Sprintf("%s/frozen=%t,current=%t,probe=%t,queue=%d,attempts=%d", tt.name, p.Frozen, p.Current, p.Probe, queue.Settings, attempts)
				want := tt.want(it, p)
				tt.e.At, tt.e.Took, tt.e.Code, tt.e.Address = 9, time.Second, 503, "192.0.2.1:443"
				o, v := Decide(it, tt.e, p, now, 0.5)
				got := result{o.State, o.Due, o.Attempts, false, "", v}
				if a := o.Attempt; a != nil {
					got.counted, got.class = a.Counted, a.Class
					if a.At != 9 || a.Took != time.Second || a.Code != 503 || a.Address != "192.0.2.1:443" || a.Answer != tt.e.Answer {
						t.Errorf("%s: attempt %+v", name, a)
					}
				}
				if got != want {
					t.Errorf("%s: got %+v, want %+v", name, got, want)
				}
				if o.Item != it {
					t.Errorf("%s: the item is not as it was offered", name)
				}
				settings := queue.Settings
				switch {
				case o.State != store.Pending:
					settings = o.Settings
				case tt.name == "misconfigured" && !p.Current:
					settings = 0
				case got.counted && p.Frozen && settings == 0:
					settings = hash
				}
				if o.Settings != settings {
					t.Errorf("%s: goes on with settings %d, want %d", name, o.Settings, settings)
				}
				if (o.State == store.Dead) != (o.Reason != "") {
					t.Errorf("%s: %v because of %q", name, o.State, o.Reason)
				}
			}
		}
	}
}

// result is what one row of the table promises.
type result struct {
	state    store.State
	due      int64
	attempts uint16
	counted  bool
	class    string // "": no attempt is logged
	verdict  Verdict
}

// transient: the schedule's next time, dead when it is used up; a probe counts
// nothing, and its delivery stands back until the next one.
func transient(plan retry.Schedule, now time.Time, v Verdict) func(store.Item, Terms) result {
	return func(it store.Item, p Terms) result {
		r := result{store.Pending, it.Due, it.Attempts, false, "transient", v}
		if p.Probe {
			r.due = now.Add(p.NextProbe).UnixNano()
			return r
		}
		r.counted = true
		r.attempts++
		if int(it.Attempts) >= len(plan.Waits) {
			r.state, r.due = store.Dead, 0
			return r
		}
		r.due = now.Add(plan.Waits[it.Attempts]).UnixNano()
		return r
	}
}

// asked lengthens the wait to what the far side asked for.
func asked(f func(store.Item, Terms) result, due int64) func(store.Item, Terms) result {
	return func(it store.Item, p Terms) result {
		r := f(it, p)
		if r.counted && r.state == store.Pending {
			r.due = max(r.due, due)
		}
		return r
	}
}

func named(f func(store.Item, Terms) result, class string) func(store.Item, Terms) result {
	return func(it store.Item, p Terms) result {
		r := f(it, p)
		r.class = class
		return r
	}
}
