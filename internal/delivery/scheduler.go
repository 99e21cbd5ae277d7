package delivery

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// never is a time that does not come.
const never = math.MaxInt64

// instant is one reading of both clocks. Due times are wall time, which may
// step; every interval of our own is measured on the monotonic clock.
type instant struct{ wall, mono int64 }

func (n instant) time() time.Time { return time.Unix(0, n.wall) }

type phase uint8

const (
	idle phase = iota
	running
	stopping
	stopped
)

// Scheduler decides which delivery is attempted when. One mutex guards all of
// its memory and is never held over a call of the store or a destination.
// Every operation changes what it must, considers the lanes it touched, and
// leaves through unlock, which starts what may start and sets the timer.
type Scheduler struct {
	store        Store
	thaw         func(ctx context.Context, dest uint32, hash uint64) (*Settings, error)
	log          *slog.Logger
	chance       func() float64
	tell         func(Notice)
	fatal        func(error)
	trace        *tracing.Tracer
	wall         func(time.Time) int64
	epoch        time.Time
	perDeveloper float64        // attempts a second of each developer; 0: no limit
	largeBody    chan time.Time // when the next large body may be read; empty while one is

	mu            sync.Mutex
	phase         phase
	dests         map[uint32]*dest
	order         []*dest // by developer and name
	developers    map[string]*developer
	jobs          map[key]*job
	ring          ring
	clock         clock
	budget        budget
	cache         cache
	loader        loader
	settler       settler
	stateWriter   stateWriter
	lastWriter    lastWriter
	watchers      Watchers
	watchdog      watchdog
	flight        *Flight
	apart         []*dest // that wait apart
	trial         trial
	calls         int // in flight
	lastCallEnded chan struct{}

	base    context.Context // of calls; its cause tells why they were cut
	cut     context.CancelCauseFunc
	io      context.Context // of reads and writes of our own store
	stopIO  context.CancelFunc
	work    sync.WaitGroup // every goroutine but calls
	metrics *metrics
}

// New builds a scheduler with no targets. It starts nothing.
func New(o Options) *Scheduler {
	l := o.Limits
	if l.InFlight <= 0 {
		l.InFlight = 1024
	}
	if l.Slow <= 0 {
		l.Slow = l.InFlight
	}
	if l.Bytes <= 0 {
		l.Bytes = 256 << 20
	}
	if l.CacheBytes <= 0 {
		l.CacheBytes = 32 << 20
	}
	if l.Window <= 0 {
		l.Window = 256 << 10
	}
	s := &Scheduler{
		store: o.Store, thaw: o.Thaw, log: o.Log, chance: o.Chance, flight: o.Flight,
		wall: o.Wall, tell: o.Tell, fatal: o.Fatal, trace: o.Trace,
		epoch: time.Now(), perDeveloper: l.PerDeveloper,
		dests:         make(map[uint32]*dest),
		developers:    make(map[string]*developer),
		jobs:          make(map[key]*job),
		cache:         cache{max: l.CacheBytes, bodies: make(map[event.ID]*body)},
		lastCallEnded: make(chan struct{}, 1),
		largeBody:     make(chan time.Time, 1),
	}
	s.largeBody <- time.Time{}
	s.lastWriter.writing = make(chan struct{}, 1)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.chance == nil {
		s.chance = rand.Float64
	}
	if s.wall == nil {
		s.wall = time.Time.UnixNano
	}
	if s.flight == nil {
		s.flight = NewFlight(nil, time.Time{})
	}
	s.budget = newBudget(l)
	s.loader = loader{maxPositions: l.Window}
	s.settler = settler{bound: max(4096, 4*l.InFlight), drained: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	s.clock.at = never
	s.base, s.cut = context.WithCancelCause(context.Background())
	s.io, s.stopIO = context.WithCancel(context.Background())
	s.metrics = newMetrics(o.Metrics, s)
	return s
}

func (s *Scheduler) now() instant {
	t := time.Now()
	return instant{wall: s.wall(t), mono: int64(t.Sub(s.epoch))}
}

// lock enters an operation and reads the clocks, in this order, so that time
// never runs backward from one operation to the next.
func (s *Scheduler) lock() instant {
	s.mu.Lock()
	return s.now()
}

// unlock leaves an operation.
func (s *Scheduler) unlock(now instant) {
	s.startCalls(now, false)
	s.setTimer(now)
	s.mu.Unlock()
}

// Start finds what is pending in the store and begins to deliver. It returns once every queue is known.
func (s *Scheduler) Start(ctx context.Context) error {
	queues, err := s.store.Queues(ctx)
	if err != nil {
		return err
	}
	now := s.lock()
	defer s.unlock(now)
	if s.phase != idle {
		return nil
	}
	s.phase = running
	s.restoreApart(now)
	s.clock.nextWatch = now.mono // the first pass of the watchdog learns what is oldest
	for _, id := range queues {
		s.queue(id).spill(store.Position{}) // where it begins is not known: read from the start
	}
	for _, d := range s.dests {
		s.considerAll(d, now)
	}
	return nil
}

// Offer hands over deliveries that Append has just made durable. It never blocks.
func (s *Scheduler) Offer(e *event.Event, items []store.Item) {
	if len(items) == 0 {
		return
	}
	now := s.lock()
	defer s.unlock(now)
	var b *body
	for i := range items {
		q := s.queue(items[i].Queue)
		if d := q.dest; d.oldest == 0 {
			d.oldest = e.ID.Time().UnixNano()
		}
		if j := s.admit(q, &items[i], now); j != nil {
			if b == nil {
				b = s.cache.put(e)
			}
			j.body = b
			b.refs++
		}
		s.consider(q.lane, now)
	}
}

// Move applies a change that a person asked for to deliveries in the store and
// then in memory. What it brings back goes out at once, even where the far side
// has asked to wait.
func (s *Scheduler) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	ms, err := s.moveInStore(ctx, now, c, ids)
	done := make(map[uint32]bool)
	for i := range ms {
		if m := &ms[i]; m.Err == nil && m.To == store.Pending && !done[m.ID.Dest] {
			done[m.ID.Dest] = true
			s.TryNow(m.ID.Dest)
		}
	}
	return ms, err
}

func (s *Scheduler) moveInStore(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	// A change that was begun is waited for: memory must learn what came of it.
	ms, err := s.store.Move(context.WithoutCancel(ctx), now, c, ids)
	if err != nil {
		s.readAnew(ids)
		return nil, err
	}
	s.Moved(ms)
	return ms, nil
}

// readAnew has the queues of deliveries read anew: a change failed half-way, and
// some of them may be pending again.
func (s *Scheduler) readAnew(ids []store.DeliveryID) {
	now := s.lock()
	defer s.unlock(now)
	done := make(map[uint32]bool)
	for _, id := range ids {
		if !done[id.Dest] {
			done[id.Dest] = true
			q := s.queue(store.QueueID{Dest: id.Dest})
			q.spill(store.Position{})
			s.consider(q.lane, now)
		}
	}
}

// Moved tells the scheduler of changes made in the store by retention or erasure.
func (s *Scheduler) Moved(ms []store.Moved) {
	now := s.lock()
	defer s.unlock(now)
	for i := range ms {
		if ms[i].Err == nil {
			s.applyMoved(&ms[i], now)
		}
	}
}

func (s *Scheduler) applyMoved(m *store.Moved, now instant) {
	if m.From == store.Pending {
		s.removeMoved(m, now)
	}
	if m.To == store.Pending {
		if m.Item.Attempts == 0 { // tried anew, as a rebind is not: its crashes count on like its attempts
			s.flight.forget(m.ID)
		}
		// Its outcome may have overtaken this answer: the row itself tells, not m.
		q := s.queue(m.Item.Queue)
		if j := s.jobs[keyOf(m.ID)]; j != nil {
			s.refresh(j, &m.Item, now)
		} else {
			q.spill(m.Item.Position())
		}
		s.reviewApart(q.dest, now)
		s.considerAll(q.dest, now)
		return
	}
	s.flight.forget(m.ID)
	if d := s.dests[m.ID.Dest]; d != nil {
		s.reviewApart(d, now)
		d.oldestFailed.remove(m.ID)
		if m.From != m.To {
			d.metrics.countFinal(m.To)
			if m.To == store.Dead {
				s.recordDead(d, now)
				s.notify(d, Notice{Name: DeliveryDead, Reason: "expired", Delivery: m.ID}, now)
			}
		}
	}
}

// removeMoved takes a delivery out of the window it waits in, and keeps reads that
// may have seen it as it was from bringing it back. In flight it stays: the
// store tells how the row stands when its outcome is settled, or later.
func (s *Scheduler) removeMoved(m *store.Moved, now instant) {
	q := s.queue(m.Was) // its first Offer of all may still be on its way
	k := keyOf(m.ID)
	if s.watchdog.removed != nil {
		s.watchdog.removed[k] = true
	}
	switch j := s.jobs[k]; {
	case j == nil:
		// Its Offer may still be on its way, with the row as it was before.
		q.raise(store.Position{Due: now.wall + 1}, now)
		// Without a version: another change may have brought the row back already, and
		// what a read returns of it must be seen as news.
		j = &job{item: store.Item{ID: m.ID, Queue: m.Was}, q: q}
		s.addJob(j, settled)
		s.removeJobAfterReads(j)
	case j.state == started:
		j.changed = true
	case j.state == settled:
		s.removeJobAfterReads(j)
	case j.state == waiting && m.To != store.Pending:
		// A change made after this one may have brought it back already: the row tells.
		j.q.spill(j.item.Position())
		s.dequeue(j)
	case j.state == waiting && j.item.Version < m.Item.Version:
		s.dequeue(j)
	}
	s.considerAll(q.dest, now)
	s.tidyQueues(q.dest)
}
