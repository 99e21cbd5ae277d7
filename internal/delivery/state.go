package delivery

import (
	"context"
	"errors"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// changeState changes the state of a destination and waits until it is durable.
// After an error it is changed in memory, and written as soon as the store lets it.
func (s *Scheduler) changeState(ctx context.Context, id uint32, change func(*dest, instant)) error {
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
	change(d, now)
	s.considerAll(d, now)
	written := make(chan error, 1)
	d.stateWrite.waiting = append(d.stateWrite.waiting, written)
	s.storeState(d)
	s.unlock(now)
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stateWriter writes the states of destinations off the way of deliveries, the
// newest of each, one at a time: what is stored last is what memory has.
type stateWriter struct {
	queue   []*dest
	running bool
}

// stateWrite is what a stateWriter keeps with a destination.
type stateWrite struct {
	listed  bool
	waiting []chan error
}

// storeState has the state of d written.
func (s *Scheduler) storeState(d *dest) {
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
		d.stateWrite.listed = false
		state, waiting := d.state, d.stateWrite.waiting
		d.stateWrite.waiting = nil
		s.mu.Unlock()

		_, _, err := s.store.ChangeState(s.io, d.id, func(st *store.DestinationState) { *st = state })
		for _, w := range waiting {
			w <- err
		}
		if err == nil {
			wait = readAgain
			continue
		}
		gone := errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrNotFound)
		if !gone {
			s.log.Error("storing the state of a destination failed; trying again", "error", err, "wait", wait)
			s.mu.Lock()
			if !d.stateWrite.listed {
				d.stateWrite.listed = true
				k.queue = append(k.queue, d)
			}
			s.mu.Unlock()
			if sleep(s.io, wait) {
				wait = min(2*wait, readAgainMax)
				continue
			}
		}
		if s.io.Err() != nil || gone && !errors.Is(err, store.ErrNotFound) {
			s.mu.Lock()
			for _, d := range k.queue {
				for _, w := range d.stateWrite.waiting {
					w <- err
				}
				d.stateWrite = stateWrite{}
			}
			k.queue, k.running = nil, false
			s.mu.Unlock()
			return
		}
	}
}

// resetOutages forgets that d fails, under whatever settings.
func (s *Scheduler) resetOutages(d *dest) {
	for _, l := range d.lanes {
		l.outage = policy.Outage{}
	}
	s.storeNoOutage(d)
}

// storeNoOutage has it stored that d does not fail.
func (s *Scheduler) storeNoOutage(d *dest) {
	if d.state.Failing != (store.Failing{}) {
		d.state.Failing = store.Failing{}
		s.storeState(d)
	}
}
