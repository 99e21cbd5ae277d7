// Package api is the engine's HTTP API: it checks who asks, reads requests
// within bounds of time and memory, and says in JSON what the engine answered.
// openapi.yaml, which it serves, describes every call.
//
// A request goes through routes.go, auth.go, query.go and call.go. Events are taken
// in by accept.go (one), batch.go (many) and test.go (one for one destination), which
// use headers.go, body.go, memory.go, budget.go and counts.go. Every other file is one
// kind of operation.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/session"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Ingest accepts events.
type Ingest interface {
	Accept(ctx context.Context, rs []ingest.Request) []ingest.Result
	// Ready is nil while Accept can work; asked before a body is read.
	Ready() error
	// Knows tells whether the settings have that developer.
	Knows(developer string) bool
}

// Scheduler is what people do to deliveries and destinations.
type Scheduler interface {
	Status() []delivery.Status
	Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error)
	Moved(ms []store.Moved)
	MovedElsewhere(ms []store.Moved)
	Pause(ctx context.Context, dest uint32, reason string) error
	Resume(ctx context.Context, dest uint32) error
	Rebind(ctx context.Context, dest uint32) (int, error)
	TryNow(dest uint32)
	// Waits says for each queue why nothing of it is tried now.
	Waits(qs []store.QueueID) []delivery.Wait
	// Watch has somebody told of attempts from now on, until they close it.
	Watch(wants func(store.DestinationKey) bool) *delivery.Watch
	// ForgetAnswers empties what the far sides of a developer answered last.
	ForgetAnswers(developer string)
	// ForgetUser takes a user's name out of why destinations of a developer are paused or held.
	ForgetUser(ctx context.Context, developer, user string) error
}

// Eraser erases the data of a user.
type Eraser interface {
	Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error)
}

// Daemon is what the API asks of the daemon around it.
type Daemon interface {
	// Names returns the destinations ever registered, as they are now.
	Names() *Names
	// ReloadWith reads the settings again. Its error is shown to who asked: all the
	// faults. With *Refused everything else is in force, with *Removal nothing has
	// changed.
	ReloadWith(ctx context.Context, o ReloadOptions) (Reloaded, error)
	// Limits returns the bounds that are in force.
	Limits() config.Limits
	// Backup writes a consistent copy of the store to dir, which must not exist.
	Backup(ctx context.Context, dir string) error
	// Health returns what keeps the daemon from working, and what is amiss
	// while it works: broken developers' files, destinations that are held.
	Health() (problems, warnings []string)
}

// Payloads is the operator's payload store. Its errors wrap destination.ErrEngine
// or payload.ErrGone.
type Payloads interface {
	destination.PayloadStore
	// Has tells whether a payload is there.
	Has(ctx context.Context, developer, id string) (bool, error)
}

// Egress is where the daemon's connections come from.
type Egress struct {
	Source []string // addresses; empty: the system chooses
	Proxy  bool
}

// Options build an API. All interfaces are required but those of payloads.
type Options struct {
	Ingest     Ingest
	Pace       *ingest.Pace // nil: nobody is slowed down
	Scheduler  Scheduler
	Store      store.Log
	Usage      store.Usage
	Series     *series.Series
	Eraser     Eraser
	Daemon     Daemon
	Documents  Documents
	Replays    Replays
	Checks     Checks
	Trail      *trail.Trail
	Sessions   *session.Desk
	Settings   Settings
	Queues     Queues
	Peers      Peers                 // nil: this is the only daemon of its store
	Payloads   Payloads              // nil: none are kept
	Catalogue  *event.Catalogue      // of payloads
	Files      http.Handler          // answers /payloads/...; nil: they are served elsewhere
	Console    http.Handler          // answers /console/; nil: there are no pages
	Trace      *tracing.Tracer       // nil: no spans
	Metrics    http.Handler          // answers /metrics
	Registerer prometheus.Registerer // nil: none
	Log        *slog.Logger

	Tokens  []Token    // none: requests from this machine only, and Listen must be a loopback address
	Daemons func() int // how many share the rates of tokens; nil: this one has all of them
	Listen  string     // host:port
	Brand   string     // prefix of headers: "terra"
	Version string
	Egress  Egress

	// Outside takes the connection of a request out of the bound on connections
	// until back is called; nil: there is none.
	Outside func(request context.Context) (back func())

	MaxBody  int64   // bytes of one event, and of one batch
	BodyRate float64 // bytes a second that a body must come with; 0: 1 KiB
	Memory   int64   // bytes of bodies held at a time; raised to what two batches of MaxBody need
}

// API answers HTTP requests. It bounds the time of reading a body and of
// writing a long answer itself: the server around it needs ReadHeaderTimeout,
// IdleTimeout and MaxHeaderBytes, and must have neither ReadTimeout nor
// WriteTimeout, which know nothing of a body's size.
type API struct {
	Options
	mux    *http.ServeMux
	tokens atomic.Pointer[[]principal]
	memory memory
	counts counts
	header headers
	deep   sync.Mutex // one deep audit at a time

	drafts    chan struct{}
	readers   *readers
	console   atomic.Pointer[config.Console]
	tries     tries
	deaf      *ingest.Bucket // lines of the log about daemons that do not answer
	strangers *ingest.Bucket // lines of the log about acts of those who showed no token

	recent     recent
	peerFollow chan struct{} // has a place for each daemon that follows attempts here
	explaining chan struct{} // has a place for each who does: kinds read keys for it
}

var _ http.Handler = (*API)(nil)

// New builds an API. It starts nothing.
func New(o Options) (*API, error) {
	if o.Ingest == nil || o.Scheduler == nil || o.Store == nil || o.Eraser == nil || o.Daemon == nil || o.Documents == nil || o.Replays == nil || o.Checks == nil || o.Trail == nil || o.Sessions == nil || o.Settings == nil || o.Queues == nil || o.Metrics == nil || o.Log == nil {
		return nil, errors.New("build the API: a part is missing")
	}
	if o.Payloads != nil && o.Catalogue == nil {
		return nil, errors.New("build the API: payloads without a catalogue")
	}
	if o.Brand == "" || o.MaxBody <= 0 {
		return nil, fmt.Errorf("build the API: brand %q, bodies of %d bytes", o.Brand, o.MaxBody)
	}
	if o.BodyRate <= 0 {
		o.BodyRate = 1 << 10
	}
	a := &API{
		Options: o, header: newHeaders(o.Brand), drafts: make(chan struct{}, maxDrafts), readers: newReaders(), strangers: ingest.NewBucket(1.0/60, nil), deaf: ingest.NewBucket(1.0/60, nil), explaining: make(chan struct{}, 4), peerFollow: make(chan struct{}, peerReaders),
	}
	a.SetConsole(config.Console{})
	a.memory.setup(o.MaxBody, o.Memory)
	if err := a.SetTokens(o.Tokens); err != nil {
		return nil, fmt.Errorf("build the API: %w", err)
	}
	var err error
	if a.counts, err = newCounts(o.Registerer); err != nil {
		return nil, fmt.Errorf("build the API: %w", err)
	}
	a.mux = a.newMux()
	return a, nil
}
