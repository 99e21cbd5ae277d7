package delivery

import (
	"strings"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// developer owns destinations; the ring goes round developers first.
type developer struct {
	name       string
	usage      *developerUsage // nil: nothing was counted yet
	ready      [classes]lanes
	links      [classes]link[developer]
	served     uint64 // turn
	inFlight   int    // calls that hold a place of the in-flight budget
	slowPlaces int    // places of the slow budget
	stuck      int    // calls that are slow and found no place there

	allowance allowance
}

// dest is one destination.
type dest struct {
	id         uint32
	key        store.DestinationKey
	dev        *developer
	metrics    *kindMetrics
	series     *series.Dest
	state      store.DestinationState
	stateKnown bool // state was taken over from a target
	disabled   bool
	removed    bool

	current *lane // nil: no settings
	lanes   []*lane
	queues  []*queue
	whole   limits // of all daemons together
	max     int    // calls in flight of one lane here
	rate    policy.Bucket

	calls      int      // in flight
	bytes      [2]int64 // of their bodies, by kind
	slowPlaces int      // places of the slow budget

	apart         bool // suspected of killing the process, or the one before
	suspicion     suspicion
	killedInTrial bool  // which a trial has done
	apartUntil    int64 // mono: then: not tried before

	oldestFailed oldestFailed
	oldest       int64      // ns of acceptance of the oldest pending delivery; 0: none known
	stateWrite   stateWrite // of state
	last         last
}

// active tells whether calls may start.
func (d *dest) active() bool {
	return !d.removed && !d.disabled && !d.state.Paused && d.current != nil
}

// stateName is the state as the API shows it.
func (d *dest) stateName() string {
	switch {
	case d.removed:
		return "removed"
	case d.disabled:
		return "disabled"
	case d.state.Paused:
		return "paused"
	case d.state.Held && (d.current == nil || d.current.held()): // else another daemon still has the settings that are
		return "held"
	}
	return "active"
}

// lane serves the deliveries of one destination that go out with the same
// settings. Breaker, concurrency, hold and slowness are its own, so that
// retries to an old address never disturb the new one.
type lane struct {
	dest     *dest
	hash     uint64
	settings *Settings // nil: not thawed
	inst     *instance
	queues   []*queue
	timer    alarm[*lane]

	class         int8 // in the ring; none: not ready
	links         link[lane]
	served        uint64 // turn
	waitsForBytes *pool  // ready but for its bytes
	first         *call
	last          *call
	calls         int
	begun         int   // deliveries in calls that were made since the lag was last looked for
	unsettled     int   // outcomes that may bring deliveries back
	overAge       int   // calls in flight older than the threshold
	hanging       bool  // one went over age and none has succeeded since
	proven        bool  // its last attempt succeeded
	heldBack      int64 // mono: see shortage; of a lane that fails

	// What it is behind for another's sake than the daemon's: see excuse.
	hindered      bool  // something has kept it from delivering, and it has not succeeded since
	hinderedUntil int64 // ns of wall time
	excused       int64 // ns

	concurrency policy.Concurrency
	breaker     policy.Breaker
	outage      policy.Outage
	hold        policy.Pacer
	median      policy.Median
	retryAfter  policy.RetryAfter
	ownFault    policy.Pacer // after faults of our own
	thaw        thawing
}

// probing: the engine only looks whether the far side is back.
func (l *lane) probing() bool { return l.breaker.Open || l.held() }

func (l *lane) held() bool {
	st := &l.dest.state
	return st.Held && l == l.dest.current && st.Settings == l.hash
}

// window is how many deliveries of each of its queues may wait in memory.
func (l *lane) window(now instant) int {
	took := l.median.Get()
	if !l.proven || l.hanging || took <= 0 || l.retryAfter.Until > now.mono {
		return windowSize
	}
	each := took / int64(min(l.concurrency.Limit, l.dest.max))
	each = max(each, l.dest.rate.Every, l.dest.dev.allowance.rate.Every, 1)
	return int(min(max(int64(windowTime)/each, windowSize), windowMost))
}

// behind is for how long what l delivers next has been due, in ns; 0: nothing is due.
func (l *lane) behind(now instant) int64 {
	first := now.wall
	for _, q := range l.queues {
		if len(q.window) > 0 {
			first = min(first, q.window[0].item.Due)
		} else {
			first = min(first, q.next)
		}
	}
	return now.wall - first
}

// head returns the waiting delivery that is due first.
func (l *lane) head() *job {
	var first *job
	for _, q := range l.queues {
		if len(q.window) > 0 && (first == nil || below(q.window[0].item.Position(), first.item.Position())) {
			first = q.window[0]
		}
	}
	return first
}

// nextSize is how many bytes the next call of l takes at least.
func (l *lane) nextSize() int64 {
	if j := l.head(); j != nil {
		return int64(j.item.Size)
	}
	return 0
}

// known returns the queue if memory knows it.
func (s *Scheduler) known(id store.QueueID) *queue {
	if d := s.dests[id.Dest]; d != nil {
		for _, q := range d.queues {
			if q.id == id {
				return q
			}
		}
	}
	return nil
}

// queue returns the queue, making it and its destination when they are new.
func (s *Scheduler) queue(id store.QueueID) *queue {
	if q := s.known(id); q != nil {
		return q
	}
	d := s.dest(id.Dest, store.DestinationKey{})
	q := &queue{id: id, dest: d, next: never}
	d.queues = append(d.queues, q)
	d.attach(q)
	return q
}

// attach gives q to the lane that serves it.
func (d *dest) attach(q *queue) {
	l := d.current
	if q.id.Settings != 0 {
		l = d.lane(q.id.Settings)
	}
	if l == q.lane {
		return
	}
	if q.lane != nil {
		q.lane.queues = without(q.lane.queues, q)
	}
	if q.lane = l; l != nil {
		l.queues = append(l.queues, q)
	}
}

// lane returns the lane of settings, making it when it is new.
func (d *dest) lane(hash uint64) *lane {
	for _, l := range d.lanes {
		if l.hash == hash {
			return l
		}
	}
	l := &lane{dest: d, hash: hash, class: none, concurrency: policy.Concurrency{Limit: 1}}
	d.lanes = append(d.lanes, l)
	return l
}

// dest returns the destination, which is called k when it is new. One that no
// settings name is as good as removed.
func (s *Scheduler) dest(id uint32, k store.DestinationKey) *dest {
	d := s.dests[id]
	if d == nil {
		d = &dest{id: id, removed: true, max: 1}
		s.setKey(d, k)
		s.dests[id] = d
	}
	return d
}

func (s *Scheduler) setKey(d *dest, k store.DestinationKey) {
	d.key = k
	d.metrics = s.metrics.kind(k.Kind)
	if k.Kind != "" { // else it is not known yet
		d.series = s.series.Dest(d.id, k.Kind)
	}
	if d.dev = s.developers[k.Developer]; d.dev == nil {
		d.dev = &developer{name: k.Developer}
		d.dev.allowance.rate.Limit(s.perDeveloper / float64(s.share.n))
		s.developers[k.Developer] = d.dev
	}
}

func compareDests(a, b *dest) int {
	if c := strings.Compare(a.key.Developer, b.key.Developer); c != 0 {
		return c
	}
	if c := strings.Compare(a.key.Name, b.key.Name); c != 0 {
		return c
	}
	return strings.Compare(a.key.Kind, b.key.Kind)
}

// tidyQueue lets go of a frozen queue that holds nothing, and of its lane with it.
func (s *Scheduler) tidyQueue(q *queue) {
	if q.id.Settings == 0 || q.next != never || q.jobs > 0 || q.reading || q.readRequested {
		return
	}
	s.clock.dues.disarm(&q.timer)
	q.dest.queues = without(q.dest.queues, q)
	if l := q.lane; l != nil {
		q.lane = nil
		l.queues = without(l.queues, q)
		s.tidyLane(l)
	}
}

// tidyQueues lets go of what d needs no more: what a queue had in memory may
// have stayed there for the read of another one.
func (s *Scheduler) tidyQueues(d *dest) {
	for _, q := range d.queues {
		s.tidyQueue(q)
	}
}

// tidyLane closes a lane that nothing needs any more.
func (s *Scheduler) tidyLane(l *lane) {
	if l == nil || l == l.dest.current || len(l.queues) > 0 || l.calls > 0 || l.unsettled > 0 || l.thaw.running {
		return
	}
	s.ring.set(l, false)
	l.stopWaitingForBytes()
	s.clock.gates.disarm(&l.timer)
	l.dest.lanes = without(l.dest.lanes, l)
	s.retire(l.inst)
	l.inst = nil
}

func without[T comparable](list []T, x T) []T {
	for i, y := range list {
		if y == x {
			return append(list[:i:i], list[i+1:]...)
		}
	}
	return list
}
