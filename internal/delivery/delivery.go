// Package delivery moves pending deliveries to their destinations: per-destination
// queues, windows, limits and breaker, one timer for all of them, and a worker per call.
// The rules are pure and stand in policy; suspects finds what kills the process. The
// words used here are those of ARCHITECTURE.md.
//
// The files, from the top down: lifecycle.go, apply.go, offer.go, change.go, pause.go and
// thaw.go are what the rest of the daemon asks for, status.go, wait.go, live.go and
// metrics.go what it is told. consider.go finds which lanes may start a call and which
// reads of the store are due (loader.go). start.go starts calls, worker.go makes them,
// finish.go decides what becomes of their deliveries and of the lane (outage.go, hold.go,
// last.go), and settler.go has it stored. lane.go, queue.go, ring.go, budget.go, cache.go,
// workers.go and alarms.go are what these stand on.
//
// Two things go back up: whatever changes memory considers the lanes that it touched, and
// every operation leaves through Scheduler.unlock, which starts what may start.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// ErrShutdown is the cause that an attempt is cut with when the engine stops.
var ErrShutdown = errors.New("the engine is stopping")

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
	Serial      bool    // one process must make all attempts of the destination
}

// Target is one destination as the settings have it.
type Target struct {
	ID       uint32
	Key      store.DestinationKey
	State    store.DestinationState // as the registry has it; used the first time a target is seen, ignored later
	Version  uint64                 // of State
	Last     store.Last             // likewise
	Disabled bool                   // enabled: false
	Removed  bool                   // gone from the settings; Current is nil
	Current  *Settings              // reused from the last Apply when Hash is the same: then Destination may be nil
}

// Store is what the scheduler needs from the store.
type Store interface {
	store.Queue
	Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error)
	ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error)
	SetLast(ctx context.Context, last map[uint32]store.Last) error
	Counts(dest uint32) store.Counts
}

// Shared is what the scheduler needs beside where several daemons work on the store:
// see store.Shared and store.Registry.
type Shared interface {
	Owned() bool
	Holds(id event.ID) bool
	Share() (i, n int)
	OwnPending(dest uint32) int64
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
}

// Limits bound the whole engine, all daemons of it together where it has several.
type Limits struct {
	InFlight   int   // attempts; 0: 1,024
	Slow       int   // attempts older than max(1 s, 4 x median); 0: as InFlight
	Bytes      int64 // of bodies in flight, and as much again in slow attempts; 0: 256 MiB
	CacheBytes int64 // of bodies kept for fan-out; 0: 64 MiB
	Window     int   // positions over all windows; 0: 256 k

	PerDeveloper float64 // attempts a second of each developer; 0: no limit
}

// Options build a Scheduler.
type Options struct {
	Store   Store
	Shared  Shared                                                                 // nil: the store is this daemon's alone
	Thaw    func(ctx context.Context, dest uint32, hash uint64) (*Settings, error) // opens frozen settings again; store.ErrNotFound: none such
	Limits  Limits
	Flight  *suspects.Record // nil: none
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Series  *series.Series  // nil: none are kept
	Chance  func() float64  // uniform in [0,1), for jitter; nil: math/rand/v2
	Trace   *tracing.Tracer // nil: no spans
	Fatal   func(error)     // the store is not ours any more, and nothing is delivered from now on; called once, must not block; nil: nobody is told
	Tell    func(Notice)    // gets every notice, under the scheduler's lock: it must neither block nor call back; nil: nobody does

	// Busy is how long at least a tenth of all goroutines waited for a processor since
	// it was asked last; nil: what the runtime says.
	Busy func() time.Duration

	// Wall is what the wall clock shows, in ns, at a reading of time.Now; nil: what
	// the reading says. Due times are compared with it, intervals never are.
	Wall func(time.Time) int64
}

// Status is one destination as the API shows it.
type Status struct {
	ID            uint32
	Key           store.DestinationKey
	State         string    // active, paused, disabled, held, removed
	Reason        string    // what is wrong, or was asked for; "" while attempts are made and the last one succeeded
	Since         time.Time // of the pause or hold
	WaitsUntil    time.Time // the far side asked to be left alone until then, or it waits apart; zero: neither
	Apart         bool      // suspected of killing the process
	Pending       int64
	OldestPending time.Time // acceptance of the oldest pending delivery, at most a minute stale; zero: none
	InFlight      int
	Breaker       string // closed, open
	Settings      uint64
	Wait          Wait // of what goes out with current settings

	Last store.Last // Failed and Answer are of current settings
	Dead int64      // deliveries that died in this hour of the clock and the 23 before it; not more than are dead now
}
