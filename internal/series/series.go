// Package series keeps what a plot shows: accepted, delivered, failed, pending and the
// latency from acceptance to delivery, over the last hour, day and week in all and for
// each kind, and over the last day for the destinations that matter most. It reads no
// clock and starts nothing: Tick is told the time, every Step.
//
// What is counted on the way of an attempt are atomic additions to counters that one
// Tick takes; nobody waits for anybody. Memory is bounded whatever the number of
// destinations: see Recorded.
package series

import (
	"sync"
	"sync/atomic"
	"time"
)

// Step is how often Tick is called, on its multiples.
const Step = 10 * time.Second

// Labelled is how many destinations, or developers, have metrics of their own; all
// others share one that is labelled "other".
const Labelled = 500

const (
	// busiest and worst are how many destinations are recorded because they have the
	// most attempts, and the most that fail; asked is how many more because somebody
	// asked for them, the latest.
	busiest, worst, asked = 500, 500, 64

	// Recorded is how many destinations are recorded at the most.
	Recorded = busiest + worst + asked

	kindsMost = 32  // kinds with series of their own
	decay     = 0.9 // of a score at each ranking: half in 33 minutes
)

// Series is all of them.
type Series struct {
	mu     sync.Mutex
	tick   int64 // in Steps since 1970; 0: there was none
	ranked int64 // the step of destinations that is counted, in those since 1970; 0: as tick
	kinds  map[string]*kind
	dests  map[uint32]*Dest
	own    []*Dest              // those that are recorded
	loaded map[uint32]*recorded // of destinations that have not come yet
	saved  int                  // bytes of the last Save
}

// Dest is what is counted for one destination. A nil Dest counts nothing.
type Dest struct {
	id         uint32
	busy, bad  atomic.Uint32 // attempts, and those that failed, since the last ranking
	score, ill float32       // of earlier ones
	kept       bool          // among the busiest or the worst at the last ranking
	kind       *counters
	own        atomic.Pointer[recorded] // nil: it is not recorded
}

// kind is what is recorded of the destinations of one kind, "" of all.
type kind struct {
	now     *counters
	pending int64
	rings   [3]ring
	open    [2]open // of the coarser rings
}

// recorded is what is recorded of a destination.
type recorded struct {
	now   counters
	ring  ring
	asked int64 // Step at which somebody asked; 0: nobody has
}

// New returns series without a past.
func New() *Series {
	return &Series{kinds: map[string]*kind{"": newKind()}, dests: map[uint32]*Dest{}}
}

func newKind() *kind {
	k := &kind{now: new(counters)}
	for i, r := range [...]Range{Hour, Day, Week} {
		k.rings[i] = newRing(r.step(), r.points())
	}
	return k
}

func newRecorded() *recorded { return &recorded{ring: newRing(destStep, destPoints)} }

// Dest returns what counts for a destination. A kind beyond kindsMost counts in the
// series of all alone.
func (s *Series) Dest(id uint32, name string) *Dest {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.dests[id]; d != nil {
		return d
	}
	k := s.kinds[name]
	if k == nil && len(s.kinds) <= kindsMost {
		k = newKind()
		s.kinds[name] = k
	} else if k == nil {
		k = s.kinds[""]
	}
	d := &Dest{id: id, kind: k.now}
	s.dests[id] = d
	if r := s.loaded[id]; r != nil {
		delete(s.loaded, id)
		s.record(d, r)
	} else if len(s.own)+len(s.loaded) < busiest+worst {
		s.record(d, newRecorded())
	}
	return d
}

func (s *Series) record(d *Dest, r *recorded) {
	d.own.Store(r)
	s.own = append(s.own, d)
}

// Accepted counts n deliveries that were made.
func (d *Dest) Accepted(n int) {
	if d == nil {
		return
	}
	d.kind.accepted.Add(uint32(n))
	if r := d.own.Load(); r != nil {
		r.now.accepted.Add(uint32(n))
	}
}

// Delivered counts an attempt that succeeded, latency after the acceptance; below 0:
// that says nothing, as of a replay.
func (d *Dest) Delivered(latency time.Duration) {
	if d == nil {
		return
	}
	d.busy.Add(1)
	d.kind.deliver(latency)
	if r := d.own.Load(); r != nil {
		r.now.deliver(latency)
	}
}

// Failed counts an attempt that failed.
func (d *Dest) Failed() {
	if d == nil {
		return
	}
	d.busy.Add(1)
	d.bad.Add(1)
	d.kind.failed.Add(1)
	if r := d.own.Load(); r != nil {
		r.now.failed.Add(1)
	}
}
