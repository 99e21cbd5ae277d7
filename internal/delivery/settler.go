package delivery

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// settleBatch is the most outcomes of one call of the store.
const settleBatch = 1024

// settler writes outcomes, all that are there at once, and never waits for
// more. A place of the concurrency is free as soon as its call has ended;
// what bounds memory when the store is slow is that no call starts while
// bound outcomes are unsettled.
//
// Its goroutine stays between batches: a new one would grow its stack to the
// depth of the store each time, which cost 5 % of a delivery.
type settler struct {
	queue     []outcome
	spare     []outcome
	started   bool
	running   bool          // a batch is being written, or the goroutine is awake
	wake      chan struct{} // signalled when it is to run again
	unsettled int
	bound     int
	gaveUp    bool          // the store takes no more
	drained   chan struct{} // signalled when everything is settled, or given up
	barriers  []chan struct{}
}

type outcome struct {
	job  *job
	lane *lane
	store.Outcome
}

// settle queues an outcome.
func (s *Scheduler) settle(j *job, l *lane, o store.Outcome) {
	t := &s.settler
	t.queue = append(t.queue, outcome{j, l, o})
	l.unsettled++
	t.unsettled++
	if t.running {
		return
	}
	t.running = true
	if t.started {
		signal(t.wake)
		return
	}
	t.started = true
	s.work.Go(s.settleAll)
}

// settleAll settles whatever there is until the scheduler has stopped.
func (s *Scheduler) settleAll() {
	t := &s.settler
	var outcomes []store.Outcome
	for {
		s.mu.Lock()
		batch := t.queue
		if len(batch) == 0 || s.phase == stopped {
			t.running = false
			for _, c := range t.barriers {
				close(c)
			}
			t.barriers = nil
			signal(t.drained)
			over := s.phase == stopped
			s.mu.Unlock()
			if over {
				return
			}
			select {
			case <-t.wake:
			case <-s.io.Done():
				return
			}
			continue
		}
		t.queue, t.spare = t.spare[:0], nil
		s.mu.Unlock()

		for part := batch; len(part) > 0; {
			n := min(len(part), settleBatch)
			outcomes = outcomes[:0]
			for i := range part[:n] {
				outcomes = append(outcomes, part[i].Outcome)
			}
			done, ok := s.writeOutcomes(outcomes)
			if !ok {
				s.giveUp()
				return
			}
			s.applySettled(part[:n], done)
			part = part[n:]
		}
		clear(batch)
		clear(outcomes)
		s.mu.Lock()
		t.spare = batch
		for _, c := range t.barriers {
			close(c)
		}
		t.barriers = nil
		s.mu.Unlock()
	}
}

// writeOutcomes calls the store until it takes the outcomes; false when it never will.
func (s *Scheduler) writeOutcomes(outcomes []store.Outcome) ([]store.Settled, bool) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		done, err := s.store.Settle(s.io, s.now().time(), outcomes)
		switch {
		case err == nil:
			return done, true
		case errors.Is(err, store.ErrClosed), errors.Is(err, store.ErrFenced):
			// The deliveries stand as they were before: they will be tried again.
			s.log.Error("outcomes of attempts cannot be recorded any more", "error", err, "outcomes", len(outcomes))
			s.halt(err)
			return nil, false
		case s.io.Err() != nil:
			return nil, false
		}
		s.log.Error("recording outcomes of attempts failed; trying again", "error", err, "outcomes", len(outcomes), "wait", wait)
		if !sleep(s.io, wait) {
			return nil, false
		}
	}
}

// giveUp gives the settler up: it stays marked as running, so that none starts again.
func (s *Scheduler) giveUp() {
	s.mu.Lock()
	s.settler.gaveUp = true
	for _, c := range s.settler.barriers {
		close(c)
	}
	s.settler.barriers = nil
	signal(s.settler.drained)
	s.mu.Unlock()
}

// halt ends all calls when the store is not ours any more, and says so: a
// daemon that stays up then takes events and delivers none.
func (s *Scheduler) halt(cause error) {
	s.mu.Lock()
	first := s.phase == running
	if first {
		s.phase = stopping
	}
	s.mu.Unlock()
	s.cut(cause)
	if first && s.fatal != nil {
		s.fatal(cause)
	}
}

// applySettled brings memory up to what the store made of outcomes.
func (s *Scheduler) applySettled(batch []outcome, done []store.Settled) {
	now := s.lock()
	defer s.unlock(now)
	s.settler.unsettled -= len(batch)
	for i := range batch {
		j, r := batch[i].job, &done[i]
		q := j.q
		d := q.dest
		id := j.item.ID
		if r.State != store.Pending {
			s.flight.Settled(id)
			s.reviewApart(d, now)
		}
		s.removeJobAfterReads(j)
		if r.State == store.Pending && elsewhere(&r.Item) {
			d.oldestFailed.remove(id)
		} else if r.State == store.Pending {
			if q := s.queue(r.Item.Queue); j.changed {
				q.spill(r.Item.Position()) // the disk tells
			} else {
				s.admit(q, &r.Item, now)
			}
			if id.Replay == 0 && (r.Item.Attempts > 0 || r.Item.Due > now.wall) {
				d.oldestFailed.add(id)
			}
		} else {
			d.oldestFailed.remove(id)
			if !r.Stale || r.State == store.Delivered && batch[i].State == store.Delivered {
				s.countFinal(d, r.State)
				if r.State == store.Dead {
					s.recordDead(d, now)
					s.notify(d, Notice{Name: DeliveryDead, Reason: batch[i].Reason, Delivery: id}, now)
				}
			}
		}
		s.considerAll(d, now)
		s.tidyQueues(d)
		l := batch[i].lane
		l.unsettled--
		s.reviewApart(d, now)
		s.tidyLane(l)
	}
}
