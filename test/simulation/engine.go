package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
)

// engine starts, stops and crashes the daemon.
type engine struct {
	sc        *Scenario
	model     *Model
	world     *world
	began     time.Time
	disk      *disk
	memory    []byte        // of the flight record: outlives the process, not the machine
	crashed   chan struct{} // signalled when the power is cut
	process   *process
	documents map[string]stored // of developers, which outlive the process
	after     *remains
	runs      int
	rescued   float64
	chance    *rand.Rand
	lucky     sync.Mutex
	ops       sync.WaitGroup // what people do
	asks      sync.WaitGroup // what producers do
}

// process is one run of the daemon.
type process struct {
	engine   *engine
	n        int
	dead     atomic.Bool
	dying    sync.Mutex    // held while it dies
	died     chan struct{} // closed when dead
	store    *pebblestore.Store
	rec      *recorder
	sched    *delivery.Scheduler
	ingest   *ingest.Ingest
	metrics  *prometheus.Registry
	settings map[int]Setup // as applied
	wire     *wire
	stopping bool
	reload   sync.Mutex
}

// remains are what a crash leaves.
type remains struct {
	disk   *disk
	memory []byte
	at     int64
	power  bool
}

const flightSlots = 4096

func newEngine(sc *Scenario) *engine {
	began := time.Now()
	e := &engine{sc: sc, began: began, model: newModel(sc, began), disk: newDisk(), memory: make([]byte, 64*flightSlots),
		documents: map[string]stored{}, crashed: make(chan struct{}, 1), chance: rand.New(rand.NewPCG(sc.Seed, 2))}
	e.world = &world{sc: sc, model: e.model, began: began, open: map[*place]bool{}}
	return e
}

// float is uniform in [0,1).
func (e *engine) float() float64 {
	e.lucky.Lock()
	defer e.lucky.Unlock()
	return e.chance.Float64()
}

func (e *engine) bits() uint64 {
	e.lucky.Lock()
	defer e.lucky.Unlock()
	return e.chance.Uint64()
}

// start opens the store, checks what it holds, and runs the daemon on the
// settings that are in force. It reports false when the power was cut meanwhile.
func (e *engine) start(setups map[int]Setup, crashed bool) bool {
	e.runs++
	p := &process{engine: e, n: e.runs, died: make(chan struct{}), metrics: prometheus.NewRegistry(), settings: map[int]Setup{}}
	p.wire = newWire(p)
	e.process = p
	var err error
	p.store, err = pebblestore.Open("db", e.storeOptions(p))
	if err != nil {
		if !p.dead.Load() {
			e.model.fault(nil, "start: %v", err)
		}
		return false
	}
	p.rec = &recorder{Store: p.store, process: p, model: e.model, roll: throw(e.sc.Seed, 3, uint64(p.n))}
	e.model.say("process %d starts", p.n)
	if !e.model.resync(p, crashed) {
		return false
	}
	p.sched = delivery.New(delivery.Options{
		Busy:  func() time.Duration { return 0 }, // not this machine's
		Store: p.rec, Thaw: p.thaw, Limits: e.sc.Limits, Flight: suspects.New(e.memory, e.model.wallTime(time.Now())), Log: e.log(p),
		Metrics: p.metrics, Chance: e.float, Wall: func(t time.Time) int64 { return e.model.wall(t.UnixNano()) },
		Tell: func(n delivery.Notice) { e.model.told(p, &n) },
	})
	p.ingest = ingest.New(p.rec, p.sched.Offer, ingest.Limits{})
	if err := p.apply(setups); err != nil {
		if !p.dead.Load() {
			e.model.fault(nil, "apply the settings: %v", err)
		}
		return false
	}
	if err := p.sched.Start(context.Background()); err != nil && !p.dead.Load() {
		e.model.fault(nil, "start the scheduler: %v", err)
	}
	e.model.up(p)
	return !p.dead.Load()
}

func (e *engine) storeOptions(p *process) pebblestore.Options {
	return pebblestore.Options{
		FS: e.disk, Log: e.log(p), Rand: e.bits,
		// Pebble's own scheduler wakes ten times a second, and fake time pays for each.
		Compactions: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest(),
		Fatal: func(err error) {
			if !p.dead.Load() {
				e.model.fault(nil, "the store fails: %v", err)
			}
		},
	}
}

// stop stops the daemon as a signal does.
func (e *engine) stop(grace time.Duration) {
	p := e.process
	e.model.stopping()
	p.stopping = true
	e.ops.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	p.sched.Stop(ctx)
	e.asks.Wait()
	if !p.dead.Load() {
		e.model.stopped(p)
	}
	err := p.store.Close()
	if p.dead.Load() {
		return
	}
	p.wire.close()
	if err != nil {
		e.model.fault(nil, "close the store: %v", err)
	}
	if n := e.world.left(p); n > 0 {
		e.model.fault(nil, "%d destinations were not closed", n)
	}
	e.count(p)
	p.dead.Store(true)
	close(p.died)
	e.model.say("process %d has stopped", p.n)
}

// cutPower ends p at this instant. What is left of the disk is what was synced, and that percentage of the
// rest. With power, the memory of the flight record is lost too.
func (e *engine) cutPower(p *process, power bool, percent int) {
	memory, ok := p.die()
	if !ok {
		return
	}
	rng := rand.New(rand.NewPCG(e.sc.Seed, uint64(p.n)))
	e.after = &remains{
		disk: e.disk.after(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}),
		at:   time.Now().UnixNano(), memory: memory, power: power,
	}
	if power {
		clear(e.after.memory)
	}
	close(p.died)
	e.crashed <- struct{}{}
}

// die returns the flight record as p leaves it. It does so before anything else learns that p is dead: the
// engine then cuts its attempts, which takes them out of the record. It returns false if p was dead.
func (p *process) die() ([]byte, bool) {
	p.dying.Lock()
	defer p.dying.Unlock()
	if p.dead.Load() {
		return nil, false
	}
	memory := slices.Clone(p.engine.memory)
	p.dead.Store(true)
	return memory, true
}

// alive tells whether p is still alive, so that what an attempt does now comes before its death. Attempts
// that began before the death are in the flight record that p leaves.
func (p *process) alive() bool {
	p.dying.Lock()
	defer p.dying.Unlock()
	return !p.dead.Load()
}

// bury takes apart what is left of a dead process and puts its remains in place.
func (e *engine) bury() {
	p := e.process
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if p.sched != nil {
		p.sched.Stop(ctx)
	}
	e.ops.Wait()
	e.asks.Wait()
	if p.store != nil {
		p.store.Close()
	}
	e.world.left(p)
	p.wire.close()
	if p.sched != nil {
		e.count(p)
	}
	e.disk, e.memory = e.after.disk, e.after.memory
	e.model.crash(e.after)
}

// count adds what the watchdog of p has found.
func (e *engine) count(p *process) {
	families, err := p.metrics.Gather()
	if err != nil {
		e.model.fault(nil, "gather metrics: %v", err)
	}
	for _, f := range families {
		if f.GetName() == "fantail_scheduler_rescued_total" {
			e.rescued += f.GetMetric()[0].GetCounter().GetValue()
		}
	}
}

// frozen is what is stored of settings.
type frozen struct{ Dest, Version int }

// apply puts setups in force. Everything that can fail comes first, as in the daemon.
func (p *process) apply(setups map[int]Setup) error {
	e := p.engine
	p.reload.Lock()
	defer p.reload.Unlock()
	ctx := context.Background()
	var keys []store.DestinationKey
	var which []int
	for i, d := range e.sc.Dests {
		if s, ok := setups[i]; ok && s.Present {
			keys = append(keys, store.DestinationKey{Developer: e.sc.Developers[d.Developer], Name: d.Name, Kind: "fake"})
			which = append(which, i)
		}
	}
	if err := p.document(setups); err != nil {
		return err
	}
	ids, err := p.store.Register(ctx, keys)
	if err != nil {
		return err
	}
	registered, err := p.store.Destinations(ctx)
	if err != nil {
		return err
	}
	current := map[uint32]*delivery.Settings{}
	disabled := map[uint32]bool{}
	for n, i := range which {
		d, s := e.sc.Dests[i], setups[i]
		v := d.Versions[s.Version]
		if v.Frozen {
			sealed, err := json.Marshal(frozen{i, s.Version})
			if err == nil {
				err = p.store.PutSettings(ctx, map[uint64][]byte{v.Hash: sealed}, nil)
			}
			if err != nil {
				return fmt.Errorf("store settings: %w", err)
			}
		}
		set := v.settings(&s)
		if old, ok := p.settings[i]; !ok || !old.Present || old.Version != s.Version {
			set.Destination = e.world.visit(p, d, s.Version)
		}
		current[ids[n]], disabled[ids[n]] = set, !s.Enabled
	}
	var targets []delivery.Target
	for _, r := range registered {
		targets = append(targets, delivery.Target{ID: r.ID, Key: r.DestinationKey, State: r.State, Version: r.Version,
			Disabled: disabled[r.ID], Removed: current[r.ID] == nil, Current: current[r.ID]})
	}
	e.model.apply(p, setups, which, ids)
	if len(p.settings) == 0 {
		e.model.remembers(registered)
	}
	p.sched.Apply(targets)
	p.ingest.SetRoutes(e.routes(setups, registered, which, ids))
	for i, s := range setups {
		p.settings[i] = s
	}
	return nil
}

func (v *Version) settings(s *Setup) *delivery.Settings {
	return &delivery.Settings{Hash: v.Hash, Schedule: v.Schedule, Timeout: v.Timeout, Frozen: v.Frozen, MaxInFlight: s.Max, Rate: s.Rate}
}

func (e *engine) routes(setups map[int]Setup, registered []store.Destination, which []int, ids []uint32) *ingest.Routes {
	r := &ingest.Routes{Developers: map[string]*ingest.Developer{}}
	for _, name := range e.sc.Developers {
		r.Developers[name] = &ingest.Developer{ID: name}
	}
	for _, d := range registered {
		r.Developers[d.Developer].All = append(r.Developers[d.Developer].All, d.ID)
	}
	for n, i := range which {
		d := e.sc.Dests[i]
		dev := r.Developers[e.sc.Developers[d.Developer]]
		dev.Destinations = append(dev.Destinations, ingest.Route{ID: ids[n], Matches: d.matches})
	}
	return r
}

func typeName(n int) string { return fmt.Sprintf("type%d", n) }

func (d *Dest) matches(typ string) bool {
	for n := range d.Types {
		if typ == typeName(n) {
			return true
		}
	}
	return false
}

// thaw opens frozen settings again.
func (p *process) thaw(ctx context.Context, dest uint32, hash uint64) (*delivery.Settings, error) {
	roll := p.rec.throw()
	p.rec.lag(&roll)
	if p.dead.Load() {
		return nil, errDead
	}
	if p.rec.fails(&roll) {
		return nil, errStore
	}
	sealed, err := p.store.Settings(ctx, hash)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			p.engine.model.lost(dest, hash)
		}
		return nil, err
	}
	var f frozen
	if err := json.Unmarshal(sealed, &f); err != nil {
		return nil, err
	}
	d := p.engine.sc.Dests[f.Dest]
	s := d.Versions[f.Version].settings(&Setup{Max: 1})
	s.Destination = p.engine.world.visit(p, d, f.Version)
	return s, nil
}

// log keeps the daemon's log for the trace.
func (e *engine) log(p *process) *slog.Logger {
	return slog.New(slog.NewTextHandler(chatter{p}, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

type chatter struct{ *process }

func (l chatter) Write(b []byte) (int, error) {
	if !l.dead.Load() && !bytes.Contains(b, []byte("a destination panicked")) {
		l.engine.model.say("log: %s", b[:len(b)-1])
	}
	return len(b), nil
}
