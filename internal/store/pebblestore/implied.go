package pebblestore

import (
	"bytes"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A delivery is implied while nothing has happened to it: its event's row says to whom it
// goes and when it was accepted, and that is all there is to know. It has no row, no place in
// a queue and no entry in the index of states. Most deliveries arrive at their first attempt.
// For those, one row and one entry are all that is ever written.
//
// On disk, an event at or after the watermark whose row says so implies the deliveries that
// have no row. Memory holds the same deliveries. It holds at most mostImplied of them, and
// none for long: older ones are written out, and the watermark follows.
const (
	mostImplied   = 16 << 10        // deliveries; beyond them Append writes rows
	widestImplied = 64              // destinations of an event, one bit each
	impliedFor    = time.Second     // what is older is written out
	tendEvery     = time.Second     // by Settle
	tendLate      = 2 * time.Second // by a commit of events, when nobody settles
	writeOutChunk = 256             // events written out under one lock
)

// implied are the implied deliveries. Events come in under append.mu. Deliveries leave under
// Store.change, after the batch that writes their rows was applied: who holds it finds a
// delivery here or finds its row. Who does not hold it looks here first and then at the rows,
// and so misses none.
type implied struct {
	mu     sync.Mutex
	events map[event.ID]*impliedEvent
	order  []*impliedEvent // oldest first; some have no delivery left
	queues map[uint32]*impliedQueue
	n      int      // deliveries
	newest event.ID // the newest event given an id, implied or not

	tended    time.Time // when tend ran last
	watermark event.ID  // as it is stored
}

// impliedEvent is an event with implied deliveries.
type impliedEvent struct {
	id    event.ID
	to    []uint32
	left  uint64 // bit i: the delivery to to[i] is implied
	row   row    // what it would be
	group *group // the commit it is part of; nil once that has succeeded
}

// impliedQueue are the implied deliveries of one destination in the order of Due.
type impliedQueue struct {
	list []impliedPlace
	gone int // of them, which are not implied any more
}

type impliedPlace struct {
	e   *impliedEvent
	bit int
}

func (p impliedPlace) left() bool { return p.e.left&(1<<p.bit) != 0 }

func (e *impliedEvent) delivery(bit int) store.DeliveryID {
	return store.DeliveryID{Day: e.id.Day(), Event: e.id, Dest: e.to[bit]}
}

func (x *implied) init() {
	x.events, x.queues = map[event.ID]*impliedEvent{}, map[uint32]*impliedQueue{}
}

// add takes in a new event of g whose deliveries would all be r. It returns false when they
// must have rows. It runs under append.mu, so that events come in the order of their ids.
func (x *implied) add(g *group, id event.ID, to []uint32, r row) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.newest = id
	if len(to) == 0 || len(to) > widestImplied || x.n+len(to) > mostImplied {
		return false
	}
	r.implied = true
	e := &impliedEvent{id: id, to: slices.Clone(to), left: 1<<len(to) - 1, row: r, group: g}
	x.events[id] = e
	x.order = append(x.order, e)
	x.n += len(to)
	for bit, dest := range to {
		q := x.queues[dest]
		if q == nil {
			q = new(impliedQueue)
			x.queues[dest] = q
		}
		q.list = append(q.list, impliedPlace{e, bit})
		// Callers read their clocks before they wait for append.mu: the list is nearly sorted.
		for i := len(q.list) - 1; i > 0 && q.list[i-1].e.row.Due > r.Due; i-- {
			q.list[i-1], q.list[i] = q.list[i], q.list[i-1]
		}
	}
	return true
}

// leave notes that the deliveries have rows.
func (x *implied) leave(ids []store.DeliveryID) {
	if len(ids) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range ids {
		if e := x.events[id.Event]; e != nil {
			x.drop(e, 1<<slices.Index(e.to, id.Dest))
		}
	}
}

// age forgets the events of days before kept: retention has removed those.
func (x *implied) age(kept event.Day) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.order {
		if e.id.Day() < kept {
			x.drop(e, e.left)
		}
	}
}

// drop takes out the deliveries of e whose bits are set in which.
func (x *implied) drop(e *impliedEvent, which uint64) {
	for which &= e.left; which != 0; which &= which - 1 {
		bit := bits.TrailingZeros64(which)
		e.left &^= 1 << bit
		x.n--
		q := x.queues[e.to[bit]]
		if q.gone++; q.gone == len(q.list) {
			delete(x.queues, e.to[bit])
		} else if q.gone > 32 && q.gone > len(q.list)/2 {
			q.list = slices.DeleteFunc(q.list, func(p impliedPlace) bool { return !p.left() })
			q.gone = 0
		}
	}
	if e.left == 0 {
		delete(x.events, e.id)
	}
}

// oldest returns the oldest event that has an implied delivery, nil if there is none.
func (x *implied) oldest() *impliedEvent {
	for len(x.order) > 0 && x.order[0].left == 0 {
		x.order[0] = nil
		x.order = x.order[1:]
	}
	if len(x.order) == 0 {
		x.order = nil // the array behind it
		return nil
	}
	return x.order[0]
}

// ended tells whether the commit is over, and what came of it.
func (g *group) ended() (bool, error) {
	select {
	case <-g.done:
		return true, g.fault
	default:
		return false, nil
	}
}

// visible tells whether the event of e can be read: its commit may still be running, or may
// have failed. It needs implied.mu.
func (s *Store) visible(e *impliedEvent) (bool, error) {
	if e.group == nil {
		return true, nil
	}
	switch ended, fault := e.group.ended(); {
	case !ended:
		v, err := s.get(eventKey(nil, kindEvent, e.id.Day(), e.id))
		return v != nil, err
	case fault != nil:
		return false, nil
	}
	e.group = nil
	return true, nil
}

// impliedRow returns the delivery if it is implied.
func (s *Store) impliedRow(id store.DeliveryID) (r row, ok bool, err error) {
	if id.Replay != 0 || id.Day != id.Event.Day() {
		return r, false, nil
	}
	x := &s.implied
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.events[id.Event]
	if e == nil {
		return r, false, nil
	}
	if bit := slices.Index(e.to, id.Dest); bit < 0 || e.left&(1<<bit) == 0 {
		return r, false, nil
	}
	ok, err = s.visible(e)
	return e.row, ok, err
}

// impliedDue is Due for the implied deliveries.
func (s *Store) impliedDue(q store.QueueID, from store.Position, until int64, limit int) (items []store.Item, next int64, err error) {
	x := &s.implied
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.queues[q.Dest]
	if all == nil || q.Settings != 0 {
		return nil, 0, nil
	}
	list := all.list[sort.Search(len(all.list), func(i int) bool { return all.list[i].e.row.Due >= from.Due }):]
	for _, p := range list {
		if !p.left() || p.e.row.Due == from.Due && bytes.Compare(p.e.id[:], from.Event[:]) < 0 ||
			p.e.row.Due == from.Due && p.e.id == from.Event && from.Replay > 0 {
			continue
		}
		if ok, err := s.visible(p.e); err != nil {
			return nil, 0, err
		} else if !ok {
			continue
		}
		if p.e.row.Due > until || len(items) >= limit {
			return items, p.e.row.Due, nil
		}
		items = append(items, p.e.row.item(p.e.delivery(p.bit)))
	}
	return items, 0, nil
}

// impliedQueues lists the queues that have something implied.
func (s *Store) impliedQueues() ([]store.Head, error) {
	x := &s.implied
	x.mu.Lock()
	defer x.mu.Unlock()
	var heads []store.Head
	for dest, q := range x.queues {
		for _, p := range q.list {
			if !p.left() {
				continue
			}
			ok, err := s.visible(p.e)
			if err != nil {
				return nil, err
			}
			if ok {
				heads = append(heads, store.Head{Queue: store.QueueID{Dest: dest}, From: store.Position{Due: p.e.row.Due, Event: p.e.id}})
				break
			}
		}
	}
	return heads, nil
}
