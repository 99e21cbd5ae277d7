package fleet

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// host is a machine: a daemon runs on it, most of the time.
type host struct {
	n      int
	memory []byte // of the flight record
	*daemon
}

// daemon is one run of the engine.
type daemon struct {
	fleet   *fleet
	name    string
	host    *host
	store   *storetest.Member
	sched   *delivery.Scheduler
	ingest  *ingest.Ingest
	metrics *prometheus.Registry
	fenced  chan struct{} // closed when it has lost its slots
	once    sync.Once
	dead    atomic.Bool   // it runs no more
	killed  atomic.Bool   // without goodbye
	stops   atomic.Bool   // in good order
	died    chan struct{} // closed when dead
	buried  bool

	mu      sync.Mutex
	thaw    chan struct{} // closed when it goes on; nil: it runs
	cuts    int
	quietAt time.Time // when the last disturbance was over
	roll    uint64
}

// view is the store as a daemon sees it: calls take time, and none is made while the daemon is stopped.
type view struct {
	*storetest.Member
	d *daemon
}

var (
	_ delivery.Store  = view{}
	_ delivery.Shared = view{}
	_ ingest.Store    = view{}
)

func (d *daemon) say(format string, args ...any) {
	d.fleet.oracle.say(d.name+": "+format, args...)
}

// pass lets time pass before a call, and waits while the daemon is stopped.
func (d *daemon) pass() {
	d.mu.Lock()
	d.roll = mix(d.roll)
	lag := time.Duration(0)
	if most := d.fleet.sc.lag; most > 0 && d.roll%2 == 0 {
		lag = time.Duration(d.roll>>1) % most
	}
	d.mu.Unlock()
	if lag > 0 {
		t := time.NewTimer(lag)
		defer t.Stop()
		select {
		case <-t.C:
		case <-d.died:
		}
	}
	d.gate()
}

// gate waits while the daemon is stopped.
func (d *daemon) gate() {
	for {
		d.mu.Lock()
		thaw := d.thaw
		d.mu.Unlock()
		if thaw == nil {
			return
		}
		select {
		case <-thaw:
		case <-d.died:
			return
		}
	}
}

// disturbed tells whether anything happened to the daemon since then that excuses it. That it stops in good
// order does not.
func (d *daemon) disturbed(since time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.killed.Load() || d.cuts > 0 || d.thaw != nil || !d.quietAt.Before(since)
}

func (v view) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	v.d.pass()
	return v.Member.Append(ctx, now, batch)
}

func (v view) Settle(ctx context.Context, now time.Time, os []store.Outcome) ([]store.Settled, error) {
	v.d.pass()
	out, err := v.Member.Settle(ctx, now, os)
	if err == nil {
		v.d.fleet.oracle.settled(v.d, os, out)
	}
	v.d.pass()
	return out, err
}

func (v view) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	v.d.pass()
	return v.Member.Due(ctx, q, from, until, limit)
}

func (v view) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	v.d.pass()
	return v.Member.Event(ctx, day, id)
}

func (v view) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
	v.d.pass()
	return v.Member.ChangeState(ctx, id, change)
}

func (v view) Put(ctx context.Context, key string, value []byte) error {
	v.d.pass()
	return v.Member.Put(ctx, key, value)
}

// Owned is false while the daemon is stopped: in a real one nothing would ask.
func (v view) Owned() bool {
	v.d.mu.Lock()
	stopped := v.d.thaw != nil
	v.d.mu.Unlock()
	return !stopped && v.Member.Owned()
}

// Holds is the same of any event.
func (v view) Holds(event.ID) bool { return v.Owned() }

// Pending and Changed wait while the daemon is stopped, as its connection's reader would.
type ears struct{ d *daemon }

func (e ears) Pending(heads []store.Head) {
	e.d.gate()
	e.d.fleet.oracle.adopted(heads)
	e.d.sched.Pending(heads)
}

func (e ears) Changed(ds []store.Destination) {
	e.d.gate()
	e.d.sched.Changed(ds)
}

// start runs a daemon on a host.
func (f *fleet) start(h *host) {
	f.runs++
	d := &daemon{fleet: f, host: h, name: "daemon " + string(rune('A'+(f.runs-1)%26)), fenced: make(chan struct{}), died: make(chan struct{}),
		metrics: prometheus.NewRegistry(), quietAt: time.Now(), roll: mix(f.sc.seed<<8 + uint64(f.runs))}
	h.daemon = d
	ctx := context.Background()
	d.store = f.many.Open(storetest.MemberOptions{
		Serial: func(dest uint32) bool { return d.sched != nil && d.sched.Serial(dest) },
		Fatal:  func(error) { d.lost() },
	})
	v := view{d.store, d}
	d.sched = delivery.New(delivery.Options{
		Busy:  func() time.Duration { return 0 }, // not this machine's
		Store: v, Shared: v, Metrics: d.metrics, Flight: suspects.New(h.memory, time.Now()), Chance: func() float64 { return 0.5 },
		Fatal: func(error) { d.lost() }, Tell: f.oracle.told, Log: slog.New(slog.NewTextHandler(chatter{d}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	d.ingest = ingest.New(v, d.sched.Offer, ingest.Limits{})
	d.store.Follow(ears{d})
	var keys []store.DestinationKey
	for _, t := range f.sc.dests {
		keys = append(keys, store.DestinationKey{Developer: "acme", Name: t.name, Kind: "fake"})
	}
	if _, err := d.store.Register(ctx, keys); err != nil {
		f.oracle.fault("register: %v", err)
	}
	registered, err := d.store.Destinations(ctx)
	if err != nil {
		f.oracle.fault("destinations: %v", err)
	}
	var targets []delivery.Target
	routes := &ingest.Developer{ID: "acme"}
	for i, r := range registered {
		t := f.sc.dests[i]
		f.oracle.dests[r.ID] = t
		targets = append(targets, delivery.Target{ID: r.ID, Key: r.DestinationKey, State: r.State, Version: r.Version, Current: &delivery.Settings{
			Hash: uint64(i + 1), Destination: &far{d: d, setup: t, id: r.ID}, Schedule: t.schedule, Timeout: 20 * time.Second, MaxInFlight: t.max, Rate: t.rate, Serial: t.serial,
		}})
		routes.Destinations = append(routes.Destinations, ingest.Route{ID: r.ID, Matches: func(string) bool { return true }})
		routes.All = append(routes.All, r.ID)
	}
	d.sched.Apply(targets)
	d.ingest.SetRoutes(&ingest.Routes{Developers: map[string]*ingest.Developer{"acme": routes}})
	if err := d.sched.Start(ctx); err != nil {
		f.oracle.fault("start: %v", err)
	}
	d.say("starts on host %d", h.n)
}

// lost ends a daemon that has lost its slots, as the program does that runs it.
func (d *daemon) lost() {
	d.once.Do(func() {
		d.say("has lost its slots")
		close(d.fenced)
		d.fleet.wake()
	})
}

// die ends the daemon at this instant.
func (d *daemon) die() {
	memory := slices.Clone(d.host.memory)
	d.killed.Store(true)
	if d.dead.CompareAndSwap(false, true) {
		d.host.memory = memory // the engine that goes on writes into the old one
		close(d.died)
		d.fleet.wake()
	}
}

// bury takes apart what is left of a dead daemon.
func (d *daemon) bury() {
	d.store.Kill()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.sched.Stop(ctx)
	d.fleet.count(d)
}

// stop ends the daemon in good order.
func (d *daemon) stop() {
	d.stops.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d.sched.Stop(ctx)
	if d.killed.Load() {
		d.store.Kill()
	} else if err := d.store.Close(); err != nil {
		d.fleet.oracle.fault("close: %v", err)
	}
	if d.dead.CompareAndSwap(false, true) {
		close(d.died)
	}
	d.fleet.count(d)
	d.say("has stopped")
}

type chatter struct{ *daemon }

func (c chatter) Write(b []byte) (int, error) {
	if !c.dead.Load() {
		c.say("%s", b[:len(b)-1])
	}
	return len(b), nil
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
