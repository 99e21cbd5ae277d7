package delivery

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// watchMost is how many attempts wait for one who watches; what comes on top is lost
// to them.
const watchMost = 256

// Attempted is an attempt that has ended, as those are told of it who watch.
type Attempted struct {
	At          time.Time // its end
	Took        time.Duration
	Delivery    store.DeliveryID
	Destination store.DestinationKey
	Type, User  string // of the event; "" where it could not be read
	Tried       int    // attempts of the schedule that counted, this one included
	Class       string // as store.Attempt has it
	Code        int
	Answer      string
	Fault       string // why it failed; "" when it succeeded
	State       store.State
	Reason      string    // why it is dead
	Due         time.Time // of the next attempt; zero: there is none
	Lost        int       // attempts just before this one that did not find room
}

// Watchers are those who watch attempts. While there are none, an attempt costs one
// look at a counter.
type Watchers struct {
	some atomic.Int32
	mu   sync.Mutex
	all  []*Watch
}

// Watch is one who watches: the attempts that Wants says, from now on.
type Watch struct {
	Wake  chan struct{} // signalled when there is something to take
	wants func(store.DestinationKey) bool
	of    *Watchers

	mu    sync.Mutex
	queue []Attempted
	lost  int // since the last that found room
}

// Watch begins to keep attempts at destinations that wants names, until Close. wants is
// called under locks: it must be quick and call nobody.
func (ws *Watchers) Watch(wants func(store.DestinationKey) bool) *Watch {
	w := &Watch{Wake: make(chan struct{}, 1), wants: wants, of: ws}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.all = append(ws.all, w)
	ws.some.Add(1)
	return w
}

// Close has no more attempts kept for w.
func (w *Watch) Close() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	if n := len(w.of.all); n > 0 {
		w.of.all = without(w.of.all, w)
		w.of.some.Add(int32(len(w.of.all) - n))
	}
}

// Take returns what there is, oldest first, and how many were lost behind it.
func (w *Watch) Take() (attempts []Attempted, lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	attempts, lost = w.queue, w.lost
	w.queue, w.lost = nil, 0
	return attempts, lost
}

// Tell tells those who want it. It never blocks.
func (ws *Watchers) Tell(a *Attempted) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.all {
		if w.wants(a.Destination) {
			w.put(a)
		}
	}
}

func (w *Watch) put(a *Attempted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == watchMost {
		w.lost++
		return
	}
	told := *a
	told.Lost, w.lost = w.lost, 0
	w.queue = append(w.queue, told)
	signal(w.Wake)
}

// Watch has somebody told of attempts from now on: see Watchers.
func (s *Scheduler) Watch(wants func(store.DestinationKey) bool) *Watch {
	return s.watchers.Watch(wants)
}

// tellWatchers tells of an attempt of j that became o.
func (s *Scheduler) tellWatchers(l *lane, j *job, ev *event.Event, o *store.Outcome, e *policy.Ending) {
	if s.watchers.some.Load() == 0 || o.Attempt == nil {
		return
	}
	a := &Attempted{
		At: time.Unix(0, e.At).Add(e.Took).UTC(), Took: e.Took, Delivery: j.item.ID, Destination: l.dest.key, Tried: int(o.Attempts),
		Class: o.Attempt.Class, Code: e.Code, Answer: e.Answer, Fault: e.Fault, State: o.State, Reason: o.Reason,
	}
	if ev != nil {
		a.Type, a.User = ev.Type, ev.UserID
	}
	if o.State == store.Pending {
		a.Due = time.Unix(0, o.Due).UTC()
	}
	s.watchers.Tell(a)
}
