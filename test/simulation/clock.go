package simulation

import (
	"slices"
	"time"
)

// Step is a step of the wall clock. The time that passes, by which all else is
// measured here, is the monotonic clock's.
type Step struct{ At, By time.Duration }

// noticed is how soon after a step forward the daemon must act on what became
// due with it: no timer tells it.
const noticed = time.Minute

// steps are drawn where they matter: a clock that was wrong is set right, or a
// right one is set wrong for a while, and a machine that sleeps wakes up later.
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

// ripe returns the first moment since the row of d is as it is at which the wall
// clock showed its due time, or the moment now. What was due once stays so:
// a step back does not take it out of memory.
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

// dueBy returns from which moment on an attempt of d, which no step comes between
// since and, must be started: its due time, or when a step before it that made it due is noticed.
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
