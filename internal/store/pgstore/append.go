package pgstore

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// answerWithin is how long a caller waits for a commit. After that the caller is told that
// nobody knows whether it was stored; the commit itself has no such bound.
const answerWithin = 10 * time.Second

// Append makes the events durable: see store.Queue.
func (s *Store) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if err := s.Ready(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.appendAll(ctx, call{now: now}, batch)
}

// named is the id that an entry gets, whose event is accepted then.
type named struct {
	id       event.ID
	accepted time.Time
}

// appendAs is Append with ids that were given before: entry i becomes as[i]. With claims it stores
// the keys alone, which all entries have then. A key whose event goes to another database has a
// negative number of deliveries: the complement of theirs.
func (s *Store) appendAs(ctx context.Context, now time.Time, batch []*store.Entry, as []named, claims bool) ([]store.Appended, error) {
	if err := s.Ready(); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.appendAll(ctx, call{now: now, as: as, claims: claims}, batch)
}

// call is what one caller adds to a group.
type call struct {
	now     time.Time
	entries []fresh
	as      []named // the ids of the entries; nil: the store gives them
	claims  bool    // the keys alone are stored: the events go to another database
	barrier bool    // it waits for a commit though it adds nothing
	alone   bool    // it goes in a group of its own
	out     []store.Appended
	left    bool // the caller has gone; under groups.mu
}

// fresh is an entry that is to be stored.
type fresh struct {
	at    int // in out
	entry *store.Entry
	claim *claim // of its idempotency key, if it has one
	body  []byte // packed
}

func (c *call) add(at int, e *store.Entry, claim *claim) {
	c.entries = append(c.entries, fresh{at: at, entry: e, claim: claim})
}

// commit adds the call to a group and waits until that is durable.
func (s *Store) commit(ctx context.Context, c *call) error {
	for i := range c.entries {
		if !c.claims {
			c.entries[i].body = s.packer.Pack(c.entries[i].entry.Event.Body)
		}
	}
	g, err := s.enlist(ctx, c)
	if err != nil {
		return err
	}
	t := time.NewTimer(answerWithin)
	defer t.Stop()
	select {
	case <-g.done:
		if g.fault == nil {
			s.keepHere(c)
		}
		return g.fault
	case <-t.C:
	}
	s.groups.mu.Lock()
	defer s.groups.mu.Unlock()
	select {
	case <-g.done:
		if g.fault == nil {
			s.keepHere(c)
		}
		return g.fault
	default:
		c.left = true // whoever ends the group hands the call's deliveries to the engine
		return &store.Unavailable{Reason: "the database does not answer: whether the event was stored is not known", After: answerWithin}
	}
}

// keepHere leaves out deliveries that lie in slots of other daemons. It looks after the commit:
// whoever adopts a slot after that finds them there.
func (s *Store) keepHere(c *call) {
	if s.opts.Serial == nil {
		return
	}
	for i := range c.out {
		c.out[i].Items = s.here(c.out[i].Items, s.bornIn)
	}
}

// bornIn is the slot that Append put a delivery into: one of this daemon, or a serial one.
func (s *Store) bornIn(it *store.Item) int16 { return s.slotFor(it.ID.Dest, s.changes.slot) }

// enlist writes the call into a group with room for it. Ids are given out here, so that those
// of one store grow in the order in which groups take them.
func (s *Store) enlist(ctx context.Context, c *call) (*group, error) {
	g, err := s.groups.room(ctx, c, s.Ready)
	if err != nil {
		return nil, err
	}
	defer s.groups.mu.Unlock()
	g.calls = append(g.calls, c)
	for i := range c.entries {
		s.build(g, c, &c.entries[i])
	}
	s.groups.filled()
	return g, nil
}

// build writes one event with its deliveries into g.
func (s *Store) build(g *group, c *call, f *fresh) {
	e := f.entry.Event
	if c.claims {
		g.claim(f, c.as[f.at].id, &c.out[f.at])
		return
	}
	var id event.ID
	var accepted time.Time
	if c.as != nil {
		id, accepted = c.as[f.at].id, c.as[f.at].accepted
		s.groups.ids.Seed(id)
	} else { // by the database's clock: those of daemons differ, and what came later would seem to be earlier
		id, accepted = s.groups.ids.Next(c.now.Add(s.lease.clocks.offset()))
	}
	e.ID = id
	if e.Ordering.IsZero() {
		e.Ordering = accepted
	}
	to := distinct(f.entry.To)
	day := id.Day()
	out := &c.out[f.at]
	*out = store.Appended{ID: id, Reference: e.Reference, Fanout: len(to)}
	var key []byte
	if f.claim != nil {
		f.claim.first = first{id: id, reference: e.Reference, fanout: len(to)}
		key = f.claim.hash[:]
		g.keys = append(g.keys, f.claim)
	}
	g.event(e, f.body, key, to)
	if len(to) > 0 {
		out.Items = make([]store.Item, len(to))
	}
	at := c.now.UnixNano()
	for i, dest := range to {
		out.Items[i] = store.Item{
			ID: store.DeliveryID{Day: day, Event: id, Dest: dest}, Queue: store.QueueID{Dest: dest},
			Due: max(at, 0), Ordering: e.Ordering.UnixNano(), Size: uint32(len(e.Body)), Version: 1,
		}
		g.deliver(dest, at, s.slotFor(dest, 0))
		n := g.sum.of(day, dest)
		n[nAccepted]++
		n[nSizes] += int64(len(e.Body))
		n.count(store.Pending, uint32(len(e.Body)), 1)
	}
}

// claim adds the key alone. What the reference says is for the database of the event to know: an
// erasure there does not look here.
func (g *group) claim(f *fresh, id event.ID, out *store.Appended) {
	f.claim.first = first{id: id, fanout: ^len(distinct(f.entry.To))}
	g.keys = append(g.keys, f.claim)
	g.bytes += 256
	*out = store.Appended{ID: id, Fanout: f.claim.first.fanout}
}

// event adds a row of event and one of body.
func (g *group) event(e *event.Event, body, key []byte, to []uint32) {
	var trace []byte
	if e.Trace != nil {
		trace, _ = json.Marshal(e.Trace) // three texts of ASCII
	}
	g.days = append(g.days, int32(e.ID.Day()))
	g.ids = append(g.ids, e.ID)
	g.who = append(g.who, who(e.Developer, e.UserID))
	g.ordering = append(g.ordering, e.Ordering.UnixNano())
	g.size = append(g.size, int32(len(e.Body)))
	g.versioned = append(g.versioned, e.Versioned)
	g.developer = append(g.developer, []byte(e.Developer))
	g.kind = append(g.kind, []byte(e.Type))
	g.version = append(g.version, []byte(e.Version))
	g.user = append(g.user, []byte(e.UserID))
	g.reference = append(g.reference, []byte(e.Reference))
	g.trace = append(g.trace, trace)
	g.key = append(g.key, key)
	g.first = append(g.first, int32(len(g.dests)+1))
	g.fanout = append(g.fanout, int32(len(to)))
	g.bodies = append(g.bodies, body)
	g.bytes += int64(len(body)) + 256
}

// deliver adds a row of pending for the last event, in a slot; 0 is that of the commit.
func (g *group) deliver(dest uint32, now int64, slot int16) {
	g.of = append(g.of, int32(len(g.ids)))
	g.dests = append(g.dests, int32(dest))
	g.now = append(g.now, now)
	if slot == 0 {
		g.slots = append(g.slots, nil)
		return
	}
	g.slots = append(g.slots, &slot)
	g.born.add(dest, max(now, 0))
}

// distinct leaves out destinations that are named a second time.
func distinct(to []uint32) []uint32 {
	for i, dest := range to {
		if slices.Contains(to[:i], dest) { // a repeated destination is rare, but would unbalance the counters for good
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
	}
	return to
}
