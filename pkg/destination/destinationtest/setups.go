package destinationtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Setup is a far side as some customer has it: what a check has to find there,
// and what becomes of deliveries. The check comes first, as `fantail check` does
// before a destination's first event.
type Setup struct {
	Name string

	// Open prepares the far side and opens a destination to it with deps, through
	// which all of its connections must go. RunSetups closes it.
	Open func(tb testing.TB, deps destination.Deps) destination.Destination

	Check Verdict // of the check
	Send  Verdict // of every delivery

	// Bodies are the events to deliver, one after the other; nil: one of each
	// table, folder and form of content.
	Bodies []string

	// After looks at the far side when all is sent: whether it has what it should,
	// and still has what is somebody else's; nil: nothing to see.
	After func(tb testing.TB)

	// Unseen is why a check that finds nothing in the way cannot see what stops
	// deliveries; "": it must see it.
	Unseen string
}

// Verdict is an expected end.
type Verdict struct {
	Is   Fate
	Says []string // what the text must hold, such as the SQL to run
}

// Fate is the class of an end.
type Fate int

const (
	Fine    Fate = iota // no error
	Noted               // of a check: nothing is in the way of deliveries, but something is to be said
	Held                // destination.Misconfigured
	Refused             // destination.Rejected
	Retried             // destination.Transient or Throttled
)

func (f Fate) String() string {
	return [...]string{"fine", "noted", "held", "refused", "retried"}[f]
}

// fateOf is the fate that err means.
func fateOf(err error) Fate {
	if _, noted := errors.AsType[destination.Remark](err); noted {
		return Noted
	}
	if err == nil {
		return Fine
	}
	switch class, _ := destination.ClassOf(err); class {
	case destination.Misconfigured:
		return Held
	case destination.Rejected:
		return Refused
	}
	return Retried
}

// typical are events of each table, folder and form of content.
var typical = []string{
	`{"type":"auth","status":"success","user":{"user_id":"u-1","provider":"FITBIT","reference_id":"r-1","scopes":"daily,sleep"}}`,
	`{"type":"activity","version":"2022-03-16","user":{"user_id":"u-1","provider":"FITBIT","reference_id":"r-1"},` +
		`"data":[{"metadata":{"summary_id":"s-1","start_time":"2026-03-12T06:00:00+01:00","end_time":"2026-03-12T07:00:00+01:00"}},` +
		`{"metadata":{"summary_id":"s-2","start_time":"2026-03-12T16:00:00+01:00"}}]}`,
	`{"type":"daily","version":"2022-03-16","user":{"user_id":"u-2","provider":"OURA"},"data":[{"metadata":{"start_time":"2026-03-12T00:00:00+01:00"}}]}`,
	`{"type":"healthcheck","version":"2022-03-16","status":"normal","creation_timestamp":"2026-03-12T06:00:00Z"}`,
	`{"type":"deauth","user":{"user_id":"u-2","provider":"OURA"}}`,
}

// RunSetups checks and delivers to every set-up. A set-up whose check finds
// nothing in the way must take its deliveries, unless it says why that cannot be
// seen.
func RunSetups(t *testing.T, setups []Setup) {
	for _, s := range setups {
		t.Run(s.Name, func(t *testing.T) { s.run(newSetupBench(t)) })
	}
}

func newSetupBench(tb testing.TB) *bench {
	return newBench(tb, Kind{Start: func(testing.TB) FarSide { return nil }, patience: time.Minute})
}

func (s Setup) run(b *bench) {
	if s.Check.Is <= Noted && s.Send.Is == Held && s.Unseen == "" {
		b.Fatalf("the set-up is %v for the check and %v for deliveries: say why the check cannot see it", s.Check.Is, s.Send.Is)
	}
	d := s.Open(b.TB, b.lent())
	defer func() {
		if err := d.Close(); err != nil {
			b.Errorf("close: %v", err)
		}
	}()
	s.Check.of(b, "check", d.(destination.Checker).Check(b.ctx()))
	bodies := s.Bodies
	if bodies == nil {
		bodies = typical
	}
	for n, body := range bodies {
		_, err := d.Send(b.ctx(), Delivery(b.TB, n+1, []byte(body)))
		s.Send.of(b, "send "+body, err)
	}
	if s.After != nil {
		s.After(b.TB)
	}
}

// of holds err against v.
func (v Verdict) of(b *bench, what string, err error) {
	b.Helper()
	if got := fateOf(err); got != v.Is {
		b.Errorf("%.120s: %v: %v; want %v", what, got, err, v.Is)
		return
	}
	for _, want := range v.Says {
		if err == nil || !strings.Contains(err.Error(), want) {
			b.Errorf("%.120s: %v; want it to say %q", what, err, want)
		}
	}
}
