// Package delivery moves pending deliveries to their destinations: per-destination
// queues, windows, limits and breaker, one timer per destination, a pure outcome
// table, and a worker per attempt.
package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Settings is what an attempt is made with. The scheduler owns Destination from
// the moment it is handed over and closes it when its last Send has ended.
type Settings struct {
	Hash        uint64
	Destination destination.Destination
	Schedule    retry.Schedule
	Timeout     time.Duration
	Frozen      bool // retries keep these settings
	MaxInFlight int
	Rate        float64 // attempts a second; 0: no limit
}

// Target is one destination as the settings have it.
type Target struct {
	ID       uint32
	Key      store.DestinationKey
	State    store.DestinationState // as the registry has it; used the first time a target is seen, ignored later
	Disabled bool                   // enabled: false
	Removed  bool                   // gone from the settings; Current is nil
	Current  *Settings              // reused from the last Apply when Hash is the same: then Destination may be nil
}

// Store is what the scheduler needs from the store.
type Store interface {
	store.Queue
	Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error)
	SetState(ctx context.Context, id uint32, s store.DestinationState) error
	Counts(dest uint32) store.Counts
}

// Limits bound the whole engine.
type Limits struct {
	InFlight   int   // attempts
	Slow       int   // attempts older than max(1 s, 4 x median); 0: as InFlight
	Bytes      int64 // of bodies in flight
	CacheBytes int64 // of bodies kept for fan-out; 0: 32 MiB
	Window     int   // positions over all windows; 0: 256 k
}

// Options build a Scheduler.
type Options struct {
	Store   Store
	Thaw    func(ctx context.Context, dest uint32, hash uint64) (*Settings, error) // opens frozen settings again; store.ErrNotFound: none such
	Limits  Limits
	Flight  *Flight // nil: none
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Chance  func() float64 // uniform in [0,1), for jitter; nil: math/rand/v2
}

// Flight remembers which deliveries are in flight over a crash of the process.
type Flight struct{}

// Status is one destination as the API shows it.
type Status struct {
	ID            uint32
	Key           store.DestinationKey
	State         string // active, paused, disabled, held, removed
	Reason        string
	Since         time.Time
	Pending       int64
	OldestPending time.Time // acceptance of the oldest pending delivery, at most a minute stale; zero: none
	InFlight      int
	Breaker       string // closed, open
	Settings      uint64
}

// Scheduler is the engine's heart; see DESIGN 6.
type Scheduler struct{}

// New builds a scheduler with no targets. It starts nothing.
func New(o Options) *Scheduler { panic("being written") }

// Apply makes targets the complete set of destinations. It never blocks on a far side.
func (s *Scheduler) Apply(targets []Target) { panic("being written") }

// Start finds what is pending in the store and begins to deliver. It returns once every queue is known.
func (s *Scheduler) Start(ctx context.Context) error { panic("being written") }

// Offer hands over deliveries that Append has just made durable. It never blocks.
func (s *Scheduler) Offer(e *event.Event, items []store.Item) { panic("being written") }

// Move applies a change to deliveries in the store and then in memory.
func (s *Scheduler) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	panic("being written")
}

// Moved tells the scheduler of changes made in the store by retention or erasure.
func (s *Scheduler) Moved(ms []store.Moved) { panic("being written") }

// Pause stops attempts of a destination until Resume; durable on return. store.ErrNotFound if there is none such.
func (s *Scheduler) Pause(ctx context.Context, dest uint32, reason string) error {
	panic("being written")
}

// Resume ends a pause and a hold.
func (s *Scheduler) Resume(ctx context.Context, dest uint32) error { panic("being written") }

// Rebind moves every pending delivery with frozen settings to the current ones and returns how many.
func (s *Scheduler) Rebind(ctx context.Context, dest uint32) (int, error) { panic("being written") }

// Status lists every destination, O(destinations), without reading the store.
func (s *Scheduler) Status() []Status { panic("being written") }

// Stop starts no more attempts, lets those in flight end until ctx is done, then cuts them with
// the cause ErrShutdown, settles everything and closes the destinations.
func (s *Scheduler) Stop(ctx context.Context) { panic("being written") }
