package pgstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
)

const (
	// A group takes no more callers when it has this much; a single larger event
	// goes alone.
	groupBytes      = 4 << 20
	groupDeliveries = 4096
	// keyWait is how long a group waits for a key that another daemon has in flight.
	keyWait = 200 * time.Millisecond
)

// group is what one commit makes durable: the rows as columns, as sqlAppend takes them.
type group struct {
	calls []*call
	alone bool // nobody else may join
	keys  []*claim
	sum   deltas
	bytes int64

	days                                                          []int32
	ids                                                           [][16]byte
	who, ordering                                                 []int64
	size                                                          []int32
	versioned                                                     []bool
	developer, kind, version, user, reference, trace, key, bodies [][]byte
	first, fanout                                                 []int32
	of, dests                                                     []int32
	now                                                           []int64
	slots                                                         []*int16 // nil: the committer's
	born                                                          born

	done  chan struct{} // closed when fault is final
	fault error
}

func newGroup() *group {
	return &group{sum: deltas{}, dests: []int32{}, done: make(chan struct{})} // nil would be NULL
}

// groups gathers callers: while committers wait for the database, the next group fills.
type groups struct {
	mu    sync.Mutex
	ids   keys.Clock
	open  *group        // being filled; nil: none
	ready []*group      // full, or alone
	space chan struct{} // closed when the open group is taken; nil: nobody waits
	wake  chan struct{} // tells a committer of a group
}

// room returns a group that takes the call, with mu held, or an error.
func (a *groups) room(ctx context.Context, c *call, ready func() error) (*group, error) {
	a.mu.Lock()
	for {
		switch {
		case c.alone && len(a.ready) < 1000:
			g := newGroup()
			g.alone = true
			a.ready = append(a.ready, g)
			return g, nil
		case !c.alone && a.open == nil:
			a.open = newGroup()
			return a.open, nil
		case !c.alone && a.open.bytes < groupBytes && len(a.open.dests) < groupDeliveries:
			return a.open, nil
		}
		if a.space == nil {
			a.space = make(chan struct{})
		}
		space := a.space
		a.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return nil, &store.Unavailable{Reason: "store busy: " + context.Cause(ctx).Error(), After: time.Second}
		}
		if err := ready(); err != nil {
			return nil, err
		}
		a.mu.Lock()
	}
}

// filled tells a committer that there is a group.
func (a *groups) filled() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns the next group for committing, nil if there is none.
func (a *groups) take() *group {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.open
	if len(a.ready) > 0 {
		g = a.ready[0]
		a.ready = slices.Delete(a.ready, 0, 1)
	} else {
		a.open = nil
	}
	if a.space != nil {
		close(a.space)
		a.space = nil
	}
	if a.open != nil || len(a.ready) > 0 { // another committer may have it
		a.filled()
	}
	return g
}

// refuse gives up what no committer has taken: nothing of it was written.
func (a *groups) refuse(err error) {
	for {
		g := a.take()
		if g == nil {
			return
		}
		g.end(a, err)
	}
}

// end tells the callers. It returns those that had left: their events are stored, but nobody
// was told.
func (g *group) end(a *groups, err error) (orphans []*call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g.fault = err
	close(g.done)
	if err == nil {
		for _, c := range g.calls {
			if c.left {
				orphans = append(orphans, c)
			}
		}
	}
	return orphans
}

// commitLoop commits one group after the other until no caller is left to Close.
func (s *Store) commitLoop(c *committer) {
	for {
		select {
		case <-s.groups.wake:
		case <-s.quit:
			s.groups.refuse(store.ErrClosed)
			return
		}
		if g := s.groups.take(); g != nil {
			s.commitGroup(c, g)
		}
	}
}

func (s *Store) commitGroup(c *committer, g *group) {
	start := time.Now()
	mark := s.settled.Load()
	err := s.days.make(s, g.days)
	if err == nil {
		// Keys are sorted, so that two committers that hold each other's keys wait in one direction.
		slices.SortFunc(g.keys, func(a, b *claim) int { return bytes.Compare(a.hash[:], b.hash[:]) })
		_, err = c.write(func(w commit) (deltas, error) {
			if err := s.underLows(context.Background(), w, c, g.made(w.slot)); err != nil {
				return nil, err
			}
			return g.sum, s.appendGroup(w, g)
		})
	}
	for _, b := range g.bodies {
		s.packer.Release(b)
	}
	switch {
	case err == nil:
		s.synced(mark)
		if s.opts.OnCommit != nil {
			s.opts.OnCommit(time.Since(start))
		}
	case is(err, uniqueViolation, lockNotAvailable, deadlockDetected):
		err = errContended
	}
	for _, orphan := range g.end(&s.groups, err) {
		s.adopt(orphan)
	}
}

// made is what the group makes pending in the slot of its commit.
func (g *group) made(slot int16) earliest {
	made := earliest{}
	for i, at := range g.now {
		if g.slots[i] == nil {
			made.add(slot, max(at, 0))
		}
	}
	return made
}

// errContended: nothing of the group was stored, because another daemon has one of its keys
// in flight. The calls are made again, those with keys in groups of their own.
var errContended = errors.New("another daemon has an idempotency key of the group")

// appendGroup stores the group with one statement, which is one commit.
func (s *Store) appendGroup(w commit, g *group) error {
	wait := strconv.Itoa(int(keyWait / time.Millisecond))
	if g.alone || len(g.keys) == 0 {
		wait = "0"
	}
	n := len(g.keys)
	hashes, bodies, events, days := make([][]byte, n), make([][]byte, n), make([][16]byte, n), make([]int32, n)
	fanouts, references := make([]int32, n), make([][]byte, n)
	for i, k := range g.keys {
		hashes[i], bodies[i], events[i], days[i] = k.hash[:], k.body[:], k.first.id, int32(k.first.id.Day())
		fanouts[i], references[i] = int32(k.first.fanout), []byte(k.first.reference)
	}
	args := []any{w.slot, w.owner, w.epoch, wait, hashes, bodies, events, days, fanouts, references,
		g.ids, g.dests, g.days, g.who, g.ordering, g.size, g.versioned, g.developer, g.kind, g.version, g.user, g.reference, g.trace, g.key,
		g.first, g.fanout, g.bodies, g.of, g.now, g.slots, w.seq, g.born.args(), g.born.since}
	var mine int
	if err := w.QueryRow(context.Background(), sqlAppend, append(args, g.sum.args()...)...).Scan(&mine); err != nil {
		return err
	}
	if mine == 0 {
		return s.fenced()
	}
	return nil
}
