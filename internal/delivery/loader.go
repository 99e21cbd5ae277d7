package delivery

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	readers      = 4   // reads at once
	readMost     = 512 // positions of a read: they are taken in under the lock
	readAgain    = 100 * time.Millisecond
	readAgainMax = 30 * time.Second
)

// loader reads what is due from the store, first come first served. What was adopted waits in a
// line of its own, for one of the readers: nothing of it is in the database's cache.
type loader struct {
	queue        []*queue
	adopted      []*queue
	adopting     bool // one reads of that line
	active       int
	positions    int // in all windows
	maxPositions int
}

// requestRead asks for a read of q.
func (s *Scheduler) requestRead(q *queue) {
	q.readRequested = true
	if q.adopted {
		s.loader.adopted = append(s.loader.adopted, q)
	} else {
		s.loader.queue = append(s.loader.queue, q)
	}
	if s.loader.active < readers {
		s.loader.active++
		s.work.Go(s.read)
	}
}

// next takes the queue that is read next; nil: there is none for this reader.
func (ld *loader) next() (q *queue) {
	line := &ld.queue
	if len(ld.adopted) > 0 && !ld.adopting {
		line, ld.adopting = &ld.adopted, true
	}
	if len(*line) == 0 {
		return nil
	}
	q = (*line)[0]
	(*line)[0] = nil
	*line = (*line)[1:]
	return q
}

// read reads queues until none is listed.
func (s *Scheduler) read() {
	ld := &s.loader
	now := s.lock()
	for s.phase == running {
		q := ld.next()
		if q == nil {
			break
		}
		adopted := q.adopted
		q.readRequested = false
		if q.next > now.wall || q.lane == nil || !q.dest.active() || q.lane.probing() != q.probe {
			q.probe = false
			s.consider(q.lane, now)
			s.tidyQueue(q)
			ld.adopting = ld.adopting && !adopted
			continue
		}
		limit := max(1, min(s.room(q, now), ld.maxPositions-ld.positions, readMost))
		if q.probe {
			limit = 1
		}
		q.reading = true
		from := q.cursor
		s.unlock(now)
		items, next, err := s.store.Due(s.io, q.id, from, now.wall, limit)
		now = s.lock()
		q.reading = false
		if err == nil {
			q.waitRead, q.readAt, q.adopted = 0, 0, false
			s.applyRead(q, from, items, next, now)
		} else {
			q.waitRead = min(max(int64(readAgain), 2*q.waitRead), int64(readAgainMax))
			q.readAt = now.mono + q.waitRead
			if s.phase == running && !errors.Is(err, store.ErrClosed) {
				s.log.Error("reading what is due failed; trying again", "error", err, "wait", time.Duration(q.waitRead))
			}
		}
		q.lowered = false
		probed := q.probe
		q.probe = false
		for _, j := range q.settledDuringRead {
			if j.reads--; j.reads == 0 {
				s.removeJob(j)
			}
		}
		q.settledDuringRead = nil
		if l := q.lane; l == nil || !q.dest.active() || l.probing() != probed {
			s.trimWindow(q, 0) // it was read for another mode
		}
		s.considerAll(q.dest, now) // what was seen may lie in another queue by now
		s.tidyQueues(q.dest)
		ld.adopting = ld.adopting && !adopted
	}
	ld.active--
	s.unlock(now)
}

// applyRead takes in a completed read. Commits since it began are kept: it may
// not have seen them.
func (s *Scheduler) applyRead(q *queue, from store.Position, items []store.Item, next int64, now instant) {
	if next == 0 {
		next = never
	}
	q.cursor, q.next = from, next
	if n := len(items); n > 0 {
		last := items[n-1].Position()
		q.cursor = after(last)
		q.raise(last, now)
	}
	if q.lowered {
		if below(q.low, q.cursor) {
			q.cursor = q.low
		}
		q.next = min(q.next, q.low.Due)
	}
	for i := range items {
		if j := s.jobs[keyOf(items[i].ID)]; j != nil {
			s.refresh(j, &items[i], now)
			continue
		}
		s.enqueue(q, &items[i])
	}
}
