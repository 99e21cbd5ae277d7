package storetest

import (
	"github.com/seed-51f8da91/fantail/internal/store"
)

// balanced holds what is true of every store at every moment: the counters are
// what events and deliveries add up to, every pending delivery is in its queue
// once and nothing else is, and its body is there.
func (r *rig) balanced() {
	r.Helper()
	sizes := map[store.DeliveryID]int64{} // of what is accepted, by delivery
	accepted := map[uint32]int64{}        // when they came, and by replays
	for _, e := range r.events(r.s, store.EventQuery{}) {
		if e.Event.Body != nil {
			r.Errorf("event %v: its record has a body", e.Event.ID)
		}
		for _, d := range e.To {
			accepted[d]++
			sizes[store.DeliveryID{Day: e.Event.ID.Day(), Event: e.Event.ID, Dest: d}] = int64(e.Size)
		}
	}
	counts := map[uint32]store.Counts{}
	usage := map[usageKey]*store.UsageRow{}
	pending := map[store.DeliveryID]store.DeliveryRecord{}
	for _, d := range r.deliveries(r.s, store.DeliveryQuery{}) {
		if d.ID.Replay != 0 {
			accepted[d.ID.Dest]++
			if e, err := r.s.Event(r.ctx, d.ID.Day, d.ID.Event); err == nil {
				sizes[d.ID] = int64(len(e.Body))
			}
		} else if _, ok := sizes[d.ID]; !ok {
			r.Errorf("delivery %v belongs to no event that went to its destination", d.ID)
		}
		c := counts[d.ID.Dest]
		c.Accepted++
		switch d.State {
		case store.Pending:
			c.Pending++
			c.PendingBytes += sizes[d.ID]
			pending[d.ID] = d
			r.hasBody(d.ID, sizes[d.ID])
		case store.Delivered:
			c.Delivered++
		case store.Dead:
			c.Dead++
		case store.Cancelled:
			c.Cancelled++
		default:
			r.Errorf("delivery %v is in state %d", d.ID, d.State)
		}
		counts[d.ID.Dest] = c
		r.use(usage, d, sizes)
	}
	for dest, n := range accepted {
		if counts[dest].Accepted != n {
			r.Errorf("destination %d: %d deliveries of %d events", dest, counts[dest].Accepted, n)
		}
	}
	r.audited(counts)
	r.used(usage)
	if got := r.s.Stats().Pending; got != int64(len(pending)) {
		r.Errorf("stats: %d pending, want %d", got, len(pending))
	}
	r.queued(pending)
}

func (r *rig) hasBody(id store.DeliveryID, size int64) {
	r.Helper()
	e, err := r.s.Event(r.ctx, id.Day, id.Event)
	if err != nil {
		r.Errorf("delivery %v is pending, its body: %v", id, err)
	} else if int64(len(e.Body)) != size {
		r.Errorf("delivery %v: body of %d bytes, its record says %d", id, len(e.Body), size)
	}
}

// audited compares every way to ask for counters with what was counted.
func (r *rig) audited(want map[uint32]store.Counts) {
	r.Helper()
	dests, err := r.s.Destinations(r.ctx)
	r.must("destinations", err)
	for _, deep := range []bool{false, true} {
		rows, err := r.s.Audit(r.ctx, deep, func(int64) {})
		r.must("audit", err)
		seen := map[uint32]bool{}
		for _, row := range rows {
			if seen[row.Dest] {
				r.Errorf("audit lists destination %d twice", row.Dest)
			}
			seen[row.Dest] = true
			if row.Counts != want[row.Dest] {
				r.Errorf("audit of destination %d: %+v, want %+v", row.Dest, row.Counts, want[row.Dest])
			}
			if (row.Recounted != nil) != deep {
				r.Errorf("audit of destination %d: recounted %v, deep %v", row.Dest, row.Recounted != nil, deep)
			} else if deep && *row.Recounted != want[row.Dest] {
				r.Errorf("audit of destination %d recounts %+v, want %+v", row.Dest, *row.Recounted, want[row.Dest])
			}
		}
		for _, d := range dests {
			if !seen[d.ID] && want[d.ID] != (store.Counts{}) {
				r.Errorf("audit leaves out destination %d", d.ID)
			}
		}
	}
	for _, d := range dests {
		if got := r.s.Counts(d.ID); got != want[d.ID] {
			r.Errorf("counts of destination %d: %+v, want %+v", d.ID, got, want[d.ID])
		}
	}
}

// queued holds the queues to be exactly what is pending, and takes it out of the map.
func (r *rig) queued(pending map[store.DeliveryID]store.DeliveryRecord) {
	r.Helper()
	heads, err := r.s.Queues(r.ctx)
	r.must("queues", err)
	listed := map[store.QueueID]bool{}
	for _, h := range heads {
		q := h.Queue
		if listed[q] {
			r.Errorf("queue %v is listed twice", q)
		}
		listed[q] = true
		items := r.queue(q)
		if len(items) == 0 {
			r.Errorf("queue %v is listed and has nothing pending", q)
		} else if h.From != items[0].Position() {
			r.Errorf("queue %v is said to begin at %v and begins at %v", q, h.From, items[0].Position())
		}
		for _, it := range items {
			d, ok := pending[it.ID]
			if !ok {
				r.Errorf("queue %v offers %v, which is not pending or was offered before", q, it.ID)
				continue
			}
			delete(pending, it.ID)
			if it.Queue != q || q != (store.QueueID{Dest: d.ID.Dest, Settings: d.Settings}) || it.Due != d.Due || it.Attempts != d.Attempts {
				r.Errorf("queue %v offers %+v of %+v", q, it, d)
			}
		}
	}
	for id, d := range pending {
		r.Errorf("delivery %v is pending and in no queue: %+v", id, d)
	}
}
