package pgstore

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// lease is what this daemon knows of its own. It does not end by itself: a daemon that nobody
// has replaced renews it and goes on, however late that is.
type lease struct {
	renewed atomic.Int64 // boot time at which the last renewal that worked was begun
	since   atomic.Int64 // since then no renewal was late
	clocks  offsets
}

// bootTime counts the time in which the machine slept, too: a daemon that wakes up must not
// believe that its lease is young.
func bootTime() int64 {
	var t unix.Timespec
	if unix.ClockGettime(bootClock, &t) != nil {
		return int64(time.Since(processStart))
	}
	return t.Nano()
}

var processStart = time.Now()

// margin is how long before the end of the lease no attempt begins any more: clocks run at
// slightly different speeds, and between the question and the attempt a process may stand still.
func margin(lease time.Duration) time.Duration { return lease / 5 }

func (l *lease) renewedAt(at int64, ttl time.Duration) {
	if last := l.renewed.Load(); last == 0 || at-last > int64(ttl-margin(ttl)) {
		l.since.Store(at)
	}
	l.renewed.Store(at)
}

func (l *lease) age() time.Duration { return time.Duration(bootTime() - l.renewed.Load()) }

// Owned tells whether attempts may begin: see store.Shared.
func (s *Store) Owned() bool {
	return !s.health.gone.Load() && s.lease.age() < s.opts.Lease-margin(s.opts.Lease)
}

// Holds tells whether attempts for an event may begin: see store.Shared.
func (s *Store) Holds(event.ID) bool { return s.Owned() }

// mayFree tells whether this daemon may set the slots of others free. After an outage of the
// database the leases of all have ended; whoever renews its own first must not end the others,
// who renew theirs a moment later.
func (s *Store) mayFree() bool {
	return s.Owned() && bootTime()-s.lease.since.Load() >= int64(s.opts.Lease)
}

// leaseLoop renews the lease, on a connection of its own: nothing slow may make another daemon
// believe that this one is gone. It is also the first to find out that the database can be
// reached again.
func (s *Store) leaseLoop() {
	var l *link
	defer func() {
		if l != nil {
			end(l.Conn)
		}
	}()
	wait := s.opts.Lease / 3
	for {
		select {
		case <-time.After(wait):
		case <-s.quit:
			return
		}
		if !s.opts.part.leads() { // whoever has lost the home database lets go of the others, too
			wait = min(s.opts.Lease/3, 300*time.Millisecond)
			continue
		}
		err := s.renew(&l)
		switch {
		case errors.Is(err, store.ErrFenced):
			_ = s.fenced()
			return
		case s.ending.Err() != nil: // Close has cut it short
		case err != nil:
			s.unreachable(err)
			if l != nil {
				l.cut()
				l = nil
			}
			wait = min(s.opts.Lease/3, 300*time.Millisecond)
		default:
			s.reached()
			wait = s.opts.Lease / 3
		}
	}
}

func (s *Store) renew(l **link) (err error) {
	ctx, cancel := context.WithTimeout(s.ending, connectTimeout+s.opts.Lease/3)
	defer cancel()
	if *l != nil && s.identity.former((*l).PgConn()) {
		(*l).cut()
		*l = nil
	}
	if *l == nil {
		if *l, err = s.connectLink(ctx, &s.lease); err != nil {
			return err
		}
	}
	return s.renewOn(query{ctx, (*l).Conn})
}

func (s *Store) renewOn(q query) error {
	boot, began := bootTime(), s.now()
	var mine []int16
	var theirs time.Time
	args := []any{s.owner, s.opts.Lease.Milliseconds(), int64(-s.lease.clocks.offset())}
	err := q.each(sqlRenew, args, func(scan func(...any) error) error {
		var slot int16
		err := scan(&slot, &theirs)
		mine = append(mine, slot)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range s.writers() {
		if !slices.Contains(mine, w.slot) {
			return store.ErrFenced
		}
	}
	took := s.now().Sub(began)
	s.lease.renewedAt(boot, s.opts.Lease)
	s.lease.clocks.add(sample{took: took, ahead: theirs.Sub(began.Add(took / 2))})
	s.health.clock.Store(int64(s.lease.clocks.offset()))
	return nil
}

// sample is how far the database's clock seemed ahead of ours, as a call that took so long
// showed it: true up to half of that.
type sample struct{ took, ahead time.Duration }

// offsets are the last samples.
type offsets struct {
	last [8]sample
	n    int
	best atomic.Int64
}

// stepped is how much two samples may contradict each other before a clock was set in between: more than
// clocks drift apart meanwhile.
const stepped = 20 * time.Millisecond

func (o *offsets) add(s sample) {
	for _, before := range o.last[:min(o.n, len(o.last))] {
		if (s.ahead - before.ahead).Abs() > (s.took+before.took)/2+stepped {
			o.n = 0 // what was measured before is no longer true
			break
		}
	}
	o.last[o.n%len(o.last)] = s
	o.n++
	best := o.last[0]
	for _, s := range o.last[:min(o.n, len(o.last))] {
		if s.took < best.took {
			best = s
		}
	}
	// What the call itself explains is no offset.
	if best.ahead.Abs() <= best.took/2 {
		best.ahead = 0
	}
	o.best.Store(int64(best.ahead))
}

// offset is how far the database's clock is ahead of ours.
func (o *offsets) offset() time.Duration { return time.Duration(o.best.Load()) }
