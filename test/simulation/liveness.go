package simulation

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// A delivery is eligible from the latest of: its due time (where a step of the
// wall clock made it due, a minute later), the moment when the scheduler learned
// of it, the end of what its far side asked for, and the end of a fault of our
// own. A lane must start an attempt of one that is eligible within lateMost, if
//
//   - the daemon runs, and the destination is neither paused, disabled, removed
//     nor being changed;
//   - fewer attempts of the lane are in flight than its concurrency allows
//     (one that succeeded so far is at 1, 2, 4, ... max_in_flight), none of them
//     for more than a second, which is when an attempt counts as slow;
//   - with its breaker open or held: nothing of it is in flight, and the wait
//     between two probes is over;
//   - it does not wait apart, since it, or a delivery of it, may have been in
//     flight at three crashes running: then it has two hours.
//
// Nothing else counts: whatever happens to other destinations is no excuse.
const lateMost = time.Millisecond

// late returns how late an attempt may be in this run.
func (m *Model) late() time.Duration {
	switch {
	case m.sc.tight(): // it may wait for places that others hang on to, until their timeouts
		return time.Hour
	case m.sc.Faults > 0: // it may wait until the store works again
		return 5 * time.Minute
	case m.sc.Lag > 0:
		return lateMost + 12*m.sc.Lag
	}
	return lateMost
}

// touch comes before anything that may change what the lane can do. What is true now was true since the last
// touch, except for steps of the wall clock.
func (m *Model) touch(l *lane, now int64) {
	for _, step := range m.steps(l.since, now) {
		m.idled(l, step)
	}
	m.idled(l, now)
}

// idled reports what the lane should have done since the last touch, and touches it.
func (m *Model) idled(l *lane, now int64) {
	since := l.since
	l.since = now
	late := m.late()
	if l.dest.excused {
		late += 2 * time.Hour
	}
	if d, from := m.idle(l, since, now, int64(late)); d != nil {
		m.faultLocked(d, "was eligible from %s and had not been tried by %s (lane: %d in flight, concurrency %d of %d%s)",
			clock(from), clock(now), len(l.inFlight), l.limit, l.dest.setup.Max, l.mood())
	}
}

// idle returns a delivery that the lane left waiting between since and now although nothing held it back,
// and from when on. The wall clock does not step in between.
func (m *Model) idle(l *lane, since, now, late int64) (*parcel, int64) {
	d := l.dest
	if m.upSince == 0 || l.murky || l.version == nil || d.current() == nil || !d.setup.Enabled || d.paused || d.asking {
		return nil, 0
	}
	from := max(since, m.upSince, l.retryAfter.most, l.ours)
	to := now
	if l.probing() {
		if len(l.inFlight) > 0 {
			return nil, 0
		}
		if l.open {
			from = max(from, l.pace.at)
		}
		if l.held() {
			from = max(from, l.hold.at)
		}
	}
	if n := len(l.inFlight); n > 0 {
		if n >= min(l.limit, max(1, d.setup.Max)) {
			return nil, 0
		}
		for _, c := range l.inFlight {
			to = min(to, c.start+int64(time.Second))
		}
	}
	if every := d.every(); every > 0 {
		if from = max(from, d.spaced); len(d.starts) > 0 {
			from = max(from, d.starts[len(d.starts)-1]+every)
		}
	}
	if to-from <= late {
		return nil, 0
	}
	for w := range d.waiting {
		if w.visible == 0 || w.moving > 0 || m.laneOf(w) != l.hash {
			continue
		}
		if start := max(from, m.dueBy(w, since), w.visible, w.movedAt); to-start > late {
			return w, start
		}
	}
	return nil, 0
}

func (m *Model) touchDest(d *dest, now int64) {
	for _, l := range d.lanes {
		m.touch(l, now)
	}
}

// look touches every lane. It first makes lanes that are not known yet.
func (m *Model) look() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for _, d := range m.dests {
		for w := range d.waiting {
			if h := m.laneOf(w); h != 0 {
				m.lane(d, h)
			}
		}
		m.touchDest(d, now)
	}
}

// change applies a new row: it touches the lane before and the lane after.
func (m *Model) change(d *parcel, r row, durable bool) {
	now := m.clock()
	if h := m.laneOf(d); h != 0 && len(d.past) > 0 {
		m.touch(m.lane(d.dest, h), now)
	}
	m.put(d, r, durable)
	if h := m.laneOf(d); h != 0 && r.state == store.Pending {
		m.touch(m.lane(d.dest, h), now)
	}
	m.tidy(d.dest)
}

// tidy forgets lanes that have nothing left, as the engine may.
func (m *Model) tidy(d *dest) {
	used := map[uint64]bool{}
	if v := d.current(); v != nil {
		if used[v.Hash] = true; len(d.lanes) == 1 && d.lanes[v.Hash] != nil {
			return
		}
	}
	for _, e := range d.all {
		if e.now().state == store.Pending {
			used[m.laneOf(e)] = true
		}
	}
	for h, l := range d.lanes {
		if !used[h] && len(l.inFlight) == 0 {
			delete(d.lanes, h)
		}
	}
}
