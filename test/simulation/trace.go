package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report says what was wrong, and what led to it.
func (e *engine) report() string {
	m := e.model
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d faults; to repeat:\n  go test ./test/simulation -run TestSeeds -seed=%d -v\n", e.sc.Seed, len(m.faults)+m.dropped, e.sc.Seed)
	shown := map[*parcel]bool{}
	for _, f := range m.faults {
		who := ""
		if f.d != nil {
			who = f.d.String() + ": "
		}
		fmt.Fprintf(&b, "\n%s %s%s\n", clock(f.at), who, f.text)
		if f.d != nil && !shown[f.d] && len(shown) < 3 {
			shown[f.d] = true
			b.WriteString(m.trace(f.d))
		}
	}
	if len(shown) == 0 {
		b.WriteString("\nthe whole run:\n")
		m.talk.Lock()
		ns := slices.Clone(m.notes)
		m.talk.Unlock()
		sortNotes(ns)
		lines(&b, ns)
	}
	return b.String()
}

// trace is what happened to a delivery, its destination and the daemon, in order.
func (m *Model) trace(d *parcel) string {
	m.talk.Lock()
	defer m.talk.Unlock()
	ns := slices.Concat(m.notes, d.notes)
	for _, n := range d.dest.notes {
		ns = append(ns, note{n.at, d.dest.Name + " " + n.text})
	}
	sortNotes(ns)
	var b strings.Builder
	fmt.Fprintf(&b, "%s", d)
	for _, v := range d.dest.Versions {
		fmt.Fprintf(&b, "\n    settings %x: frozen %v, timeout %v, waits %v, jitter %g", v.Hash, v.Frozen, v.Timeout, v.Schedule.Waits, v.Schedule.Jitter)
	}
	b.WriteString("\n")
	lines(&b, ns)
	return b.String()
}

func sortNotes(ns []note) {
	slices.SortStableFunc(ns, func(a, b note) int { return int(a.at - b.at) })
}

const mostLines = 150

func lines(b *strings.Builder, ns []note) {
	if len(ns) > mostLines {
		fmt.Fprintf(b, "    ... %d lines before\n", len(ns)-mostLines)
		ns = ns[len(ns)-mostLines:]
	}
	for _, n := range ns {
		fmt.Fprintf(b, "    %s %s\n", clock(n.at), n.text)
	}
}

// summary is one line about a run.
func (e *engine) summary(took time.Duration) string {
	m := e.model
	states := map[string]int{}
	for _, d := range m.order {
		if d.gone {
			states["gone"]++
		} else {
			states[d.now().state.String()]++
		}
	}
	return fmt.Sprintf("seed %d: %v of fake time in %v, %d destinations, %d events, %d deliveries %v, %d attempts, %d starts",
		e.sc.Seed, e.sc.Length.Round(time.Minute), took.Round(time.Millisecond), len(e.sc.Dests), len(m.requests), len(m.order), states, m.tries, e.runs)
}
