package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/series"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/internal/tracing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// rig is a scheduler on a real store in memory.
type rig struct {
	t       testing.TB
	fs      vfs.FS
	store   *pebblestore.Store
	s       *Scheduler
	began   time.Time
	mem     []byte // of the flight record
	limits  Limits
	targets map[uint32]*Target
	mu      sync.Mutex
	frozen  map[uint64]func() *Settings // under mu
	thaws   atomic.Int32
	skew    atomic.Int64 // ns of the wall clock
	log     *strings.Builder
	wrap    func(Store) Store
	shared  *sharing // nil: the store is this daemon's alone
	tell    func(Notice)
	fatal   func(error)
	trace   *tracing.Tracer
	series  *series.Series
	busy    func() time.Duration
	users   int
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, fs: vfs.NewMem(), began: time.Now(), targets: map[uint32]*Target{}, frozen: map[uint64]func() *Settings{}, log: &strings.Builder{}}
	r.open()
	return r
}

func (r *rig) since() time.Duration { return time.Since(r.began) }

// now is the wall clock, which tests step.
func (r *rig) now() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) }

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.store, err = pebblestore.Open("db", pebblestore.Options{FS: r.fs, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
}

type locked struct {
	mu sync.Mutex
	b  *strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// start builds a scheduler with the targets there are and starts it.
func (r *rig) start() {
	r.t.Helper()
	r.build()
	r.apply()
	if err := r.s.Start(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) build() {
	var st Store = r.store
	if r.wrap != nil {
		st = r.wrap(st)
	}
	var fl *suspects.Record
	if r.mem != nil {
		fl = suspects.New(r.mem, r.now())
	}
	var shared Shared
	if r.shared != nil {
		shared = r.shared
	}
	busy := r.busy
	if busy == nil { // not this machine's, which has other work
		busy = func() time.Duration { return 0 }
	}
	r.s = New(Options{
		Store: st, Shared: shared, Limits: r.limits, Flight: fl, Metrics: prometheus.NewRegistry(), Chance: func() float64 { return 0.5 },
		Log: slog.New(slog.NewTextHandler(&locked{b: r.log}, nil)),
		Thaw: func(_ context.Context, _ uint32, hash uint64) (*Settings, error) {
			r.thaws.Add(1)
			r.mu.Lock()
			f := r.frozen[hash]
			r.mu.Unlock()
			if f != nil {
				return f(), nil
			}
			return nil, store.ErrNotFound
		},
		Wall: func(t time.Time) int64 { return t.UnixNano() + r.skew.Load() },
		Tell: r.tell, Fatal: r.fatal, Trace: r.trace, Busy: busy, Series: r.series,
	})
}

// add registers a destination that answers with a far of its own.
func (r *rig) add(developer, name string, change ...func(*Settings)) (uint32, *far) {
	r.t.Helper()
	key := store.DestinationKey{Developer: developer, Name: name, Kind: "fake"}
	ids, err := r.store.Register(context.Background(), []store.DestinationKey{key})
	if err != nil {
		r.t.Fatal(err)
	}
	f := &far{name: name, rig: r}
	st := &Settings{
		Hash: uint64(ids[0])<<8 | 1, Destination: f, Timeout: 30 * time.Second, MaxInFlight: 16,
		Schedule: retry.Exponential(30*time.Second, 3, 8, 0),
	}
	for _, c := range change {
		c(st)
	}
	r.targets[ids[0]] = &Target{ID: ids[0], Key: key, Current: st}
	return ids[0], f
}

func (r *rig) apply() {
	var ts []Target
	for _, t := range r.targets {
		c := *t
		ts = append(ts, c)
	}
	r.s.Apply(ts)
}

// reload gives a destination other settings.
func (r *rig) reload(id uint32, name string, change func(*Settings)) *far {
	old := r.targets[id].Current
	f := &far{name: name, rig: r}
	st := *old
	st.Hash++
	st.Destination = f
	if change != nil {
		change(&st)
	}
	r.targets[id].Current = &st
	r.apply()
	return f
}

// accept takes one event for each destination named and offers it.
func (r *rig) accept(to ...uint32) []store.Item {
	r.t.Helper()
	return r.acceptBody([]byte(`{"type":"test"}`), to...)
}

func (r *rig) acceptBody(body []byte, to ...uint32) []store.Item {
	r.t.Helper()
	return r.acceptWith(body, to).items
}

type accepting struct {
	event *event.Event
	items []store.Item
}

func (r *rig) acceptEvent(to ...uint32) accepting {
	r.t.Helper()
	return r.acceptWith([]byte(`{"type":"test"}`), to)
}

func (r *rig) acceptWith(body []byte, to []uint32) accepting {
	r.t.Helper()
	r.users++
	e := &event.Event{Developer: "dev", Reference: "ref", Envelope: event.Envelope{Type: "test", UserID: fmt.Sprint("user", r.users)}, Body: body}
	done, err := r.store.Append(context.Background(), r.now(), []*store.Entry{{Event: e, To: to}})
	if err != nil {
		r.t.Fatal(err)
	}
	if done[0].Err != nil {
		r.t.Fatal(done[0].Err)
	}
	r.s.Offer(e, done[0].Items)
	return accepting{e, done[0].Items}
}

// acceptMany takes n events with one commit.
func (r *rig) acceptMany(n int, to ...uint32) (items []store.Item) {
	r.t.Helper()
	return r.acceptSized(n, 15, to...)
}

// acceptSized takes n events with bodies of that size.
func (r *rig) acceptSized(n, size int, to ...uint32) (items []store.Item) {
	r.t.Helper()
	for _, o := range r.storeSized(n, size, to...) {
		r.s.Offer(o.event, o.items)
		items = append(items, o.items...)
	}
	return items
}

// storeSized stores what acceptSized takes, and offers nothing of it.
func (r *rig) storeSized(n, size int, to ...uint32) []accepting {
	r.t.Helper()
	batch := make([]*store.Entry, n)
	for i := range batch {
		batch[i] = &store.Entry{To: to, Event: &event.Event{
			Developer: "dev", Reference: "ref", Envelope: event.Envelope{Type: "test"}, Body: []byte("{" + strings.Repeat(" ", size-2) + "}"),
		}}
	}
	done, err := r.store.Append(context.Background(), r.now(), batch)
	if err != nil {
		r.t.Fatal(err)
	}
	stored := make([]accepting, n)
	for i := range done {
		if done[i].Err != nil {
			r.t.Fatal(done[i].Err)
		}
		stored[i] = accepting{batch[i].Event, done[i].Items}
	}
	return stored
}

// stop stops the scheduler and checks what must hold at every end.
func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.s.Stop(ctx)
	if n := value(r.s.metrics.rescued); n != 0 {
		r.t.Errorf("the watchdog found %v things that were forgotten\n%s", n, r.log)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	b := &r.s.budget
	for _, p := range b.pools {
		if p.inFlight != 0 || p.slow != 0 {
			r.t.Errorf("the bytes do not balance: %+v", p)
		}
	}
	if b.inFlight != 0 || b.slow != 0 || b.unproven != 0 || b.surplus != 0 || len(b.stuck) != 0 {
		r.t.Errorf("the budget does not balance: %+v", b)
	}
	if r.s.cache.bytes < 0 || len(r.s.cache.bodies) == 0 && r.s.cache.bytes != 0 {
		r.t.Errorf("the cache does not balance: %d bytes", r.s.cache.bytes)
	}
}

// positions is how many deliveries wait in windows.
func (r *rig) positions() int {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.loader.positions
}

func (r *rig) close() {
	r.t.Helper()
	r.stop()
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
}

// crash ends the process without any farewell: nothing more reaches the store.
func (r *rig) crash() {
	mem := append([]byte(nil), r.mem...)
	if err := r.store.Close(); err != nil {
		r.t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.s.Stop(ctx)
	copy(r.mem, mem)
}

func (r *rig) record(it store.Item) (store.DeliveryRecord, []store.Attempt) {
	r.t.Helper()
	d, as, err := r.store.Delivery(context.Background(), it.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	return d, as
}

func (r *rig) wantState(it store.Item, want store.State) {
	r.t.Helper()
	if d, _ := r.record(it); d.State != want {
		r.t.Errorf("delivery %v is %v (%q), want %v", it.ID, d.State, d.Reason, want)
	}
}

func (r *rig) status(id uint32) Status {
	for _, st := range r.s.Status() {
		if st.ID == id {
			return st
		}
	}
	r.t.Fatalf("no status of destination %d", id)
	return Status{}
}

func (r *rig) move(c store.Change, it store.Item) store.Moved {
	r.t.Helper()
	ms, err := r.s.Move(context.Background(), r.now(), c, []store.DeliveryID{it.ID})
	if err != nil {
		r.t.Fatal(err)
	}
	return ms[0]
}

// settleDown lets everything happen that happens without time passing.
func settleDown() { synctest.Wait() }

// pass lets time pass, and all happen that is due by then. A test that looked, or acted, in the very instant in
// which attempts end and begin would see now what was, now what will be.
func pass(d time.Duration) {
	time.Sleep(d)
	settleDown()
}

func at(hits []hit) []time.Duration {
	var ds []time.Duration
	for _, h := range hits {
		ds = append(ds, h.at)
	}
	return ds
}

// value reads a counter.
func value(c prometheus.Metric) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		return -1
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}
