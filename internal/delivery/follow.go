package delivery

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// ownedAgain is how long after it was not to be had the lease is asked for again.
const ownedAgain = 200 * time.Millisecond

// burst is how many queues may be named at once and be read like any other. Of more, a slot was
// adopted: nothing of it is in the database's cache, and what this daemon had before is not to wait for it.
const burst = 64

var _ store.Follower = (*Scheduler)(nil)

// owned tells whether attempts may begin. If not it sets the alarm for the next question.
func (s *Scheduler) owned(now instant) bool {
	s.clock.owned = never
	if s.shared == nil || s.shared.Owned() {
		return true
	}
	s.clock.owned = now.mono + int64(ownedAgain)
	return false
}

// Pending takes queues in that hold something that memory was not told of: see
// store.Follower.
func (s *Scheduler) Pending(heads []store.Head) {
	now := s.lock()
	defer s.unlock(now)
	for i := range heads {
		h := &heads[i]
		q := s.queue(h.Queue)
		q.adopted = q.adopted || len(heads) > burst
		q.spill(h.From)
		s.suspectAdopted(q.dest, h, now)
		s.consider(q.lane, now)
		s.tidyQueue(q)
	}
	s.learnTrials()
}

// Changed takes in what other daemons registered, paused, held and resumed: see
// store.Follower.
func (s *Scheduler) Changed(ds []store.Destination) {
	now := s.lock()
	defer s.unlock(now)
	for i := range ds {
		d := s.dest(ds[i].ID, ds[i].DestinationKey)
		if d.key == (store.DestinationKey{}) { // something of it was pending before anybody said what it is
			s.setKey(d, ds[i].DestinationKey)
		}
		s.learnState(d, ds[i].State, ds[i].Version, now)
	}
}

// ForgetVersions has the next Changed hold whatever version it has: after a failover the store may have lost
// changes, with their versions. What is being written meanwhile gets a version of the new primary.
func (s *Scheduler) ForgetVersions() {
	now := s.lock()
	defer s.unlock(now)
	for _, d := range s.dests {
		d.stateWrite.version = 0
	}
}
