package simulation

import (
	"fmt"
	"time"
)

// lane is one destination with one set of settings: breaker, concurrency, hold and waiting belong to it. Its
// rules are those of the design. The model implements them a second time, so that it notices an attempt that
// comes too early or too late.
type lane struct {
	dest     *dest
	hash     uint64
	version  *Version
	inFlight []*call
	since    int64 // nothing about it changed after that
	murky    bool  // the engine may have forgotten it meanwhile: its mood is not known until it answers well

	limit, healthy int // concurrency

	open     bool // the breaker
	failures int
	failing  int64 // since
	who      map[*parcel]bool
	pace     pacer

	outage     outage
	retryAfter retryAfter
	hold       pacer
	ours       int64 // our own faults keep it until then, at the latest
}

// pacer doubles each wait.
type pacer struct {
	wait time.Duration
	at   int64
}

func (p *pacer) next(now int64, first, most time.Duration) {
	p.wait = min(max(first, 2*p.wait), most)
	p.at = now + int64(p.wait)
}

// lane finds the lane of settings, or makes it.
func (m *Model) lane(d *dest, hash uint64) *lane {
	l := d.lanes[hash]
	if l == nil {
		l = &lane{dest: d, hash: hash, version: d.version(hash), limit: 1, who: map[*parcel]bool{}, since: m.clock(), murky: d.seen[hash]}
		d.lanes[hash] = l
		d.seen[hash] = true
	}
	return l
}

func (l *lane) held() bool {
	v := l.dest.current()
	return l.dest.held && v != nil && v.Hash == l.hash
}

func (l *lane) probing() bool { return l.open || l.held() }

func (l *lane) mood() string {
	switch {
	case l.murky:
		return ", lane murky"
	case l.held():
		return ", held"
	case l.open:
		return ", breaker open"
	}
	return ""
}

func (l *lane) finish(c *call) {
	for i, f := range l.inFlight {
		if f == c {
			l.inFlight = append(l.inFlight[:i], l.inFlight[i+1:]...)
			return
		}
	}
}

// conclude applies the end of the i-th attempt of a call to its lane.
func (m *Model) conclude(l *lane, t *try, i int, now int64) {
	switch t.ending {
	case taken, refused:
		l.ours = 0
		// A murky lane may have had an open breaker, which starts again with a concurrency of one.
		if l.open || l.murky || t.probe && l.held() {
			l.limit, l.healthy = 1, 0
		} else if l.healthy++; l.healthy >= l.limit {
			l.limit, l.healthy = max(1, min(2*l.limit, l.dest.setup.Max)), 0
		}
		if t.probe && l.held() {
			m.unhold(l.dest, "a probe was answered")
		}
		l.open, l.failures, l.murky, l.pace = false, 0, false, pacer{}
		l.outage, l.retryAfter = outage{}, retryAfter{}
		clear(l.who)
	case failed:
		l.ours = 0
		l.fall(t.call, i)
		if t.probe && l.held() {
			l.hold.next(now, time.Minute, time.Hour)
		} else {
			l.fail(t.d, now)
		}
		if !l.held() {
			m.fails(l, now)
		}
	case asked:
		l.outage.stand(now)
		l.ours = 0
		l.fall(t.call, i)
		l.wait(t.after, now)
		if t.probe && l.held() {
			l.hold.next(now, time.Minute, time.Hour)
		} else if l.open {
			l.pace.next(now, time.Second, time.Minute)
		}
	case misset:
		if !t.current {
			return
		}
		l.ours = 0
		d := l.dest
		if l.hold.at <= now || !l.held() {
			l.hold.next(now, time.Minute, time.Hour)
		}
		if !d.held {
			m.hold(l, now)
		}
	case ours:
		l.outage.stand(now)
		l.ours = now + int64(time.Minute)
	}
}

// hold notes that the engine holds the destination now, which the engine must tell.
func (m *Model) hold(l *lane, now int64) {
	d := l.dest
	m.dnote(d, "held")
	d.held, d.heldAt, d.heldFor, d.untold = true, now, l.hash, true
	m.resetOutages(d)
}

func (m *Model) unhold(d *dest, why string) {
	m.dnote(d, "the hold ends: %s", why)
	d.held, d.heldAt = false, m.clock()
	for _, l := range d.lanes {
		l.hold = pacer{}
	}
}

// fall halves the concurrency, once a call.
func (l *lane) fall(c *call, i int) {
	for _, t := range c.tries[:i] {
		if t.ending == failed || t.ending == asked {
			return
		}
	}
	l.limit, l.healthy = max(1, l.limit/2), 0
}

// fail counts a failure. After 20 consecutive ones, of 5 deliveries, over a minute, the breaker opens.
// Failures that the store knows of from the process before count, but their deliveries do not.
func (l *lane) fail(d *parcel, now int64) {
	if l.open {
		l.pace.next(now, time.Second, time.Minute)
		return
	}
	if l.failures == 0 {
		l.failing = now
	}
	l.failures++
	l.who[d] = true
	if l.failures >= 20 && len(l.who) >= 5 && now-l.failing >= int64(time.Minute) {
		l.open, l.pace = true, pacer{}
		l.pace.next(now, time.Second, time.Minute)
	}
}

// earliest returns the waiting delivery of l that is due first, if it is due and the scheduler knows of it.
// A delivery that may be dead because of crashes is not tried.
func (m *Model) earliest(l *lane, now int64) *parcel {
	var first *parcel
	shown := m.wall(now)
	for d := range l.dest.waiting {
		if r := d.now(); m.laneOf(d) == l.hash && r.due <= shown && d.visible > 0 && d.visible < now && d.moving == 0 && d.alone < 5 {
			if first == nil || r.due < first.now().due {
				first = d
			}
		}
	}
	return first
}

// laneOf returns the hash of the settings that d goes out with.
func (m *Model) laneOf(d *parcel) uint64 {
	if s := d.now().settings; s != 0 {
		return s
	}
	if v := d.dest.current(); v != nil {
		return v.Hash
	}
	return 0
}

// allowed checks that the lane may start this call now. first is the delivery that was due first at that
// moment.
func (m *Model) allowed(c *call, l *lane, first *parcel, now int64) {
	d := l.dest
	t := c.tries[0]
	switch {
	case !d.setup.Present:
		m.faultLocked(t.d, "tried although the destination is removed")
	case !d.setup.Enabled:
		m.faultLocked(t.d, "tried although the destination is disabled")
	case d.paused && !d.asking:
		m.faultLocked(t.d, "tried although the destination is paused")
	}
	if n := len(l.inFlight) + 1; n > max(1, d.setup.Max) {
		m.faultLocked(t.d, "%d calls in flight, max_in_flight is %d", n, d.setup.Max)
	}
	if c.batch > 1 && (c.batch > l.dest.Batch || d.setup.Rate > 0) {
		m.faultLocked(t.d, "a batch of %d, at most %d with rate %g are allowed", c.batch, d.Batch, d.setup.Rate)
	}
	if every := d.every(); every > 0 {
		for k := 1; k <= len(d.starts); k++ {
			if passed := now - d.starts[len(d.starts)-k]; passed < int64(k)*every-int64(10*time.Millisecond)-int64(k) {
				m.faultLocked(t.d, "%d attempts within %v, the rate is %g/s", k+1, time.Duration(passed), d.setup.Rate)
				break
			}
		}
	}
	if l.murky {
		return
	}
	if now < l.retryAfter.least {
		m.faultLocked(t.d, "tried %v before the far side's wait is over", time.Duration(l.retryAfter.least-now))
	}
	if !l.probing() {
		return
	}
	if len(l.inFlight) > 0 {
		m.faultLocked(t.d, "tried beside another although the lane only probes%s", l.mood())
	}
	if l.open && now < l.pace.at {
		m.faultLocked(t.d, "tried %v too early with the breaker open", time.Duration(l.pace.at-now))
	}
	if l.held() && now < l.hold.at {
		m.faultLocked(t.d, "probed %v too early", time.Duration(l.hold.at-now))
	}
	if first != nil && first != t.d && t.d.moving == 0 && first.now().due < t.d.now().due && m.sc.Lag == 0 {
		m.faultLocked(t.d, "tried although %s was due first%s", first, l.mood())
	}
}

func (d *dest) every() int64 {
	if d.setup.Rate <= 0 {
		return 0
	}
	return int64(float64(time.Second) / d.setup.Rate)
}

func (m *Model) dnote(d *dest, format string, args ...any) {
	d.notes = append(d.notes, note{m.clock(), fmt.Sprintf(format, args...)})
}
