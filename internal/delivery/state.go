package delivery

import (
	"context"
	"errors"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// stateChange is one change of the state of a destination. It is made in memory at once and
// in the store soon, on what is stored there by then: other daemons change states too. Each says
// what it is about and leaves the rest, so that it may be made more than once.
type stateChange struct {
	make    func(*store.DestinationState)
	written chan error // gets what came of it; nil: nobody waits
	tell    *Notice    // once it is stored, unless the state was like that before; nil: nothing
	was     func(store.DestinationState) bool
	news    bool // it was not like that
}

// stateWrite is what memory knows of the state of a destination beside the state itself.
type stateWrite struct {
	stored  store.DestinationState
	version uint64        // of stored
	writing []stateChange // being stored, oldest first
	waiting []stateChange // made after those
	listed  bool
}

// changeState changes the state of a destination and waits until it is durable: change
// is made of what begin returns, which has whatever else belongs to it done in memory.
// After an error it is changed in memory, and written as soon as the store lets it.
func (s *Scheduler) changeState(ctx context.Context, id uint32, begin func(*dest, instant) func(*store.DestinationState)) error {
	now := s.lock()
	d := s.dests[id]
	if d == nil || !d.stateKnown {
		s.unlock(now)
		return store.ErrNotFound
	}
	if s.phase == stopped {
		s.unlock(now)
		return store.ErrClosed
	}
	written := make(chan error, 1)
	s.storeChange(d, stateChange{make: begin(d, now), written: written})
	s.considerAll(d, now)
	s.unlock(now)
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stateWriter writes the states of destinations off the way of deliveries, one at a time, all
// changes of each together.
type stateWriter struct {
	queue   []*dest
	running bool
}

// storeState changes the state of d.
func (s *Scheduler) storeState(d *dest, change func(*store.DestinationState)) {
	s.storeChange(d, stateChange{make: change})
}

func (s *Scheduler) storeChange(d *dest, c stateChange) {
	c.make(&d.state)
	d.stateWrite.waiting = append(d.stateWrite.waiting, c)
	s.listState(d)
}

// listState has the changes of d written.
func (s *Scheduler) listState(d *dest) {
	if d.stateWrite.listed {
		return
	}
	d.stateWrite.listed = true
	k := &s.stateWriter
	k.queue = append(k.queue, d)
	if !k.running {
		k.running = true
		s.work.Go(s.writeStates)
	}
}

func (s *Scheduler) writeStates() {
	k := &s.stateWriter
	for wait := readAgain; ; {
		s.mu.Lock()
		if len(k.queue) == 0 {
			k.running = false
			s.mu.Unlock()
			return
		}
		d := k.queue[0]
		k.queue = k.queue[1:]
		w := &d.stateWrite
		w.listed = false
		w.writing, w.waiting = w.waiting, nil
		changes := w.writing
		s.mu.Unlock()

		state, version, err := s.store.ChangeState(s.io, d.id, func(st *store.DestinationState) {
			for i := range changes {
				c := &changes[i]
				c.news = c.was != nil && !c.was(*st)
				c.make(st)
			}
		})
		for i := range changes {
			if c := &changes[i]; c.written != nil {
				c.written <- err
				c.written = nil
			}
		}
		if err == nil {
			wait = readAgain
			s.stateStored(d, state, version)
			continue
		}
		gone := errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound)
		s.mu.Lock()
		if w.writing = nil; !gone {
			w.waiting = append(changes, w.waiting...)
			s.listState(d)
		}
		s.mu.Unlock()
		if !gone {
			s.log.Error("storing the state of a destination failed; trying again", "error", err, "wait", wait)
			if sleep(s.io, wait) {
				wait = min(2*wait, readAgainMax)
				continue
			}
		}
		if s.io.Err() != nil || gone && !errors.Is(err, store.ErrNotFound) {
			s.mu.Lock()
			for _, d := range k.queue {
				for _, c := range d.stateWrite.waiting {
					if c.written != nil {
						c.written <- err
					}
				}
				d.stateWrite.waiting, d.stateWrite.listed = nil, false
			}
			k.queue, k.running = nil, false
			s.mu.Unlock()
			return
		}
	}
}

// stateStored notes that changes of d are stored, and what that made of its state.
func (s *Scheduler) stateStored(d *dest, state store.DestinationState, version uint64) {
	now := s.lock()
	defer s.unlock(now)
	w := &d.stateWrite
	for i := range w.writing {
		if c := &w.writing[i]; c.tell != nil && c.news {
			s.notify(d, *c.tell, now)
		}
	}
	w.writing = nil
	s.learnState(d, state, version, now)
}

// learnState takes in what is stored of d, perhaps by another daemon, with what is on its way
// there.
func (s *Scheduler) learnState(d *dest, state store.DestinationState, version uint64, now instant) {
	w := &d.stateWrite
	if version >= w.version {
		w.stored, w.version = state, version
	}
	next := w.stored
	for _, changes := range [...][]stateChange{w.writing, w.waiting} {
		for i := range changes {
			changes[i].make(&next)
		}
	}
	was := d.state
	if d.state = next; next != was {
		s.followState(d, was, now)
	}
}

// followState does in memory what belongs to a change that another daemon has made.
func (s *Scheduler) followState(d *dest, was store.DestinationState, now instant) {
	l := d.current
	wasHeld := l != nil && was.Held && was.Settings == l.hash
	switch {
	case d.state.Paused && !was.Paused:
		for _, l := range d.lanes {
			s.emptyWindows(l)
			l.outage = policy.Outage{}
		}
	case was.Paused && !d.state.Paused, wasHeld && !l.held(): // as Resume does
		for _, l := range d.lanes {
			l.hold, l.outage, l.retryAfter = policy.Pacer{}, policy.Outage{}, policy.RetryAfter{}
		}
	}
	if l != nil && l.held() && (!wasHeld || l.hold.Wait == 0) {
		l.hold.Next(now.mono, holdFirst, holdMost)
		l.outage = policy.Outage{}
		s.emptyWindows(l)
	}
	if l != nil && l.outage.Attempts > 0 {
		switch f := d.state.Failing; {
		case f.Settings == l.hash:
			l.outage.Told = max(l.outage.Told, f.Told)
		case was.Failing.Settings == l.hash && f.Attempts == 0: // it got something from another daemon
			l.outage = policy.Outage{}
		}
	}
	s.considerAll(d, now)
}

// resetOutages forgets that d fails, under whatever settings.
func (s *Scheduler) resetOutages(d *dest) {
	for _, l := range d.lanes {
		l.outage = policy.Outage{}
	}
	s.storeNoOutage(d)
}

// storeNoOutage has it stored that d does not fail with the settings that it failed with.
func (s *Scheduler) storeNoOutage(d *dest) {
	if was := d.state.Failing; was != (store.Failing{}) {
		s.storeState(d, func(st *store.DestinationState) {
			if st.Failing.Settings == was.Settings {
				st.Failing = store.Failing{}
			}
		})
	}
}
