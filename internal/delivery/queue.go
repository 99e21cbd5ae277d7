package delivery

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// windowSize is how many deliveries of a queue wait in memory.
const windowSize = 64

// queue is one queue of the store as memory knows it. Always true of its
// pending rows:
//
//   - those below cursor are in the set;
//   - those from cursor on that are not in the set are due no sooner than next.
//
// Only a completed read moves cursor forward, and only over what it returned. A
// commit that memory does not keep moves cursor and next back (spill).
type queue struct {
	id   store.QueueID
	dest *dest
	lane *lane // what serves it; nil while the destination has no settings

	window  []*job
	jobs    int // of this queue in the set
	cursor  store.Position
	next    int64 // ns of wall time; never: nothing is unread
	timer   alarm[*queue]
	zombies []*job // settled, kept in the set until the read that may have seen them ends

	// high is the highest position that any read of the last minutes returned, or
	// up to which a change found something gone from memory. What is offered below
	// it may have been read, attempted and settled, or cancelled, already.
	high   store.Position
	highAt int64

	reading  bool
	listed   bool           // waits for a reader
	probe    bool           // the read is for one probe
	low      store.Position // lowest commit since the read began
	lowered  bool
	waitRead int64 // ns between reads that fail
	readAt   int64 // mono: not before
}

// key names a delivery in the set: by queue, since a delivery that changes its
// queue is gone from the old one before the new one offers it.
type key struct {
	event    event.ID
	replay   uint32
	dest     uint32
	settings uint64
}

func keyOf(q store.QueueID, id store.DeliveryID) key {
	return key{id.Event, id.Replay, q.Dest, q.Settings}
}

type jobState uint8

const (
	waiting jobState = iota // in its window
	taken                   // in flight, or ended and not settled
	settled                 // a read begun before its settle is still running
)

// job is a delivery in the set.
type job struct {
	item  store.Item
	q     *queue
	state jobState
	again bool           // the row was seen in a newer version while the job could not change
	redo  store.Position // where, lowest
	body  *body          // kept for fan-out; nil: read it
}

// comparePositions orders positions as the store does.
func comparePositions(a, b store.Position) int {
	if c := cmp.Compare(a.Due, b.Due); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Event[:], b.Event[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.Replay, b.Replay)
}

func below(a, b store.Position) bool { return comparePositions(a, b) < 0 }

// after returns the first position behind p.
func after(p store.Position) store.Position {
	if p.Replay++; p.Replay == 0 {
		for i := len(p.Event) - 1; i >= 0; i-- {
			if p.Event[i]++; p.Event[i] != 0 {
				return p
			}
		}
		p.Due++
	}
	return p
}

// raise moves high up to p and keeps it for another while.
func (q *queue) raise(p store.Position, now instant) {
	if q.highAt == 0 || below(q.high, p) {
		q.high = p
	}
	q.highAt = now.mono + 1
}

// spill leaves a pending row at p to the disk.
func (q *queue) spill(p store.Position) {
	if q.next == never && !q.reading {
		q.cursor, q.next = p, p.Due // nothing was unread: the unread part begins here
		return
	}
	if below(p, q.cursor) {
		q.cursor = p
	}
	q.next = min(q.next, p.Due)
	if q.reading && (!q.lowered || below(p, q.low)) {
		q.low, q.lowered = p, true
	}
}

// saw notes that the row of j stands in the store as item says.
func (s *Scheduler) saw(j *job, item *store.Item, now instant) {
	if item.Version <= j.item.Version {
		return
	}
	p := item.Position()
	switch {
	case j.state != waiting:
		if !j.again || below(p, j.redo) {
			j.again, j.redo = true, p
		}
	case item.Due <= now.wall:
		j.item = *item
	default:
		j.q.remove(j)
		s.loader.positions--
		s.drop(j)
		j.q.spill(p)
	}
}

// commit takes a row that the store has just made pending, or due at another
// time, in queue q. It returns the job if memory keeps it; else the disk has it.
func (s *Scheduler) commit(q *queue, item *store.Item, now instant) *job {
	if j := s.set[keyOf(q.id, item.ID)]; j != nil {
		s.saw(j, item, now)
		return nil
	}
	p := item.Position()
	if item.Due > now.wall || q.next <= now.wall || len(q.window) >= windowSize ||
		s.loader.positions >= s.loader.budget && len(q.window) > 0 ||
		q.lane == nil || s.phase != running || !q.dest.active() || q.lane.probing() ||
		q.highAt > 0 && !below(q.high, p) {
		q.spill(p)
		return nil
	}
	return s.wait(q, item)
}

// wait puts a delivery into the window.
func (s *Scheduler) wait(q *queue, item *store.Item) *job {
	j := &job{item: *item, q: q}
	s.enter(j, waiting)
	q.window = append(q.window, j)
	s.loader.positions++
	return j
}

func (s *Scheduler) enter(j *job, state jobState) {
	j.state = state
	s.set[keyOf(j.q.id, j.item.ID)] = j
	j.q.jobs++
}

// pop takes the first delivery out of the window.
func (s *Scheduler) pop(q *queue) *job {
	j := q.window[0]
	n := copy(q.window, q.window[1:]) // at most 64 pointers, and no garbage
	q.window[n] = nil
	q.window = q.window[:n]
	s.loader.positions--
	j.state = taken
	return j
}

// remove takes j out of the window.
func (q *queue) remove(j *job) {
	for i, w := range q.window {
		if w == j {
			q.window = slices.Delete(q.window, i, i+1)
			return
		}
	}
}

// forget empties the window: the disk has what was in it.
func (s *Scheduler) forget(q *queue) {
	for _, j := range q.window {
		s.drop(j)
		q.spill(j.item.Position())
	}
	s.loader.positions -= len(q.window)
	q.window = nil
}

// release takes j out of the set once the store has what became of it, but not
// before a read that began earlier and may return the row as it was has ended.
func (s *Scheduler) release(j *job) {
	if j.q.reading {
		j.state = settled
		j.q.zombies = append(j.q.zombies, j)
		return
	}
	s.drop(j)
}

// drop takes j out of the set.
func (s *Scheduler) drop(j *job) {
	s.cache.done(j)
	k := keyOf(j.q.id, j.item.ID)
	delete(s.set, k)
	if s.net.left != nil {
		s.net.left[k] = true
	}
	j.q.jobs--
	if j.again {
		j.q.spill(j.redo)
	}
}
