package simulation

import (
	"slices"
	"time"
)

// Step is a step of the wall clock. Everything else here is measured by the monotonic clock, which does
// not step.
type Step struct{ At, By time.Duration }

// noticed is how soon after a step forward the daemon must act on what became due by it: no timer fires
// for a step.
const noticed = time.Minute

// steps draws steps where they matter. A clock that was wrong is set right, or a right one is set wrong for
// a while, and a machine that slept wakes up late.
func (d *drawing) steps() {
	s := d.s
	if !d.chance(0.35) {
		return
	}
	for range 1 + d.IntN(4) {
		at := d.soon()
		if d.chance(0.3) { // it slept
			s.Steps = append(s.Steps, Step{at, d.scale(time.Minute, 8*time.Hour)})
			continue
		}
		by := d.scale(time.Millisecond, 5*time.Hour)
		if d.chance(0.6) {
			by = -by
		}
		s.Steps = append(s.Steps, Step{at, by})
		if d.chance(0.5) {
			s.Steps = append(s.Steps, Step{at + d.scale(time.Second, 4*time.Hour), -by})
		}
	}
	slices.SortFunc(s.Steps, func(a, b Step) int { return int(a.At - b.At) })
}

// wall is what the wall clock shows at a moment.
func (m *Model) wall(at int64) int64 {
	shown := at
	for _, s := range m.sc.Steps {
		if m.began.UnixNano()+int64(s.At) <= at {
			shown += int64(s.By)
		}
	}
	return shown
}

func (m *Model) wallTime(t time.Time) time.Time { return time.Unix(0, m.wall(t.UnixNano())) }

// steps returns the moments of the steps behind from and before to.
func (m *Model) steps(from, to int64) (at []int64) {
	for _, s := range m.sc.Steps {
		if t := m.began.UnixNano() + int64(s.At); from < t && t < to {
			at = append(at, t)
		}
	}
	return at
}

// ripe returns when the wall clock first showed the due time of d since its row last changed, or will show
// it. What was due once stays due: a step back does not take it out of memory.
func (m *Model) ripe(d *parcel, now int64) int64 {
	r := d.past[len(d.past)-1]
	from := r.at
	for _, to := range append(m.steps(from, now), now) {
		if due := from + max(0, r.due-m.wall(from)); due < to {
			return due
		}
		from = to
	}
	return now + max(0, r.due-m.wall(now))
}

// dueBy returns from when on an attempt of d must be started, with no step between since and then: its due
// time, or the moment when an earlier step that made it due is noticed.
func (m *Model) dueBy(d *parcel, since int64) int64 {
	due := d.now().due
	start := since + due - m.wall(since)
	for _, at := range m.steps(since-int64(noticed), since+1) {
		if m.wall(at) > m.wall(at-1) && due > m.wall(at-1) {
			start = max(start, at+int64(noticed))
		}
	}
	return start
}
