// Package app puts the daemon together: it builds everything before anything
// runs, serves, reloads each developer for themselves, and takes apart in reverse order.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/api"
	"github.com/seed-51f8da91/fantail/internal/check"
	"github.com/seed-51f8da91/fantail/internal/config"
	"github.com/seed-51f8da91/fantail/internal/console"
	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/healthcheck"
	"github.com/seed-51f8da91/fantail/internal/inbound"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/keyring"
	"github.com/seed-51f8da91/fantail/internal/notices"
	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/peer"
	"github.com/seed-51f8da91/fantail/internal/replay"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/internal/trail"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
)

// Options say what daemon to build.
type Options struct {
	Config     string // path of fantail.yaml
	Kinds      destination.Registry
	Log        *slog.Logger
	Version    string // and of what commit, and when that was made, in RFC 3339; both may be ""
	Commit     string
	Date       string
	AcceptLoss bool // open a store whose log is damaged, losing what cannot be read

	store func(*App) store.Store // a test opens another than the settings name
}

// App is one running daemon.
type App struct {
	loader  *config.Loader
	kinds   destination.Registry
	log     *slog.Logger
	version string

	store         store.Store
	shared        store.Shared    // the same, where several daemons work on it; else nil
	peers         *peer.Directory // nil where shared is
	storeWarnings func() []string // what somebody should look at though it works; nil: it has no such words
	scheduler     *delivery.Scheduler
	serial        atomic.Pointer[delivery.Scheduler] // scheduler, for the store, which is there before it
	series        *series.Series
	seriesKey     string // where the store keeps it; "": nowhere
	flight        *suspects.Record
	ingest        *ingest.Ingest
	replays       *replay.Runner
	tracer        *tracing.Tracer // nil: off
	exchange      *exchange.Pool
	dial          destination.DialFunc
	metadata      *http.Client
	metrics       *prometheus.Registry
	fronts        []*front
	inbound       *inbound.Limit
	broken        *prometheus.GaugeVec
	brand         string
	catalogue     *event.Catalogue
	payloads      *payload.Operator // nil: none are kept
	files         *payload.Dir      // the embedded store that they are kept in; nil: another
	api           *api.API
	console       *console.Handler
	checks        *check.Runner
	notices       *notices.Notices
	trail         *trail.Trail
	health        *healthcheck.Healthcheck
	cert          atomic.Pointer[tls.Certificate]

	started   *config.Daemon // what is built in until the next start
	reloading sync.Mutex
	erasing   map[string]bool // developers who are being erased; guarded by reloading
	reloads   reloads
	heads     atomic.Pointer[map[string]api.DocumentHead] // of the documents in the store
	current   atomic.Pointer[state]
	stopping  atomic.Bool
	fatal     chan error    // the store can write no more
	failovers atomic.Int64  // of the store, so far
	failover  chan struct{} // signalled at each
	teardown  []step
}

// state is what a reload swaps.
type state struct {
	snapshot *config.Snapshot
	keys     *keyring.Ring
	problems []string // developers running on their last good settings, or on none
	refused  []refusal
	names    *api.Names
	files    string // fingerprint of the settings in files
	targets  *replay.Targets

	developers map[string]*developer // by id
}

// step is one named part of the teardown.
type step struct {
	name string
	stop func(ctx context.Context) error
}

// New builds the daemon and binds its listener, but accepts and delivers
// nothing before Run. After an error everything is closed again.
func New(ctx context.Context, o Options) (_ *App, err error) {
	if err := ensureKey(o.Config, o.Log); err != nil {
		return nil, err
	}
	loader := config.NewLoader(o.Config, o.Kinds)
	snapshot, loadErr := loader.Load(ctx) // without documents: their store is not open yet
	if snapshot == nil {
		return nil, loadErr
	}
	a := &App{
		loader: loader, kinds: o.Kinds, log: o.Log, version: o.Version,
		metrics: prometheus.NewRegistry(), fatal: make(chan error, 1), failover: make(chan struct{}, 1), erasing: map[string]bool{}, started: &snapshot.Daemon,
	}
	defer func() {
		if err != nil {
			a.close(context.WithoutCancel(ctx))
		}
	}()
	for _, build := range []func(context.Context, *config.Daemon, Options) error{
		a.openTracing, a.openStore, a.openEgress, a.openPayloads, a.buildEngine,
	} {
		if err := build(ctx, &snapshot.Daemon, o); err != nil {
			return nil, err
		}
	}
	a.inbound = inbound.NewLimit(mostConnections(&snapshot.Daemon, openFiles(), o.Log))
	a.observe(o)
	var made []config.Text
	if snapshot.Daemon.Developers.Stored {
		if snapshot, made, loadErr = a.load(ctx); snapshot == nil {
			return nil, loadErr
		}
	}
	if err := a.start(ctx, snapshot, made); err != nil {
		return nil, err
	}
	if err := a.listen(ctx, &snapshot.Daemon); err != nil {
		return nil, err
	}
	return a, nil
}

// Addr returns the address that the API listens on.
func (a *App) Addr() string { return a.fronts[0].listener.Addr().String() }

// URL returns where the API is.
func (a *App) URL() string { return a.fronts[0].url() }

// Run delivers and serves until ctx ends, then stops within the grace of the
// settings: no attempt is burned and nothing accepted is lost. It returns an
// error when the daemon could not go on.
func (a *App) Run(ctx context.Context) error {
	signal := ctx.Done()
	// The parts go on until the delay of the stop is over.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	if a.peers != nil {
		a.peers.Look(ctx)
	}
	if a.shared != nil {
		a.shared.Follow(a.scheduler)
	}
	if err := a.scheduler.Start(ctx); err != nil {
		a.close(context.WithoutCancel(ctx))
		return fmt.Errorf("start delivering: %w", err)
	}
	a.replays.Start()
	var background sync.WaitGroup
	background.Go(func() { a.keep(ctx) })
	background.Go(func() { a.record(ctx) })
	background.Go(func() { a.checks.Run(ctx) })
	background.Go(func() { a.notices.Run(ctx) })
	background.Go(func() { a.trail.Run(ctx) })
	background.Go(func() { a.health.Run(ctx) })
	if a.peers != nil {
		background.Go(func() { a.peers.Run(ctx) })
		background.Go(func() { a.followDocuments(ctx) })
		background.Go(func() { a.followFailovers(ctx) })
	}
	if a.payloads != nil {
		background.Go(func() { a.payloads.Watch(ctx) })
	}
	served := make(chan error, len(a.fronts))
	for _, f := range a.fronts {
		go func() { served <- f.serve() }()
	}
	if err := a.store.Ready(); err != nil {
		a.log.Warn("fantail has started and takes no events for now", "version", a.version, "api", a.URL(), "error", err)
	} else {
		developers, destinations := a.current.Load().snapshot.Size()
		a.log.Info("fantail is ready", "version", a.version, "api", a.URL(), "developers", developers, "destinations", destinations)
	}

	var failure error
	select {
	case <-signal:
	case failure = <-a.fatal:
		return a.failed(failure)
	case failure = <-served:
	}
	a.stopping.Store(true)
	if failure == nil {
		select {
		case <-a.lingered():
		case failure = <-a.fatal:
			return a.failed(failure)
		case failure = <-served:
		}
	}
	a.log.Info("stopping: no new events are accepted, attempts under way may end")
	a.api.EndLive()
	cancel(nil)
	background.Wait()
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), a.current.Load().snapshot.Daemon.ShutdownGrace)
	defer done()
	return errors.Join(failure, a.close(grace))
}

// failed ends a daemon that can write nothing any more: it does not wait for what cannot end.
func (a *App) failed(why error) error {
	a.log.Error("the store failed and the daemon ends", "error", why)
	for _, f := range a.fronts {
		f.server.Close()
	}
	return fmt.Errorf("the store can write no more: %w", why)
}

// lingered is over after the delay of the stop: a balancer that asks /readyz sends its requests
// elsewhere before they would be refused.
func (a *App) lingered() <-chan time.Time {
	delay := a.current.Load().snapshot.Daemon.ShutdownDelay
	if delay > 0 {
		a.log.Info("stopping soon: /readyz says so, and events are taken until a balancer has noticed", "delay", delay)
	}
	return time.After(delay)
}

// onStop adds a step to the teardown, which runs last in, first out.
func (a *App) onStop(name string, stop func(ctx context.Context) error) {
	a.teardown = append(a.teardown, step{name, stop})
}

func (a *App) close(ctx context.Context) error {
	var errs []error
	for i := len(a.teardown) - 1; i >= 0; i-- {
		s := a.teardown[i]
		began := time.Now()
		if err := s.stop(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
		a.log.Debug("stopped", "part", s.name, "took", time.Since(began))
	}
	a.teardown = nil
	return errors.Join(errs...)
}
