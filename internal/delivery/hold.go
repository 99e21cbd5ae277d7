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

// holdBack holds the destination: with these settings no event gets through.
func (s *Scheduler) holdBack(l *lane, why string, now instant) {
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
	s.forgive(d)
	if !d.state.Paused {
		d.state.Reason = why
		if !held {
			d.state.Since = now.time().UTC()
		}
	}
	s.retreat(l)
	s.keep(d)
	if !held {
		s.say(d, Notice{Name: DestinationHeld, Reason: why, Since: since, Attempts: attempts}, now)
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
	s.keep(d)
	s.say(d, Notice{Name: DestinationResumed, Reason: why, Since: since}, now)
}

// Pause stops attempts of a destination until Resume; durable on return. store.ErrNotFound if there is none such.
func (s *Scheduler) Pause(ctx context.Context, id uint32, reason string) error {
	return s.turnState(ctx, id, func(d *dest, now instant) {
		if !d.state.Paused {
			d.state.Since = now.time().UTC()
		}
		d.state.Paused, d.state.Reason = true, reason
		for _, l := range d.lanes {
			s.retreat(l)
		}
		s.forgive(d)
	})
}

// Resume ends a pause and a hold, and whatever wait the far side has asked for.
func (s *Scheduler) Resume(ctx context.Context, id uint32) error {
	return s.turnState(ctx, id, func(d *dest, now instant) {
		if d.state.Held {
			s.say(d, Notice{Name: DestinationResumed, Reason: "by hand", Since: d.state.Since}, now)
		}
		d.state = store.DestinationState{}
		for _, l := range d.lanes {
			l.hold, l.outage = pacer{}, outage{}
			l.retryAfter = retryAfter{}
		}
	})
}

// turnState changes the state of a destination and waits until it is durable.
// After an error it is changed in memory, and written as soon as the store lets it.
func (s *Scheduler) turnState(ctx context.Context, id uint32, change func(*dest, instant)) error {
	now := s.lock()
	d := s.dests[id]
	if d == nil || !d.met {
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
	d.kept.waiting = append(d.kept.waiting, written)
	s.keep(d)
	s.unlock(now)
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// keeper writes the states of destinations off the way of deliveries, the
// newest of each, one at a time: what is stored last is what memory has.
type keeper struct {
	queue   []*dest
	running bool
}

// write is the part of a destination that belongs to the keeper.
type write struct {
	listed  bool
	waiting []chan error
}

// keep has the state of d written.
func (s *Scheduler) keep(d *dest) {
	if d.kept.listed {
		return
	}
	d.kept.listed = true
	k := &s.keeper
	k.queue = append(k.queue, d)
	if !k.running {
		k.running = true
		s.work.Go(s.keepAll)
	}
}

func (s *Scheduler) keepAll() {
	k := &s.keeper
	for wait := readAgain; ; {
		s.mu.Lock()
		if len(k.queue) == 0 {
			k.running = false
			s.mu.Unlock()
			return
		}
		d := k.queue[0]
		k.queue = k.queue[1:]
		d.kept.listed = false
		state, waiting := d.state, d.kept.waiting
		d.kept.waiting = nil
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
			if !d.kept.listed {
				d.kept.listed = true
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
				for _, w := range d.kept.waiting {
					w <- err
				}
				d.kept = write{}
			}
			k.queue, k.running = nil, false
			s.mu.Unlock()
			return
		}
	}
}
