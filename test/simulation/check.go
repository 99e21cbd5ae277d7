package simulation

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// resync compares what a store has after a start with what it must have. After a clean stop that is
// exactly what the model knows. After a crash, outcomes of the last 100 ms may be missing. The model then
// goes on from what the store has. resync returns false when the power is cut meanwhile.
func (m *Model) resync(p *process, crashed bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &check{m: m, p: p, s: p.store, crashed: crashed, queued: map[store.DeliveryID]store.Item{}, used: map[usageKey]*store.UsageRow{}}
	at := m.clock()
	if crashed && p.engine.after != nil {
		at = p.engine.after.at
	}
	c.at = at
	c.readQueues()
	c.requests()
	m.recognised()
	for _, d := range m.order {
		c.delivery(d)
	}
	c.prefix()
	for id := range c.queued {
		if !p.dead.Load() {
			m.fault2("after the start %v is pending, and nothing is known of it", id)
		}
	}
	c.states()
	c.audit()
	c.usage()
	if p.dead.Load() { // what was read is not to be trusted
		return false
	}
	m.changing = nil
	clear(m.appending)
	m.begin(p)
	return true
}

// check is one comparison of a store with the model.
type check struct {
	m       *Model
	p       *process
	s       store.Store
	crashed bool
	at      int64
	queued  map[store.DeliveryID]store.Item // what the queues hold and no delivery has claimed
	kept    int                             // the latest change that survived
	lost    int                             // the earliest that did not
	victim  *parcel                         // of lost
	used    map[usageKey]*store.UsageRow    // what deliveries and log add up to
}

func (c *check) fault(d *parcel, format string, args ...any) {
	if !c.p.dead.Load() {
		c.m.faultLocked(d, format, args...)
	}
}

func (c *check) readQueues() {
	ctx := context.Background()
	queues, err := c.s.Queues(ctx)
	if err != nil {
		c.fault(nil, "Queues: %v", err)
	}
	for _, head := range queues {
		q := head.Queue
		for from := (store.Position{}); ; {
			items, _, err := c.s.Due(ctx, q, from, math.MaxInt64-1, 500)
			if err != nil {
				c.fault(nil, "Due: %v", err)
			}
			if len(items) == 0 {
				break
			}
			for i := range items {
				if items[i].Queue != q {
					c.fault(nil, "queue %v offers an item of %v", q, items[i].Queue)
				}
				c.queued[items[i].ID] = items[i]
			}
			from = items[len(items)-1].Position()
			from.Replay++
		}
	}
}

// requests finds out about events whose acceptance the crash interrupted. Either all of an event is
// there or nothing.
func (c *check) requests() {
	for e := range c.m.appending {
		if e.Event.ID.IsZero() {
			continue
		}
		req := c.m.requests[ordinalOf(e.Event.Reference)]
		if _, err := c.s.EventRecord(context.Background(), e.Event.ID); errors.Is(err, store.ErrNotFound) {
			continue // nobody was told that it was accepted
		}
		req.id, req.stored = e.Event.ID, true
		c.m.byEvent[req.id] = req
		if string(req.id[:]) > string(c.m.newest[:]) {
			c.m.newest = req.id
		}
		for _, to := range req.to {
			d := c.m.parcel(store.DeliveryID{Day: req.id.Day(), Event: req.id, Dest: to.id})
			d.req, d.ordinal = req, req.Ordinal
			if len(d.past) == 0 {
				rec, _, err := c.s.Delivery(context.Background(), d.id)
				if err != nil {
					c.fault(d, "its event survived a crash, and it did not: %v", err)
				}
				d.past = []stamped{{row: row{state: store.Pending, due: rec.Due, version: 1}, at: c.at, durable: true}}
			}
			c.m.noteLocked(d, "accepted, though nobody was told")
		}
	}
	for _, req := range c.m.requests {
		if req == nil || !req.stored {
			continue
		}
		rec, err := c.s.EventRecord(context.Background(), req.id)
		switch {
		case errors.Is(err, store.ErrNotFound) && req.id.Day() < c.m.rows:
		case err != nil:
			c.fault(nil, "event %d (%v), which was accepted: %v", req.Ordinal, req.id, err)
		case len(rec.To) != len(req.to) || rec.Size != len(req.body):
			c.fault(nil, "event %d has %d deliveries and %d bytes, want %d and %d", req.Ordinal, len(rec.To), rec.Size, len(req.to), len(req.body))
		}
	}
}

// candidate is a row that a delivery may have.
type candidate struct {
	row
	seq int
}

// candidates are the rows that d may have after this start, oldest first.
func (c *check) candidates(d *parcel) []candidate {
	if !c.crashed {
		return []candidate{{d.now(), math.MaxInt}}
	}
	first := 0
	for i, s := range d.past {
		if s.durable || s.at < c.at-int64(settledWithin) {
			first = i
		}
	}
	var cs []candidate
	for _, s := range d.past[first:] {
		cs = append(cs, candidate{s.row, s.seq})
	}
	for i := range c.m.changing {
		if next, ok := c.m.changing[i].of(c.m, d); ok {
			cs = append(cs, candidate{next, math.MaxInt})
		}
	}
	return cs
}

// of returns what an unfinished change may have made of d.
func (i *intent) of(m *Model, d *parcel) (row, bool) {
	was := d.now()
	mine := false
	switch {
	case i.ids != nil && !slices.Contains(i.ids, d.id):
		return was, false
	case i.bodies > 0:
		mine = d.id.Day < i.bodies
	case i.user != "":
		mine = d.req != nil && d.req.User == i.user && m.sc.Developers[d.req.Developer] == i.dev
	case i.change != 0:
		mine = true
	case i.row.version == was.version+1 && was.state == store.Pending:
		return i.row, true
	case i.row.state == store.Delivered:
		return row{state: store.Delivered, attempts: i.row.attempts, version: was.version + 1}, true
	}
	if !mine {
		return was, false
	}
	return apply(i.change, i.now, was)
}

// delivery checks one delivery and takes over how it stands.
func (c *check) delivery(d *parcel) {
	if d.gone {
		return
	}
	rec, attempts, err := c.s.Delivery(context.Background(), d.id)
	if errors.Is(err, store.ErrNotFound) && d.id.Day < c.m.rows {
		d.gone = true
		return
	}
	if err != nil {
		c.fault(d, "an accepted delivery cannot be read: %v", err)
		return
	}
	c.use(d, &rec, attempts)
	item, queued := c.queued[d.id]
	delete(c.queued, d.id)
	cs := c.candidates(d)
	oldest, newest := -1, -1 // of those that are what the store has: an outcome that came too late changes nothing
	for i, k := range cs {
		if k.state == rec.State && k.attempts == rec.Attempts && (k.state != store.Pending || k.due == rec.Due && k.settings == rec.Settings && k.version == item.Version) {
			if newest = i; oldest < 0 {
				oldest = i
			}
		}
	}
	if newest < 0 {
		c.fault(d, "the store has %v, %d attempts, due %s, settings %x, version %d; want one of %v",
			rec.State, rec.Attempts, clock(rec.Due), rec.Settings, item.Version, cs)
		return
	}
	k := cs[oldest]
	if queued != (k.state == store.Pending) {
		c.fault(d, "it is %v, and in a queue: %v", rec.State, queued)
	}
	c.log(d, k, attempts)
	if k.seq != math.MaxInt {
		c.kept = max(c.kept, k.seq)
	} else {
		k.seq = c.m.seq
	}
	if newest+1 < len(cs) {
		if next := cs[newest+1].seq; next != math.MaxInt && (c.lost == 0 || next < c.lost) {
			c.lost, c.victim = next, d
		}
		c.m.noteLocked(d, "goes back to: %s", k)
	}
	d.past = []stamped{{row: k.row, at: c.at, seq: k.seq, durable: true}}
	d.ended = nil
}

// log checks the attempts that the log shows, and takes over what a crash left of it.
func (c *check) log(d *parcel, k candidate, attempts []store.Attempt) {
	var want []uint32
	for v, a := range d.log {
		if a.seq <= k.seq {
			want = append(want, v)
		}
	}
	slices.SortFunc(want, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(d.log[a].At, d.log[b].At), cmp.Compare(a, b))
	})
	if len(attempts) < len(want) || !c.crashed && len(attempts) > len(want) {
		c.fault(d, "the log shows %d attempts, want %d", len(attempts), len(want))
		return
	}
	for i, v := range want {
		a, b := &attempts[i], d.log[v]
		if a.At != b.At || a.Class != b.Class || a.Counted != b.Counted || a.Code != b.Code {
			c.fault(d, "the log shows attempt %+v, want %+v", *a, b.Attempt)
		}
	}
	if c.crashed {
		clear(d.log)
		for i, a := range attempts { // their order is all that matters from here on
			d.log[uint32(i)] = logged{Attempt: a}
		}
	}
}

// prefix checks that only the end of the log is lost, never its middle.
func (c *check) prefix() {
	if c.lost != 0 && c.lost < c.kept {
		c.fault(c.victim, "a change (%d) is lost, and a later one (%d) is not", c.lost, c.kept)
	}
}

func (c *check) states() {
	ds, err := c.s.Destinations(context.Background())
	if err != nil {
		c.fault(nil, "Destinations: %v", err)
	}
	for _, r := range ds {
		d := c.m.byID[r.ID]
		if d == nil {
			continue // its registration was interrupted
		}
		if r.State.Paused != d.paused && !d.asking && !d.unsure {
			c.fault(nil, "%s: paused %v is stored, want %v", d.Name, r.State.Paused, d.paused)
		}
		if !slices.ContainsFunc(d.states, func(s store.DestinationState) bool {
			return s.Paused == r.State.Paused && s.Held == r.State.Held && s.Settings == r.State.Settings && s.Reason == r.State.Reason
		}) {
			c.fault(nil, "%s: %+v is stored, want one of %+v", d.Name, r.State, d.states)
		}
		d.states = []store.DestinationState{r.State}
		d.paused, d.unsure = r.State.Paused, false
		if r.State.Held != d.held && !d.asking && (!c.crashed || d.heldAt < c.at-int64(settledWithin)) && c.m.sc.Faults == 0 && c.m.sc.Lag == 0 {
			c.fault(nil, "%s: held %v is stored, want %v", d.Name, r.State.Held, d.held)
		}
		d.held, d.heldFor = r.State.Held, r.State.Settings
	}
}

// audit compares the counters with the deliveries.
func (c *check) audit() {
	rows, err := c.s.Audit(context.Background(), true, nil)
	if err != nil {
		c.fault(nil, "Audit: %v", err)
		return
	}
	want := map[uint32]*store.Counts{}
	for _, d := range c.m.order {
		if d.gone {
			continue
		}
		n := want[d.id.Dest]
		if n == nil {
			n = &store.Counts{}
			want[d.id.Dest] = n
		}
		n.Accepted++
		switch d.now().state {
		case store.Pending:
			n.Pending++
			if d.req != nil {
				n.PendingBytes += int64(len(d.req.body))
			}
		case store.Delivered:
			n.Delivered++
		case store.Dead:
			n.Dead++
		case store.Cancelled:
			n.Cancelled++
		}
	}
	for _, r := range rows {
		n := want[r.Dest]
		if n == nil {
			n = &store.Counts{}
		}
		delete(want, r.Dest)
		if r.Counts != *n || r.Recounted == nil || *r.Recounted != *n || c.s.Counts(r.Dest) != *n {
			c.fault(nil, "destination %d: counted %+v, recounted %+v, in memory %+v, want %+v", r.Dest, r.Counts, r.Recounted, c.s.Counts(r.Dest), *n)
		}
	}
	for id, n := range want {
		c.fault(nil, "destination %d is missing from the audit, want %+v", id, *n)
	}
}
