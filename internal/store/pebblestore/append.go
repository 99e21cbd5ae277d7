package pebblestore

import (
	"context"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// hangAfter bounds how long a caller whose context has ended waits for a
// commit that the disk does not answer.
const hangAfter = 30 * time.Second

// Append makes the events durable: see store.Queue.
func (s *Store) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if err := s.Ready(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	out := make([]store.Appended, len(batch))
	fresh := make([]fresh, 0, len(batch))
	var keyed []int
	for i, e := range batch {
		if e.IdempotencyKey == "" {
			fresh = appendFresh(fresh, i, e, nil)
		} else {
			keyed = append(keyed, i)
		}
	}
	if len(keyed) > 0 {
		return out, s.appendKeyed(ctx, now, batch, keyed, fresh, out)
	}
	return out, s.commit(ctx, now, fresh, out)
}

// fresh is an entry that is to be stored.
type fresh struct {
	at    int
	entry *store.Entry
	claim *claim // of its idempotency key, if it has one
	body  []byte // the value of the body
}

func appendFresh(f []fresh, at int, e *store.Entry, c *claim) []fresh {
	return append(f, fresh{at: at, entry: e, claim: c})
}

// commit adds the entries to the open group and waits until it is durable.
func (s *Store) commit(ctx context.Context, now time.Time, entries []fresh, out []store.Appended) error {
	if len(entries) == 0 {
		return nil
	}
	for i := range entries {
		entries[i].body = s.packer.Pack(entries[i].entry.Event.Body)
	}
	g, err := s.join(ctx, now, entries, out)
	for i := range entries {
		s.packer.Release(entries[i].body)
	}
	if err != nil {
		return err
	}
	select {
	case <-g.done:
		return g.fault
	case <-s.health.failed:
		return s.failure()
	case <-ctx.Done():
	}
	t := time.NewTimer(hangAfter)
	defer t.Stop()
	select {
	case <-g.done:
		return g.fault
	case <-s.health.failed:
		return s.failure()
	case <-t.C:
		return &store.Unavailable{Reason: "the disk does not answer: whether the event was stored is not known", After: hangAfter}
	}
}

// join writes the entries into a group with room for them.
func (s *Store) join(ctx context.Context, now time.Time, entries []fresh, out []store.Appended) (*group, error) {
	a := &s.append
	a.mu.Lock()
	for a.open != nil && a.open.bytes >= groupBytes {
		if a.room == nil {
			a.room = make(chan struct{})
		}
		room := a.room
		a.mu.Unlock()
		select {
		case <-room:
		case <-s.health.failed:
			return nil, s.failure()
		case <-ctx.Done():
			return nil, &store.Unavailable{Reason: "store busy: " + context.Cause(ctx).Error(), After: time.Second}
		}
		if err := s.Ready(); err != nil {
			return nil, err
		}
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = &group{writer: writer{b: s.db.NewBatch()}, sum: deltas{}, done: make(chan struct{})}
	}
	g := a.open
	for i := range entries {
		s.build(g, now, &entries[i], &out[entries[i].at])
	}
	g.now = now
	a.joined()
	return g, nil
}

// build writes one event with its deliveries into g. It runs under append.mu, so
// that ids are committed in the order they are given out.
func (s *Store) build(g *group, now time.Time, f *fresh, out *store.Appended) {
	e := f.entry.Event
	id, accepted := s.append.ids.Next(now)
	e.ID = id
	if e.Ordering.IsZero() {
		e.Ordering = accepted
	}
	to := f.entry.To
	for i, dest := range to {
		if slices.Contains(to[:i], dest) { // a repeated destination is rare, but would unbalance the counters for good
			to = distinct(to)
			break
		}
	}
	day := id.Day()
	ev := eventRow{EventRecord: store.EventRecord{Event: *e, Size: len(e.Body), To: to}, at: now.UnixNano()}
	r := ev.implies()
	if ev.at == 0 || !s.implied.add(g, id, to, r) {
		ev.at = 0
	}
	if c := f.claim; c != nil {
		ev.key = &c.hash
		c.first = first{id: id, reference: e.Reference, fanout: len(to)}
		s.idem.stored(day)
		g.k, g.v = idemKey(g.k[:0], day, c.hash), appendIdem(g.v[:0], &c.first, c.body)
		g.set()
	}
	g.k, g.v = eventKey(g.k[:0], kindEvent, day, id), appendEvent(g.v[:0], &ev)
	g.set()
	g.setBody(day, id, f.body)
	g.k, g.v = ownerKey(g.k[:0], day, e.Developer, id), g.v[:0]
	g.set()
	if e.UserID != "" {
		g.k = userKey(g.k[:0], day, e.Developer, e.UserID, id)
		g.set()
	}
	out.ID, out.Reference, out.Fanout = id, e.Reference, len(to)
	if len(to) > 0 {
		out.Items = make([]store.Item, len(to))
	}
	for i, dest := range to {
		did := store.DeliveryID{Day: day, Event: id, Dest: dest}
		out.Items[i] = r.item(did)
		if ev.at == 0 {
			g.writePending(did, &r)
		}
		c := g.sum.of(day, dest)
		c[nAccepted]++
		c[nBytes] += int64(r.Size)
		c.count(store.Pending, r.Size, 1)
	}
	n := int64(len(f.body)) + 256
	g.bytes += n
	s.health.since.Add(n)
}

func distinct(to []uint32) []uint32 {
	seen := map[uint32]bool{}
	out := make([]uint32, 0, len(to))
	for _, dest := range to {
		if !seen[dest] {
			out = append(out, dest)
		}
		seen[dest] = true
	}
	return out
}
