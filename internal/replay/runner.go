package replay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Log is where events and deliveries are found.
type Log interface {
	Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error)
	EventRecord(ctx context.Context, id event.ID) (store.EventRecord, error)
	Events(ctx context.Context, q store.EventQuery) (store.Page[store.EventRecord], error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error)
}

// Store is what a Runner needs of the store.
type Store interface {
	Log
	Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error)
	Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error)
	Put(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	Delete(ctx context.Context, key string) error
}

// Scheduler sends what was made.
type Scheduler interface {
	Moved(ms []store.Moved)
	Status() []delivery.Status
}

// Options build a Runner.
type Options struct {
	Store     Store
	Scheduler Scheduler
	Targets   func() *Targets // of the settings in force
	Log       *slog.Logger    // nil: none
	Metrics   prometheus.Registerer
	// Mine tells whether this daemon has to run replays; nil: the store is its alone.
	Mine  func(context.Context) bool
	Ended func(Replay) // told of every end once it is stored; it must not block; nil: nobody is
}

// Runner runs replays and remembers them.
type Runner struct {
	store     Store
	scheduler Scheduler
	targets   func() *Targets
	log       *slog.Logger
	ended     func(Replay)
	mine      func(context.Context) bool
	results   *prometheus.CounterVec

	mu      sync.Mutex // guards what follows, and every job's now and safe
	index   index
	jobs    map[uint32]*job
	base    context.Context // of what runs; nil before Start and after Stop
	stop    context.CancelCauseFunc
	work    sync.WaitGroup
	changes sync.Mutex // one Create at a time
}

// job is a replay in memory.
type job struct {
	now    record // as it is shown
	safe   record // as it was at the last position that is safe to go on from
	cancel context.CancelCauseFunc
	ended  chan struct{} // closed when it runs no more; nil: it does not run
}

// New reads the replays that the store keeps. It starts nothing.
func New(ctx context.Context, o Options) (*Runner, error) {
	r := &Runner{store: o.Store, scheduler: o.Scheduler, targets: o.Targets, log: o.Log, ended: o.Ended, mine: o.Mine, jobs: map[uint32]*job{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.results = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "fantail_replayed_total", Help: "What replays found: made again, or left out because it is pending or gone.",
	}, []string{"result"})
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "fantail_replays_running", Help: "Replays that have not ended.",
	}, func() float64 { return float64(r.running()) })
	if o.Metrics != nil {
		o.Metrics.MustRegister(r.results, running)
	}
	for _, result := range []string{"made", "pending", "gone"} {
		r.results.WithLabelValues(result)
	}
	return r, r.load(ctx)
}

func (r *Runner) running() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, j := range r.jobs {
		if j.now.State == Running {
			n++
		}
	}
	return n
}

var (
	errStopping  = errors.New("the daemon is stopping")
	errCancelled = errors.New("cancelled")
	errLeft      = errors.New("another daemon runs it")
)

// Start goes on with every replay that has not ended.
func (r *Runner) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.stop = context.WithCancelCause(context.Background())
	if r.mine != nil {
		base := r.base
		r.work.Go(func() { r.follow(base) })
		return
	}
	for _, j := range r.jobs {
		if j.now.State == Running {
			r.launch(j)
		}
	}
}

// Stop interrupts what runs; the next process goes on with it.
func (r *Runner) Stop() {
	r.mu.Lock()
	if r.base != nil {
		r.stop(errStopping)
		r.base = nil
	}
	r.mu.Unlock()
	r.work.Wait()
}

// launch runs j; mu is held.
func (r *Runner) launch(j *job) {
	if r.base == nil {
		return
	}
	ctx, cancel := context.WithCancelCause(r.base)
	j.cancel, j.ended = cancel, make(chan struct{})
	r.work.Go(func() {
		defer close(j.ended)
		defer cancel(nil)
		r.run(ctx, j)
		if r.mine != nil {
			r.left(j)
		}
	})
}

// Create begins a replay, which is durable on return. Errors: ErrInvalid, ErrUnknown, ErrBusy.
func (r *Runner) Create(ctx context.Context, req Request) (Replay, error) {
	now := time.Now().UTC()
	if err := req.check(now); err != nil {
		return Replay{}, err
	}
	dests, err := r.targets().meant(&req.Filter)
	if err != nil {
		return Replay{}, err
	}
	r.changes.Lock()
	defer r.changes.Unlock()
	if r.running() >= MaxRunning {
		return Replay{}, ErrBusy
	}
	// A client that hangs up must not leave half a replay; one that nobody saw made does less harm.
	j, err := r.add(context.WithoutCancel(ctx), record{Dests: dests, Replay: Replay{
		Filter: req.Filter, Rate: req.Rate, DryRun: req.DryRun, By: req.By, Created: now, State: Running,
	}})
	if err != nil {
		return Replay{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mine == nil {
		r.launch(j)
	}
	return j.now.Replay, nil
}

// Get returns a replay, or store.ErrNotFound.
func (r *Runner) Get(id uint32) (Replay, error) {
	r.mu.Lock()
	j := r.jobs[id]
	if j != nil {
		defer r.mu.Unlock()
		return j.now.Replay, nil
	}
	r.mu.Unlock()
	if r.mine != nil { // another daemon may have made it a moment ago
		return r.stored(id)
	}
	return Replay{}, store.ErrNotFound
}

// List returns the replays that are remembered, newest first.
func (r *Runner) List() []Replay {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Replay, 0, len(r.index.IDs))
	for _, id := range slices.Backward(r.index.IDs) {
		list = append(list, r.jobs[id].now.Replay)
	}
	return list
}

// Cancel ends a replay and returns how far it got. What it has made stays. Errors:
// store.ErrNotFound, ErrEnded.
func (r *Runner) Cancel(ctx context.Context, id uint32) (Replay, error) {
	r.mu.Lock()
	j := r.jobs[id]
	if j != nil && j.now.State == Running && j.ended == nil && r.mine != nil {
		r.mu.Unlock()
		return r.cancelElsewhere(ctx, id)
	}
	if j == nil || j.now.State != Running || j.ended == nil {
		defer r.mu.Unlock()
		switch {
		case j == nil:
			return Replay{}, store.ErrNotFound
		case j.now.State != Running:
			return j.now.Replay, ErrEnded
		}
		return j.now.Replay, store.ErrClosed
	}
	j.cancel(errCancelled)
	ended := j.ended
	r.mu.Unlock()
	select {
	case <-ended:
	case <-ctx.Done():
		return Replay{}, context.Cause(ctx)
	}
	return r.Get(id)
}
