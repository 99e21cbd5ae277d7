package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// intent is a change that the store was asked for and has not answered yet. After a crash it may or may
// not have been made.
type intent struct {
	ids    []store.DeliveryID // nil: of all
	change store.Change       // 0: the outcome of an attempt
	now    int64
	row    row // of an outcome
	text   string
	bodies event.Day // of retention
	rows   event.Day
	user   string // of an erasure
	dev    string
}

func intentsOf(outcomes []store.Outcome) []intent {
	is := make([]intent, len(outcomes))
	for i, o := range outcomes {
		is[i] = intent{ids: []store.DeliveryID{o.Item.ID}, row: after(&o)}
	}
	return is
}

// after is the row that an outcome makes of the one that the attempt was made for.
func after(o *store.Outcome) row {
	r := row{state: o.State, attempts: o.Attempts, version: o.Item.Version + 1}
	if o.State == store.Pending {
		r.due, r.settings = max(o.Due, 0), o.Settings
	}
	return r
}

func intentsTo(c store.Change, now time.Time, ids []store.DeliveryID) []intent {
	return []intent{{ids: ids, change: c, now: now.UnixNano()}}
}

// apply returns what a change makes of a row; false when it does not apply.
func apply(c store.Change, now int64, r row) (row, bool) {
	pending := r.state == store.Pending
	switch {
	case c == store.Cancel && pending:
		r.state, r.due, r.settings = store.Cancelled, 0, 0
	case c == store.Expire && pending:
		r.state, r.due, r.settings = store.Dead, 0, 0
	case c == store.Rebind && pending && r.settings != 0:
		r.settings = 0
	case c == store.Retry:
		r.state, r.due, r.settings, r.attempts = store.Pending, max(now, 0), 0, 0
	default:
		return r, false
	}
	r.version++
	return r, true
}

func (m *Model) intends(is []intent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changing = is
}

// moving notes that a change of deliveries is being made. Until the scheduler knows of it, it may act on
// the state before.
func (m *Model) moving(ids []store.DeliveryID, by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if d := m.parcels[id]; d != nil {
			m.touchDest(d.dest, m.clock())
			d.moving += by
			d.movedAt = m.clock()
		}
	}
}

// moved notes what the store made of a change.
func (m *Model) moved(c store.Change, now int64, ms []store.Moved) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range ms {
		mv := &ms[i]
		d := m.parcels[mv.ID]
		if d == nil {
			if mv.Err == nil {
				m.faultLocked(nil, "Move changed %s, which does not exist", mv.ID)
			}
			continue
		}
		d.movedAt = m.clock()
		was := d.now()
		next, ok := apply(c, now, was)
		if mv.Err != nil {
			m.noteLocked(d, "%s: %v", changeNames[c], mv.Err)
			gone := d.gone || c == store.Retry && m.bodyless(d)
			if ok && !gone {
				m.faultLocked(d, "%s is refused (%v) although it is %s", changeNames[c], mv.Err, was)
			}
			continue
		}
		m.noteLocked(d, "%s", changeNames[c])
		if !ok {
			m.faultLocked(d, "%s was done although it was %s", changeNames[c], was)
			continue
		}
		if c == store.Rebind && d.dest.rebinds == 0 {
			m.faultLocked(d, "rebound, and nobody asked for it")
		}
		if c == store.Expire {
			d.log[next.version] = logged{store.Attempt{At: now, Class: "expired"}, m.seq + 1}
		}
		m.change(d, next, true)
		switch {
		case c == store.Retry:
			m.byHandAgain(d)
		case next.state != store.Pending && (d.dest.apart || d.dest.excused): // it may have been what kept it apart
			m.review(d.dest)
		}
		item := mv.Item
		if mv.From != was.state || mv.To != next.state {
			m.faultLocked(d, "%s tells %v to %v, want %v to %v", changeNames[c], mv.From, mv.To, was.state, next.state)
		}
		if next.state == store.Pending {
			m.sameItem(d, &item, "Move")
		}
	}
}

var changeNames = map[store.Change]string{store.Cancel: "cancel", store.Retry: "retry by hand", store.Rebind: "rebind", store.Expire: "expire"}

// sameItem checks that what the store offers of d is as the model has it.
func (m *Model) sameItem(d *parcel, it *store.Item, by string) {
	r := d.now()
	if it.ID != d.id || it.Due != r.due || it.Queue != (store.QueueID{Dest: d.id.Dest, Settings: r.settings}) || it.Version != r.version || it.Attempts != r.attempts {
		m.faultLocked(d, "%s returns due %s, queue %v, version %d, %d attempts; want %s, version %d", by, clock(it.Due), it.Queue, it.Version, it.Attempts, r, r.version)
	}
}

// bodyless tells whether the body of d may be gone.
func (m *Model) bodyless(d *parcel) bool {
	return d.id.Day < m.bodies || d.req != nil && m.isErased(d.req)
}

func (m *Model) isErased(r *request) bool { return m.erased[m.sc.Developers[r.Developer]+"/"+r.User] }

// unread notes that the body of an event could not be read: then no far side gets a request.
func (m *Model) unread(id event.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if req := m.byEvent[id]; req != nil {
		for _, to := range req.to {
			if d := m.parcels[store.DeliveryID{Day: id.Day(), Event: id, Dest: to.id}]; d != nil {
				m.noteLocked(d, "reading a body of this event fails")
				if r := d.now(); r.state == store.Pending && r.due <= m.wall(m.clock()) && d.inFlight == nil && len(d.ended) == 0 {
					d.unread = m.clock() // if it is the one that was to be sent
				}
			}
		}
	}
}

// appends notes that events are handed to the store, and returns the newest id before.
func (m *Model) appends(batch []*store.Entry) event.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range batch {
		m.appending[e] = true
		req := m.requests[ordinalOf(e.Event.Reference)]
		var want []uint32
		for _, d := range req.to {
			want = append(want, d.id)
		}
		if !slices.Equal(want, e.To) {
			m.fault2("event %d is accepted for %v, want %v", req.Ordinal, e.To, want)
		}
	}
	return m.newest
}

func (m *Model) fault2(format string, args ...any) { m.faultLocked(nil, format, args...) }

// appended notes what the store accepted. From here on it must be there.
func (m *Model) appended(batch []*store.Entry, out []store.Appended, err error, before event.ID, wall int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range batch {
		delete(m.appending, e)
	}
	if err != nil {
		m.fault2("Append: %v", err)
		return
	}
	for i, e := range batch {
		req, a := m.requests[ordinalOf(e.Event.Reference)], &out[i]
		if a.Err != nil || a.Duplicate {
			req.dup = a
			continue
		}
		if string(a.ID[:]) <= string(before[:]) {
			m.fault2("event id %v does not follow %v", a.ID, before)
		}
		if string(a.ID[:]) > string(m.newest[:]) {
			m.newest = a.ID
		}
		req.id, req.stored = a.ID, true
		m.byEvent[a.ID] = req
		if len(a.Items) != len(e.To) {
			m.fault2("event %d has %d deliveries, want %d", req.Ordinal, len(a.Items), len(e.To))
		}
		for j := range a.Items {
			it := &a.Items[j]
			d := m.parcel(it.ID)
			d.req, d.ordinal = req, req.Ordinal
			m.noteLocked(d, "accepted")
			if it.ID.Dest != e.To[j] || it.Due != wall {
				m.faultLocked(d, "accepted for %d, due %s; want %d, at once: %s", it.ID.Dest, clock(it.Due), e.To[j], clock(wall))
			}
			m.change(d, row{state: store.Pending, due: it.Due, version: 1}, true)
			m.sameItem(d, it, "Append")
		}
	}
}

// offered notes that the scheduler is about to learn of what was accepted.
func (m *Model) offered(out []store.Appended) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range out {
		for j := range out[i].Items {
			if d := m.parcels[out[i].Items[j].ID]; d != nil && d.visible == 0 {
				d.visible = m.clock()
			}
		}
	}
}

func (i *intent) String() string { return fmt.Sprintf("%s %d", i.text, i.change) }
