package delivery

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/series"
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
	shared       Shared
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
	lag           lag
	shortage      shortage
	settler       settler
	stateWriter   stateWriter
	lastWriter    lastWriter
	watchers      Watchers
	watchdog      watchdog
	flight        *suspects.Record
	share         share
	apart         []*dest // that wait apart
	trial         trial
	workers       workers
	calls         int // in flight
	lastCallEnded chan struct{}

	base    context.Context // of calls; its cause tells why they were cut
	cut     context.CancelCauseFunc
	io      context.Context // of reads and writes of our own store
	stopIO  context.CancelFunc
	work    sync.WaitGroup // every goroutine but calls
	metrics *metrics
	series  *series.Series
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
		l.CacheBytes = 64 << 20
	}
	if l.Window <= 0 {
		l.Window = 256 << 10
	}
	s := &Scheduler{
		store: o.Store, shared: o.Shared, thaw: o.Thaw, log: o.Log, chance: o.Chance, flight: o.Flight,
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
		s.flight = suspects.New(nil, time.Time{})
	}
	s.share.n = 1
	s.budget = newBudget(l)
	s.loader = loader{maxPositions: l.Window}
	if s.lag.busy = o.Busy; o.Busy == nil {
		s.lag.busy = newProcessors().wait
	}
	s.settler = settler{bound: max(4096, 4*l.InFlight), drained: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	s.clock.at, s.clock.owned = never, never
	s.base, s.cut = context.WithCancelCause(context.Background())
	s.io, s.stopIO = context.WithCancel(context.Background())
	s.metrics, s.series = newMetrics(o.Metrics, s), o.Series
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
