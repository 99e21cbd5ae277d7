package simulation

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// answered checks what a producer was told.
func (m *Model) answered(p *process, asked []*request, results []ingest.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, req := range asked {
		r := &results[i]
		var refusal *ingest.Refusal
		switch {
		case errors.As(r.Err, &refusal) && refusal.Code == "idempotency_mismatch" && req.Key != "":
			if f := m.first(req, event.ID{}); f != nil && same(f.body, req.body) {
				m.fault2("event %d: the same body under the same key is refused", req.Ordinal)
			}
		case r.Err != nil:
			if !p.stopping {
				m.fault2("event %d is refused: %v", req.Ordinal, r.Err)
			}
		case r.Duplicate:
			m.copies = append(m.copies, copied{req, *r}) // what it is a copy of may be noted a moment later
		default:
			req.acked = true
			if r.ID != req.id || !req.stored || r.Deliveries != len(req.to) || r.Reference != reference(req.Ordinal) {
				m.fault2("event %d is told to be %+v, stored as %v", req.Ordinal, r, req.id)
			}
			if f := m.first(req, req.id); f != nil && m.sc.Retention.Idempotency == 0 {
				m.fault2("event %d was stored although event %d has its key", req.Ordinal, f.Ordinal)
			}
		}
	}
}

// copied is an answer that said that a request is a copy of an earlier one.
type copied struct {
	req *request
	ingest.Result
}

// recognised checks every answer that a request is a copy.
func (m *Model) recognised() {
	for _, c := range m.copies {
		f := m.byEvent[c.ID]
		if f == nil || f.Key != c.req.Key || f.Developer != c.req.Developer || !same(f.body, c.req.body) || c.Reference != reference(f.Ordinal) && !m.isErased(f) || c.Deliveries != len(f.to) {
			m.fault2("event %d is told to be a copy of %v, which is %+v", c.req.Ordinal, c.ID, f)
		}
	}
	m.copies = nil
}

// first returns an older stored event with the same key.
func (m *Model) first(req *request, id event.ID) *request {
	if req.Key == "" {
		return nil
	}
	for _, f := range m.requests {
		if f != nil && f != req && f.stored && f.Key == req.Key && f.Developer == req.Developer && (id.IsZero() || string(f.id[:]) < string(id[:])) {
			return f
		}
	}
	return nil
}

// rebind notes that a rebind begins, or has ended.
func (m *Model) rebind(d *dest, begins bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.id == 0 {
		return false
	}
	if begins {
		d.rebinds++
		m.dnote(d, "rebind begins")
		for _, e := range d.all {
			if e.inFlight != nil {
				e.inFlight.unfrozen = true
				if v := d.current(); v == nil || v.Hash != e.inFlight.call.lane.hash {
					e.inFlight.released = m.clock()
				}
			}
			for _, t := range e.ended {
				t.unfrozen = true
			}
		}
		d.rebound = m.clock()
		return true
	}
	d.rebinds--
	m.dnote(d, "rebind ends")
	if v := d.current(); v == nil || m.sc.Faults > 0 {
		return true
	}
	for _, e := range d.all {
		r := e.now()
		if r.state != store.Pending || r.settings == 0 || e.inFlight != nil || len(e.ended) > 0 || e.gone {
			continue
		}
		if e.past[len(e.past)-1].at < d.rebound {
			m.faultLocked(e, "still frozen to %x after a rebind", r.settings)
		}
	}
	return true
}

// retains notes that retention is about to run.
func (m *Model) retains(now time.Time) intent {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.sc.Retention
	day := func(age time.Duration) event.Day { return event.DayOf(now.Add(-age)) }
	m.bodies = max(m.bodies, day(r.Events))
	m.rows = max(m.rows, day(max(r.Attempts, r.Events)))
	return intent{change: store.Expire, now: now.UnixNano(), bodies: m.bodies, rows: m.rows, text: "retain"}
}

// retained checks what retention has left.
func (m *Model) retained(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.dead.Load() {
		return
	}
	for _, d := range m.order {
		if d.gone || len(d.past) == 0 {
			continue
		}
		if d.id.Day < m.bodies && d.now().state == store.Pending {
			m.faultLocked(d, "retention left it pending")
		}
		d.gone = d.id.Day < m.rows
		m.waits(d)
	}
}

// erases notes that a user's data is about to be erased.
func (m *Model) erases(now time.Time, dev, user string) intent {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.erased[dev+"/"+user] = true
	return intent{change: store.Cancel, now: now.UnixNano(), dev: dev, user: user, text: "erase"}
}

// compare compares what the daemon shows of its destinations with the model. Nothing changes meanwhile.
func (m *Model) compare(list []delivery.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range list {
		s := &list[i]
		d := m.byID[s.ID]
		if d == nil {
			m.fault2("status shows destination %d", s.ID)
			continue
		}
		if d.asking {
			continue
		}
		pending, inFlight, busy := int64(0), 0, false
		for _, e := range d.all {
			if e.gone || len(e.past) == 0 {
				continue
			}
			if e.now().state == store.Pending {
				pending++
			}
			busy = busy || e.moving > 0 || len(e.ended) > 0
		}
		for _, l := range d.lanes {
			inFlight += len(l.inFlight)
		}
		state := d.state()
		if s.State != state {
			m.fault2("%s is shown as %s, want %s", d.Name, s.State, state)
		}
		if s.InFlight != inFlight {
			m.fault2("%s is shown with %d in flight, want %d", d.Name, s.InFlight, inFlight)
		}
		if s.Pending != pending && !busy && m.sc.Lag == 0 {
			m.fault2("%s is shown with %d pending, want %d", d.Name, s.Pending, pending)
		}
		v := d.current()
		if v == nil {
			continue
		}
		breaker := "closed"
		l := d.lanes[v.Hash]
		if l != nil && l.open {
			breaker = "open"
		}
		if s.Apart && !d.excused || d.apart && !s.Apart && state == "active" {
			m.fault2("%s is shown to wait apart: %v", d.Name, s.Apart)
		}
		if l != nil && !d.excused && !l.murky && l.retryAfter.least == l.retryAfter.most && state == "active" {
			until := time.Time{}
			if wait := l.retryAfter.most - m.clock(); wait > 0 {
				until = time.Unix(0, m.wall(m.clock())+wait)
			}
			if !s.WaitsUntil.Equal(until) {
				m.fault2("%s is shown to wait until %v, want %v", d.Name, s.WaitsUntil, until)
			}
		}
		if s.Settings != v.Hash || l != nil && !l.murky && s.Breaker != breaker {
			m.fault2("%s is shown with settings %x, breaker %s; want %x, %s", d.Name, s.Settings, s.Breaker, v.Hash, breaker)
		}
	}
}

func (d *dest) state() string {
	switch {
	case !d.setup.Present:
		return "removed"
	case !d.setup.Enabled:
		return "disabled"
	case d.paused:
		return "paused"
	case d.held:
		return "held"
	}
	return "active"
}
