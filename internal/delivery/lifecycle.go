package delivery

import (
	"context"
	"time"
)

// overtime is how long Stop waits for what should end at once: calls that
// were cut, and outcomes that are being written.
const overtime = 5 * time.Second

// Start finds what is pending in the store and begins to deliver. It returns once every queue is known.
func (s *Scheduler) Start(ctx context.Context) error {
	queues, err := s.store.Queues(ctx)
	if err != nil {
		return err
	}
	now := s.lock()
	defer s.unlock(now)
	if s.phase != idle {
		return nil
	}
	s.phase = running
	s.restoreApart(now)
	s.clock.nextWatch = now.mono // the first pass of the watchdog learns what is oldest
	for i := range queues {
		h := &queues[i]
		q := s.queue(h.Queue)
		q.spill(h.From)
		s.suspectAdopted(q.dest, h, now)
		if q.lane != nil {
			q.lane.hindered = true
		}
	}
	for _, d := range s.dests {
		s.considerAll(d, now)
	}
	s.learnTrials()
	return nil
}

// Stop starts no more attempts, lets those in flight end until ctx is done, then cuts them with
// the cause ErrShutdown, settles everything and closes the destinations.
func (s *Scheduler) Stop(ctx context.Context) {
	s.mu.Lock()
	if s.phase == stopped {
		s.mu.Unlock()
		return
	}
	s.phase = stopping
	if s.clock.timer != nil {
		s.clock.timer.Stop()
	}
	running := s.calls
	s.mu.Unlock()

	if running > 0 && !until(ctx.Done(), s.lastCallEnded, s.noCalls) {
		s.cut(ErrShutdown)
		late := time.NewTimer(overtime)
		defer late.Stop()
		if !until(late.C, s.lastCallEnded, s.noCalls) {
			s.log.Error("attempts that were cut do not end; their deliveries will be tried again", "attempts", s.callsInFlight())
		}
	}
	s.cut(ErrShutdown)
	late := time.NewTimer(overtime)
	defer late.Stop()
	if !until(late.C, s.settler.drained, s.allSettled) {
		s.log.Error("outcomes could not be recorded; their deliveries will be tried again")
	}

	stored := make(chan struct{})
	s.work.Go(func() { s.storeLast(); close(stored) })
	select {
	case <-stored:
	case <-time.After(overtime):
		s.log.Error("the last answers of destinations could not be stored")
	}

	s.mu.Lock()
	s.phase = stopped
	s.workers.dismiss(len(s.workers.idle))
	for _, d := range s.dests {
		for _, l := range d.lanes {
			s.ring.set(l, false)
			s.retire(l.inst)
		}
	}
	s.mu.Unlock()
	s.stopIO()
	closed := make(chan struct{})
	go func() {
		s.work.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(overtime):
		s.log.Error("destinations do not close; they are left alone")
	}
	s.flight.Clear()
}

// until waits for done to hold, asking again at every signal; false when end came first.
func until[T any](end <-chan T, signal <-chan struct{}, done func() bool) bool {
	for !done() {
		select {
		case <-signal:
		case <-end:
			return done()
		}
	}
	return true
}

func (s *Scheduler) noCalls() bool { return s.callsInFlight() == 0 }

func (s *Scheduler) callsInFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// allSettled tells whether everything that has ended is settled, or never will be.
func (s *Scheduler) allSettled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settler.gaveUp || !s.settler.running && len(s.settler.queue) == 0
}
