package simulation

import (
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// outage is how long a lane has failed without one success. Only time that ends in a failure counts, and not
// time while the daemon is down. A destination with these settings is held once three things are true: the
// outage is longer than an hour, it is longer than the schedule's waits and a tenth more, and ten attempts
// have failed.
type outage struct {
	attempts    int
	since, last int64
	vague       bool // a fault of our own beside a failure: only the engine knows which came first
}

func (o *outage) stand(now int64) {
	o.since += now - o.last
	o.last = now
}

// fails notes a failure of a lane that is not held.
func (m *Model) fails(l *lane, now int64) {
	o, d := &l.outage, l.dest
	if o.attempts == 0 {
		o.since = now
	}
	if o.attempts++; o.attempts > 1 && m.unreadSince(l, o.last) {
		o.vague = true
	}
	o.last = now
	v := d.current()
	if v == nil || v.Hash != l.hash || !d.setup.Enabled || d.paused || d.asking || l.murky || o.vague {
		return
	}
	var horizon time.Duration
	for _, w := range v.Schedule.Waits {
		horizon += w
	}
	if o.attempts < 10 || time.Duration(now-o.since) <= max(time.Hour, horizon+horizon/10) {
		return
	}
	m.hold(l, now)
	l.hold.next(now, time.Minute, time.Hour)
}

// unreadSince tells whether a body that l was to send could not be read since then, and the outcome is still
// missing.
func (m *Model) unreadSince(l *lane, since int64) bool {
	for d := range l.dest.waiting {
		if d.unread > 0 && d.unread >= since && m.laneOf(d) == l.hash {
			return true
		}
	}
	return false
}

// ail notes that the body of d could not be read. That is a fault of our own that no far side saw, and the
// model knows it only now, by its outcome.
func (m *Model) ail(d *parcel) {
	now := m.clock()
	for _, l := range d.dest.lanes {
		l.ours = max(l.ours, now+int64(time.Minute))
	}
	switch o := &m.lane(d.dest, m.laneOf(d)).outage; {
	case o.attempts == 0, o.attempts == 1 && d.unread <= o.last && d.dest.Batch == 0: // the clock did not run
	case d.unread > o.last && d.dest.Batch == 0:
		o.stand(d.unread)
	default:
		o.vague = true
	}
	d.unread = 0
}

func (m *Model) resetOutages(d *dest) {
	for _, l := range d.lanes {
		l.outage = outage{}
	}
}

// told checks that the engine holds a destination when the model does. Where the engine may have forgotten a
// lane, the model takes its word.
func (m *Model) told(p *process, n *delivery.Notice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n.Name != delivery.DestinationHeld || p.dead.Load() {
		return
	}
	for _, d := range m.dests {
		if d.Name != n.Destination.Name || m.sc.Developers[d.Developer] != n.Destination.Developer {
			continue
		}
		now := m.clock()
		if d.held && d.untold && d.heldAt == now {
			d.untold = false
			return
		}
		v := d.current()
		if v == nil || d.held {
			m.fault2("%s is held twice, or has no settings: %s", d.Name, n.Reason)
			return
		}
		l := m.lane(d, v.Hash)
		if !l.murky && !l.outage.vague || !strings.HasPrefix(n.Reason, "no attempt has succeeded") {
			m.fault2("%s is held and must not be: %s (%d attempts failed since %s)", d.Name, n.Reason, l.outage.attempts, clock(l.outage.since))
		}
		m.hold(l, now)
		l.hold.next(now, time.Minute, time.Hour)
		d.untold = false
		return
	}
}

// mustHaveSaid reports a hold from before this instant that the engine has not told of.
func (m *Model) mustHaveSaid(d *dest) {
	if d.untold && d.heldAt < m.clock() {
		d.untold = false
		m.fault2("%s must be held since %s, and the engine has not said so", d.Name, clock(d.heldAt))
	}
}

// remembers takes over the outages in the store, which are all that a new process knows. They lag behind the
// truth; what earlier processes saw bounds by how much.
func (m *Model) remembers(registered []store.Destination) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for _, r := range registered {
		d, f := m.byID[r.ID], r.State.Failing
		if d == nil {
			continue
		}
		if f.Attempts > 0 && (f.Lasted < 0 || f.Lasted > time.Duration(now-m.began.UnixNano())) {
			m.fault2("%s has failed for %v, longer than it exists", d.Name, f.Lasted)
		}
		if v := d.current(); v != nil && v.Hash == f.Settings && f.Attempts > 0 && d.setup.Enabled {
			l := m.lane(d, v.Hash)
			l.outage = outage{attempts: f.Attempts, since: now - int64(f.Lasted), last: now}
			l.failures, l.failing = f.Attempts, l.outage.since // of deliveries that are not known
		}
	}
}
