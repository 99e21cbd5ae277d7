package simulation

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// apply notes that settings are about to be in force.
func (m *Model) apply(p *process, setups map[int]Setup, which []int, ids []uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for n, i := range which {
		d := m.dests[i]
		if d.id != 0 && d.id != ids[n] {
			m.fault2("%s got id %d, it had %d", d.Name, ids[n], d.id)
		}
		d.id = ids[n]
		m.byID[d.id] = d
	}
	for i, s := range setups {
		d := m.dests[i]
		m.touchDest(d, now)
		was := d.current()
		if d.setup.Rate != s.Rate {
			if n := len(d.starts); n > 0 && s.Rate > 0 {
				d.spaced = d.starts[n-1] + d.every() // the last attempt was made at the old rate
			}
			d.starts = nil
		}
		d.setup, d.met = s, true
		v := d.current()
		if v != was {
			if was != nil {
				if l := d.lanes[was.Hash]; l != nil && v == nil {
					l.murky = true // a destination that is removed forgets its lane
					l.limit, l.healthy = 1, 0
				}
			}
			if was != nil {
				d.until = 0 // its trial may come at once
			}
			m.dnote(d, "settings: %+v, hash %x", s, d.Versions[s.Version].Hash)
			m.tidy(d)
		} else {
			m.dnote(d, "settings: %+v", s)
		}
		// This holds at a start too: the process before may have died before it had stored the end.
		if v != nil && d.held && d.heldFor != v.Hash {
			m.unhold(d, "its settings changed")
		}
		if v == nil || !s.Enabled {
			m.resetOutages(d)
		}
		if v == nil {
			m.forgotten(d)
		}
		if v != nil && d.held {
			if l := m.lane(d, v.Hash); l.hold.wait == 0 { // held by the process before this one
				l.hold.next(now, time.Minute, time.Hour)
			}
		}
		m.touchDest(d, now)
	}
}

// up notes that the daemon runs.
func (m *Model) up(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.dead.Load() {
		return
	}
	m.process, m.upSince = p, m.clock()
	for _, d := range m.order {
		d.visible = m.upSince
	}
}

// begin forgets what a process remembers and the next one does not know.
func (m *Model) begin(p *process) {
	m.process = p
	for _, d := range m.dests {
		d.lanes, d.seen, d.starts, d.spaced = map[uint64]*lane{}, map[uint64]bool{}, nil, 0
		d.waiting = map[*parcel]bool{}
		d.asking, d.rebinds, d.hands, d.untold = false, 0, 0, false
		m.part(d)
		for _, e := range d.all {
			e.inFlight, e.ended, e.moving, e.unread = nil, nil, 0, 0
			m.waits(e)
		}
	}
}

// stopping notes that the daemon starts no more attempts.
func (m *Model) stopping() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	for _, d := range m.dests {
		m.touchDest(d, now)
	}
	m.upSince = 0
}

// stopped checks what must be true once Stop has returned.
func (m *Model) stopped(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.order {
		if d.inFlight != nil {
			m.faultLocked(d, "still in flight after Stop")
		}
		if len(d.ended) > 0 && m.sc.Faults == 0 {
			m.faultLocked(d, "its outcome was not recorded by Stop")
		}
		d.inFlight, d.ended = nil, nil
	}
	m.cleanStop()
}

// stores notes that the state of a destination is being written: from now on it may be the stored one.
func (m *Model) stores(id uint32, s store.DestinationState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.byID[id]; d != nil {
		d.states = append(d.states, s)
	}
}

// stored notes that the state is stored: no earlier one may come back.
func (m *Model) stored(id uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.byID[id]; d != nil {
		d.states = d.states[len(d.states)-1:]
	}
}

// lost notes that settings could not be found by their hash.
func (m *Model) lost(id uint32, hash uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.order {
		if d.dest.id == id && d.now().state == store.Pending && d.now().settings == hash {
			m.faultLocked(d, "the settings %x that it is frozen to are gone", hash)
			return
		}
	}
}

// hand notes what a producer is about to hand in and where it must go.
func (m *Model) hand(r *Request, body []byte) *request {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.requests) <= r.Ordinal {
		m.requests = append(m.requests, nil)
	}
	req := &request{Request: *r, body: body, kills: r.Poison}
	for _, d := range m.dests {
		if d.Developer == r.Developer && d.met && d.setup.Present && d.matches(typeName(r.Type)) {
			req.to = append(req.to, d)
		}
	}
	m.requests[r.Ordinal] = req
	return req
}

// pick chooses deliveries for a person to change, a few of each condition. Only the number pick decides.
func (m *Model) pick(dest, count int, pick uint64) []store.DeliveryID {
	m.mu.Lock()
	defer m.mu.Unlock()
	roll := dice(pick)
	var inFlight, pending, ended []*parcel
	for _, d := range m.order {
		if dest >= 0 && d.dest.Index != dest || d.gone || len(d.past) == 0 {
			continue
		}
		switch {
		case d.inFlight != nil:
			inFlight = append(inFlight, d)
		case d.now().state == store.Pending:
			pending = append(pending, d)
		default:
			ended = append(ended, d)
		}
	}
	var ids []store.DeliveryID
	for range count {
		for _, some := range [][]*parcel{inFlight, pending, ended} {
			if len(some) > 0 && roll.chance(0.5) {
				if id := some[int(roll.next()%uint64(len(some)))].id; !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// ask notes that a pause or resume begins; false when another one is running.
func (m *Model) ask(d *dest, resume bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.asking || !d.met || d.id == 0 {
		return false
	}
	now := m.clock()
	m.touchDest(d, now)
	d.asking = true
	m.dnote(d, "resume is asked for: %v", resume)
	if resume && d.held {
		m.unhold(d, "by hand")
	}
	m.resetOutages(d)
	return true
}

// asked notes that a pause or resume was made, or failed.
func (m *Model) asked(p *process, d *dest, resume bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.dead.Load() {
		return
	}
	m.touchDest(d, m.clock())
	d.asking = false
	d.paused = !resume
	d.unsure = err != nil
	if err != nil && m.sc.Faults == 0 {
		m.fault2("%s: pause or resume: %v", d.Name, err)
	}
	m.dnote(d, "resume %v is done: %v", resume, err)
}
