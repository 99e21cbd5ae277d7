package delivery

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// windowSize is how many deliveries of a queue wait in memory. Those of a healthy
// destination may be as many as it takes in windowTime, up to windowMost: one that
// falls behind for a moment would else have all that follows read from the disk.
const (
	windowSize = 64
	windowMost = 16384
	windowTime = 4 * time.Second
)

// queue is one queue of the store as memory knows it. Always true of its
// pending rows:
//
//   - those below cursor are among the jobs;
//   - those from cursor on that are not among the jobs are due no sooner than next.
//
// Only a completed read moves cursor forward, and only over what it returned. A
// commit that memory does not keep moves cursor and next back (spill).
type queue struct {
	id   store.QueueID
	dest *dest
	lane *lane // what serves it; nil while the destination has no settings

	window            []*job
	jobs              int // of this queue
	cursor            store.Position
	next              int64 // ns of wall time; never: nothing is unread
	timer             alarm[*queue]
	settledDuringRead []*job // of any queue of dest, kept until the read of this one ends

	// high is the highest position that any read of the last minutes returned, or
	// up to which a change found something gone from memory. What is offered below
	// it may have been read, attempted and settled, or cancelled, already.
	high   store.Position
	highAt int64

	adopted       bool // nothing of it has been read since it was adopted with many others
	reading       bool
	readRequested bool           // waits for a reader
	probe         bool           // the read is for one probe
	low           store.Position // lowest commit since the read began
	lowered       bool
	waitRead      int64 // ns between reads that fail
	readAt        int64 // mono: not before
}

// key names a job. Its queue is no part of it: a delivery that
// changes its queue while it is in flight must not be started from the new one.
type key struct {
	event  event.ID
	replay uint32
	dest   uint32
}

func keyOf(id store.DeliveryID) key { return key{id.Event, id.Replay, id.Dest} }

type jobState uint8

const (
	waiting jobState = iota // in its window
	started                 // in flight, or ended and not settled
	settled                 // reads begun before its settle are still running
)

// job is a pending delivery that memory knows: it waits in its window, is in flight, or its
// outcome is on its way to the store.
type job struct {
	item    store.Item
	q       *queue
	state   jobState
	redo    *store.Item // the newest version of the row that was seen while the job could not change; nil: none
	changed bool        // by a person while it was in flight: what its settle returns may be older than that
	reads   int         // that keep it when it is settled
	body    *body       // kept for fan-out; nil: read it
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

// refresh learns that the row of j stands in the store as item says, perhaps in
// another queue of its destination: the caller considers all lanes.
func (s *Scheduler) refresh(j *job, item *store.Item, now instant) {
	if item.Version <= j.item.Version {
		return
	}
	switch {
	case j.state != waiting:
		if j.redo == nil || j.redo.Version < item.Version {
			seen := *item
			j.redo = &seen
		}
	case item.Queue == j.q.id && item.Due <= now.wall:
		j.item = *item
	default:
		s.dequeue(j)
		s.queue(item.Queue).spill(item.Position())
	}
}

// admit takes a row that the store has just made pending, or due at another
// time, in queue q. It returns the job if memory keeps it; else the disk has it.
func (s *Scheduler) admit(q *queue, item *store.Item, now instant) *job {
	if j := s.jobs[keyOf(item.ID)]; j != nil {
		s.refresh(j, item, now)
		return nil
	}
	p := item.Position()
	if item.Due > now.wall || q.next <= now.wall || q.lane == nil || s.room(q, now) <= 0 ||
		s.phase != running || !q.dest.active() || q.lane.probing() ||
		q.highAt > 0 && !below(q.high, p) {
		q.spill(p)
		return nil
	}
	return s.enqueue(q, item)
}

// room is how many deliveries more the window of q may have. Half of all positions
// are for windows of windowSize alone, and each queue is sure of one. Of the other half a
// queue leaves three times what it takes to others: those that come later find room.
func (s *Scheduler) room(q *queue, now instant) int {
	n := len(q.window)
	switch ld := &s.loader; {
	case ld.positions >= ld.maxPositions:
		return 1 - n
	case ld.positions < ld.maxPositions/2:
		return min(q.lane.window(now), max(windowSize, (ld.maxPositions/2-ld.positions+n)/4)) - n
	}
	return windowSize - n
}

// enqueue puts a delivery into the window.
func (s *Scheduler) enqueue(q *queue, item *store.Item) *job {
	j := &job{item: *item, q: q}
	s.addJob(j, waiting)
	q.window = append(q.window, j)
	s.loader.positions++
	return j
}

func (s *Scheduler) addJob(j *job, state jobState) {
	j.state = state
	s.jobs[keyOf(j.item.ID)] = j
	j.q.jobs++
}

// pop takes the first delivery out of the window.
func (s *Scheduler) pop(q *queue) {
	j := q.window[0]
	if n := len(q.window) - 1; n < windowSize {
		copy(q.window, q.window[1:]) // few pointers, and no garbage
		q.window[n] = nil
		q.window = q.window[:n]
	} else {
		q.window[0] = nil
		q.window = q.window[1:]
	}
	s.loader.positions--
	j.state = started
}

// dequeue takes j out of the window: its row is not what it was.
func (s *Scheduler) dequeue(j *job) {
	if i := slices.Index(j.q.window, j); i >= 0 {
		j.q.window = slices.Delete(j.q.window, i, i+1)
		s.loader.positions--
	}
	s.removeJobAfterReads(j)
}

// trimWindow keeps the first n deliveries in the window: the disk has the others.
func (s *Scheduler) trimWindow(q *queue, n int) {
	if len(q.window) <= n {
		return
	}
	for _, j := range q.window[n:] {
		s.removeJob(j)
		q.spill(j.item.Position())
	}
	s.loader.positions -= len(q.window) - n
	q.window = append(make([]*job, 0, n), q.window[:n]...) // lets go of what it had grown to
}

// emptyWindows empties the windows of a lane that stops or only probes.
func (s *Scheduler) emptyWindows(l *lane) {
	l.hindered = true
	for _, q := range l.queues {
		s.trimWindow(q, 0)
	}
}

// shrinkWindows has a lane that is not healthy any more hold no more than others.
func (s *Scheduler) shrinkWindows(l *lane) {
	for _, q := range l.queues {
		s.trimWindow(q, windowSize)
	}
}

// removeJobAfterReads takes j out of the jobs once the store has what became of it, but not
// before every read that began earlier has ended: it may return the row as it
// was, in the queue of j or in one to which a change moved it meanwhile.
func (s *Scheduler) removeJobAfterReads(j *job) {
	listed := j.reads > 0
	j.state = settled
	for _, q := range j.q.dest.queues {
		if q.reading && !(listed && slices.Contains(q.settledDuringRead, j)) {
			q.settledDuringRead = append(q.settledDuringRead, j)
			j.reads++
		}
	}
	if j.reads == 0 {
		s.removeJob(j)
	}
}

// removeJob takes j out of the jobs.
func (s *Scheduler) removeJob(j *job) {
	s.cache.done(j)
	k := keyOf(j.item.ID)
	delete(s.jobs, k)
	if s.watchdog.removed != nil {
		s.watchdog.removed[k] = true
	}
	j.q.jobs--
	if j.redo != nil {
		s.queue(j.redo.Queue).spill(j.redo.Position())
	}
}
