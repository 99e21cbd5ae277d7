package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// A held destination is probed with its earliest due delivery this often.
const (
	holdFirst = time.Minute
	holdMost  = time.Hour
)

// hold holds the destination: with these settings no event gets through.
func (s *Scheduler) hold(l *lane, why string, now instant) {
	d := l.dest
	if l.hold.at <= now.mono || !l.held() {
		l.hold.next(now.mono, holdFirst, holdMost)
	}
	if l.held() && d.state.Reason == why {
		return
	}
	held := d.state.Held
	d.state.Held, d.state.Settings = true, l.hash
	since, attempts := l.outage.began, l.outage.attempts
	s.resetOutages(d)
	if !d.state.Paused {
		d.state.Reason = why
		if !held {
			d.state.Since = now.time().UTC()
		}
	}
	s.emptyWindows(l)
	s.storeState(d)
	if !held {
		s.notify(d, Notice{Name: DestinationHeld, Reason: why, Since: since, Attempts: attempts}, now)
	}
}

// unhold ends a hold.
func (s *Scheduler) unhold(d *dest, why string, now instant) {
	since := d.state.Since
	d.state.Held, d.state.Settings = false, 0
	if !d.state.Paused {
		d.state.Reason, d.state.Since = "", time.Time{}
	}
	for _, l := range d.lanes {
		l.hold = pacer{}
	}
	s.storeState(d)
	s.notify(d, Notice{Name: DestinationResumed, Reason: why, Since: since}, now)
}

// Pause stops attempts of a destination until Resume; durable on return. store.ErrNotFound if there is none such.
func (s *Scheduler) Pause(ctx context.Context, id uint32, reason string) error {
	return s.changeState(ctx, id, func(d *dest, now instant) {
		if !d.state.Paused {
			d.state.Since = now.time().UTC()
		}
		d.state.Paused, d.state.Reason = true, reason
		for _, l := range d.lanes {
			s.emptyWindows(l)
		}
		s.resetOutages(d)
	})
}

// Resume ends a pause and a hold, and whatever wait the far side has asked for.
func (s *Scheduler) Resume(ctx context.Context, id uint32) error {
	return s.changeState(ctx, id, func(d *dest, now instant) {
		if d.state.Held {
			s.notify(d, Notice{Name: DestinationResumed, Reason: "by hand", Since: d.state.Since}, now)
		}
		d.state = store.DestinationState{}
		for _, l := range d.lanes {
			l.hold, l.outage = pacer{}, outage{}
			l.retryAfter = retryAfter{}
		}
	})
}

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

// stateWrite is the part of a destination that belongs to the keeper.
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

		err := s.store.SetState(s.io, d.id, state)
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
			if pause(s.io, wait) {
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
