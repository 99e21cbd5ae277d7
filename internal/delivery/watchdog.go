package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// The watchdog looks once a minute for what the scheduler has missed. It must
// never find anything: every find is a defect, counted and mended.
const watchdogRows = 16 // earliest rows of each queue that are compared with memory

type watchdog struct {
	running bool
	missed  map[key]missed // rows that memory did not know at the last pass
	removed map[key]bool   // what memory let go while the queue being compared was read; nil: none is
}

// missed is a row that memory did not know.
type missed struct {
	version uint32
	passes  int // running
}

// missedAfter is how many passes running must miss a row until it counts: one may have seen
// it before memory did. Where several daemons work, the second pass tells memory of it: another
// daemon may have made it, or had it, and the store was late to say so.
func (s *Scheduler) missedAfter() int {
	if s.shared != nil {
		return 3
	}
	return 2
}

// checkLanes considers every lane again. What that starts had been forgotten.
func (s *Scheduler) checkLanes(now instant) {
	s.workers.dismiss(s.workers.unused)
	for _, d := range s.dests {
		for _, l := range d.lanes {
			class, listed, head := l.class, l.readsRequested(), l.head()
			s.consider(l, now)
			// A read ahead may be listed because other windows made room.
			if class == none && l.class != none || head == nil && l.readsRequested() > listed {
				s.reportRescue("a lane", d)
			}
		}
		for _, q := range d.queues {
			if q.highAt > 0 && now.mono-q.highAt > int64(time.Minute) {
				q.high, q.highAt = store.Position{}, 0
			}
		}
	}
	if !s.watchdog.running {
		s.watchdog.running = true
		s.work.Go(s.checkRows)
	}
}

func (s *Scheduler) reportRescue(what string, d *dest) {
	s.metrics.rescued.Inc()
	s.log.Error("the watchdog found "+what+" that was forgotten", "developer", d.key.Developer, "destination", d.key.Name)
}

// readsRequested counts the queues of l that wait for a read or are read.
func (l *lane) readsRequested() int {
	n := 0
	for _, q := range l.queues {
		if q.readRequested || q.reading {
			n++
		}
	}
	return n
}

// checkRows compares the earliest rows of every queue with memory, and learns
// how old the oldest pending delivery of each destination is. A row that memory
// does not know may have been made this instant: only the second time counts.
func (s *Scheduler) checkRows() {
	suspects := make(map[key]missed)
	oldest := make(map[uint32]int64)
	queues, err := s.store.Queues(s.io)
	for i := 0; i < len(queues) && err == nil; i++ {
		var items []store.Item
		s.mu.Lock()
		s.watchdog.removed = make(map[key]bool)
		s.mu.Unlock()
		if items, _, err = s.store.Due(s.io, queues[i].Queue, queues[i].From, allTimes, watchdogRows); err == nil {
			s.checkQueue(queues[i].Queue, items, suspects, oldest)
		}
	}
	if err != nil && s.io.Err() == nil {
		s.log.Error("the watchdog could not read the store", "error", err)
	}
	now := s.lock()
	defer s.unlock(now)
	s.watchdog.running, s.watchdog.removed = false, nil
	if err != nil {
		return
	}
	s.watchdog.missed = suspects
	for _, d := range s.dests {
		d.oldest = oldest[d.id]
		if first, ok := d.oldestFailed.first(); ok && (d.oldest == 0 || first < d.oldest) {
			d.oldest = first
		}
	}
}

func (s *Scheduler) checkQueue(id store.QueueID, items []store.Item, suspects map[key]missed, oldest map[uint32]int64) {
	now := s.lock()
	defer s.unlock(now)
	defer func() { s.watchdog.removed = nil }()
	q := s.known(id)
	for i := range items {
		it := &items[i]
		born := it.ID.Event.Time().UnixNano()
		if it.ID.Replay != 0 {
			born = it.Due // it was made long after its event
		}
		if o := oldest[id.Dest]; born <= now.wall && (o == 0 || born < o) {
			oldest[id.Dest] = born
		}
		k, p := keyOf(it.ID), it.Position()
		if q != nil && (q.reading || s.jobs[k] != nil || s.watchdog.removed[k] || !below(p, q.cursor) && it.Due >= q.next) {
			continue
		}
		m := s.watchdog.missed[k]
		if m.version != it.Version {
			m = missed{version: it.Version}
		}
		m.passes++
		if suspects[k] = m; m.passes == 1 {
			continue
		}
		if q == nil {
			q = s.queue(id)
		}
		if q.spill(p); m.passes >= s.missedAfter() {
			delete(suspects, k)
			s.reportRescue("a delivery", q.dest)
		}
	}
	if q != nil {
		s.consider(q.lane, now)
		s.tidyQueue(q)
	}
}
