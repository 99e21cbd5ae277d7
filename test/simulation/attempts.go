package simulation

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// try is one attempt of one delivery, as the far side saw it.
type try struct {
	d        *parcel
	call     *call
	no       int
	end      int64
	ending   ending
	after    time.Duration
	probe    bool          // of a held destination
	held     bool          // which was still held at the end
	again    time.Duration // then: the wait until the next probe
	murky    bool          // what the engine remembers of the lane is not known: again may be less than its wait
	current  bool          // the settings were still current at the end
	unfrozen bool          // a rebind overlapped
	before   parcel        // of the crashes of the delivery
	released int64         // when a rebind released it from settings that were not current: it must not freeze to them; 0: none did
	roll     *dice
}

// call is one Send or SendBatch.
type call struct {
	lane  *lane
	tries []*try
	batch int
	spell Spell
	start int64
	open  int // tries that have not ended
	trial bool
}

// started notes that a call has begun; nil when the process is dead.
func (m *Model) started(p *place, ds []destination.Delivery, deadline int64) *call {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !p.process.alive() {
		return nil
	}
	now := m.clock()
	d := m.dests[p.dest.Index]
	l := m.lane(d, p.version.Hash)
	m.touch(l, now)
	c := &call{lane: l, batch: len(ds), start: now, open: len(ds), spell: p.version.at(time.Duration(now - m.began.UnixNano()))}
	if deadline != now+int64(p.version.Timeout) {
		m.faultLocked(nil, "%s: an attempt has %v, want the timeout %v", d.Name, time.Duration(deadline-now), p.version.Timeout)
	}
	m.calls++
	first := m.earliest(l, now)
	for i := range ds {
		m.tries++
		c.tries = append(c.tries, m.try(c, l, &ds[i], now))
	}
	m.allowed(c, l, first, now)
	m.trial(c, d, now)
	l.inFlight = append(l.inFlight, c)
	d.starts = append(d.starts, now)
	if len(d.starts) > 128 {
		d.starts = append(d.starts[:0], d.starts[64:]...)
	}
	return c
}

// try notes one delivery of a call and whether it may be tried now.
func (m *Model) try(c *call, l *lane, sent *destination.Delivery, now int64) *try {
	t := &try{call: c, no: sent.Attempt, probe: l.held()}
	id, err := store.ParseDeliveryID(sent.ID)
	if err != nil {
		m.faultLocked(nil, "Send got %v", err)
	}
	d := m.parcel(id)
	t.d = d
	d.tried++
	roll := throw(m.sc.Seed, uint64(d.dest.Index), l.hash, uint64(ordinalOf(sent.Event.Reference)), uint64(d.tried))
	t.roll = &roll
	m.noteLocked(d, "attempt %d with settings %x (%v)%s", sent.Attempt, l.hash, c.spell.Mode, l.mood())
	if d.dest != l.dest {
		m.faultLocked(d, "sent to %s", l.dest.Name)
	}
	if d.inFlight != nil {
		m.faultLocked(d, "tried twice at once")
	}
	if d.req != nil && (!same(sent.Event.Body, d.req.body) || sent.Event.ID != d.req.id || sent.Event.Reference != reference(d.req.Ordinal)) {
		m.faultLocked(d, "sent with another body, id or reference")
	}
	switch r := d.now(); {
	case len(d.past) == 0: // its acceptance is being noted at this instant
	case d.moving > 0 || d.movedAt == now: // the scheduler may not know yet
	case r.state != store.Pending:
		m.faultLocked(d, "tried although it is %v", r.state)
	case now < m.ripe(d, now):
		m.faultLocked(d, "tried %v before its due", time.Duration(m.ripe(d, now)-now))
	case sent.Attempt != int(r.attempts)+1:
		m.faultLocked(d, "attempt is number %d, want %d", sent.Attempt, r.attempts+1)
	case len(d.ended) > 0:
		m.faultLocked(d, "tried again before the outcome was recorded")
	case r.settings != 0 && r.settings != l.hash:
		m.faultLocked(d, "tried with settings %x although it is frozen to %x", l.hash, r.settings)
	case r.settings == 0 && (l.dest.current() == nil || l.dest.current().Hash != l.hash):
		m.faultLocked(d, "tried with settings %x, which are not current", l.hash)
	}
	if d.tried > 1000 {
		panic("a delivery is tried in a hot loop: " + m.trace(d))
	}
	d.inFlight, d.unread = t, 0
	m.waits(d)
	return t
}

// ended notes what came of an attempt. The engine learns it when the whole call has ended.
func (m *Model) ended(t *try, e ending, after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := t.call
	if p := m.process; p == nil || !p.alive() || t.ending != running {
		return
	}
	t.ending, t.after = e, after
	if c.open--; c.open > 0 {
		return
	}
	now := m.clock()
	l := c.lane
	m.touch(l, now)
	l.finish(c)
	cutShort := slices.ContainsFunc(c.tries, func(t *try) bool { return t.ending == cut })
	for _, t := range c.tries {
		if t.end = now; cutShort && t.ending == failed {
			t.ending = cut // what failed in a batch that was cut may have failed of it
		}
		v := l.dest.current()
		t.current = v != nil && v.Hash == l.hash
		t.held = t.probe && l.held()
		m.noteLocked(t.d, "%v after %v", t.ending, time.Duration(now-c.start))
		if t.d.inFlight == t {
			t.d.inFlight = nil
		}
		t.before.crashes, t.before.alone = t.d.crashes, t.d.alone
		m.survived(t)
		t.d.ended = append(t.d.ended, t)
		m.waits(t.d)
	}
	for i, t := range c.tries {
		m.conclude(l, t, i, now)
		t.again, t.murky = l.hold.wait, l.murky
	}
}

// took notes that the far side has the event.
func (m *Model) took(t *try) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.d.took++
}
