package pgstore

import (
	"sync"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// follow has who is told what happens elsewhere.
type follow struct {
	mu sync.Mutex // held while f is called: its calls come one after the other
	f  store.Follower
}

// Follow tells f what happens elsewhere: see store.Shared.
func (s *Store) Follow(f store.Follower) {
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	s.follow.f = f
}

// tell tells of queues. Who follows later reads all queues first, and these with them.
func (s *Store) tell(heads []store.Head) {
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	if s.follow.f != nil && len(heads) > 0 {
		s.follow.f.Pending(heads)
	}
}

func (s *Store) tellChanged(ds []store.Destination) {
	s.follow.mu.Lock()
	defer s.follow.mu.Unlock()
	if s.follow.f != nil && len(ds) > 0 {
		s.follow.f.Changed(ds)
	}
}

// adopt hands the deliveries of callers who were told that nobody knows to the engine.
func (s *Store) adopt(c *call) {
	var made []store.Moved
	var heads []store.Head
	for i := range c.out {
		for _, it := range s.here(c.out[i].Items, s.bornIn) {
			made = append(made, store.Moved{ID: it.ID, To: store.Pending, Item: it})
			heads = append(heads, store.Head{Queue: it.Queue, From: it.Position()})
		}
	}
	s.log.Warn("an event was stored though whoever handed it in could not be told in time", "deliveries", len(made))
	s.follow.mu.Lock()
	following := s.follow.f != nil
	s.follow.mu.Unlock()
	switch {
	case following:
		s.tell(heads)
	case len(made) > 0 && s.opts.Adopted != nil:
		s.opts.Adopted(made)
	}
}

// news is what is known of destinations.
type news struct {
	oldest string // no transaction before it is unknown

	mu    sync.Mutex
	stamp map[uint32]int64 // the last change that is known here
}

func (s *Store) known(id uint32, stamp int64) bool {
	n := &s.look.news
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stamp[id] >= stamp
}

// know notes a change that the engine knows.
func (s *Store) know(id uint32, stamp int64) {
	n := &s.look.news
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stamp[id] = max(n.stamp[id], stamp)
}
