package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// rig is an engine in fake time: a store in memory, a scheduler, destinations that a test
// controls, and a runner.
type rig struct {
	*testing.T
	ctx   context.Context
	fs    vfs.FS
	store *pebblestore.Store
	sched *delivery.Scheduler
	run   *Runner
	fars  map[uint32]*far // by destination
	dests []Target
	ids   map[string]uint32 // by developer/name
	alter func(Store) Store // what the runner works with; nil: the store
	stats *prometheus.Registry
}

// far is a destination: it takes each event after a while, or refuses it.
type far struct {
	mu   sync.Mutex
	down bool
	slow time.Duration
	hits []hit
}

type hit struct {
	at       time.Time
	id       string // of the delivery
	event    event.ID
	ordering time.Time
	ref      string
	failed   bool
}

func (f *far) Send(_ context.Context, d destination.Delivery) (destination.Receipt, error) {
	f.mu.Lock()
	down, slow := f.down, f.slow
	f.hits = append(f.hits, hit{time.Now(), d.ID, d.Event.ID, d.Event.Ordering, d.Event.Reference, down})
	f.mu.Unlock()
	time.Sleep(slow)
	if down {
		return destination.Receipt{Code: 503}, destination.Reject(errors.New("down"))
	}
	return destination.Receipt{Code: 200}, nil
}

func (f *far) Close() error { return nil }

func (f *far) set(down bool, slow time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.slow = down, slow
}

// seen returns the attempts since the last call.
func (f *far) seen() []hit {
	f.mu.Lock()
	defer f.mu.Unlock()
	hits := f.hits
	f.hits = nil
	return hits
}

// inBubble runs f with an engine that has these destinations, developer/name. Each takes every
// type except those it is told to leave out.
func inBubble(t *testing.T, f func(r *rig), names ...string) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, ctx: context.Background(), fs: vfs.NewMem(), fars: map[uint32]*far{}, ids: map[string]uint32{}}
		r.open()
		for _, n := range names {
			r.destination(n, func(string) bool { return true })
		}
		r.start()
		t.Cleanup(r.stop)
		f(r)
		r.balanced()
	})
}

func (r *rig) open() {
	r.Helper()
	var err error
	r.store, err = pebblestore.Open("db", pebblestore.Options{FS: r.fs, Log: slog.New(slog.DiscardHandler),
		Compactions: pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()})
	r.must(err)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// destination adds one to the settings; apply puts them in force.
func (r *rig) destination(name string, matches func(string) bool) {
	r.Helper()
	var d Target
	for i, c := range name {
		if c == '/' {
			d = Target{Developer: name[:i], Name: name[i+1:], Matches: matches}
		}
	}
	ids, err := r.store.Register(r.ctx, []store.DestinationKey{{Developer: d.Developer, Name: d.Name, Kind: "far"}})
	r.must(err)
	d.ID = ids[0]
	r.ids[name] = d.ID
	r.fars[d.ID] = &far{slow: 5 * time.Millisecond}
	r.dests = append(r.dests, d)
}

func (r *rig) apply() {
	r.Helper()
	var targets []delivery.Target
	for _, d := range r.dests {
		targets = append(targets, delivery.Target{ID: d.ID, Key: store.DestinationKey{Developer: d.Developer, Name: d.Name, Kind: "far"},
			Current: &delivery.Settings{Hash: uint64(d.ID), Destination: r.fars[d.ID], Timeout: time.Minute, MaxInFlight: 16}})
	}
	r.sched.Apply(targets)
}

// start begins what a process begins once its store is open.
func (r *rig) start() {
	r.Helper()
	r.stats = prometheus.NewRegistry()
	r.sched = delivery.New(delivery.Options{Store: r.store, Metrics: r.stats})
	r.apply()
	r.must(r.sched.Start(r.ctx))
	var s Store = r.store
	if r.alter != nil {
		s = r.alter(s)
	}
	var err error
	r.run, err = New(r.ctx, Options{Store: s, Scheduler: r.sched, Targets: func() *Targets { return NewTargets(r.dests) }})
	r.must(err)
	r.run.Start()
}

func (r *rig) stop() {
	r.run.Stop()
	r.sched.Stop(r.ctx)
	if err := r.store.Close(); err != nil {
		r.Error(err)
	}
}

func (r *rig) restart() {
	r.Helper()
	r.balanced()
	r.stop()
	r.open()
	r.start()
}

// balanced fails the test unless a deep audit agrees with the counters.
func (r *rig) balanced() {
	r.Helper()
	rows, err := r.store.Audit(r.ctx, true, nil)
	r.must(err)
	for _, row := range rows {
		if c := row.Counts; c != *row.Recounted || c.Accepted != c.Delivered+c.Pending+c.Dead+c.Cancelled {
			r.Errorf("destination %d: %+v, recounted %+v", row.Dest, c, *row.Recounted)
		}
	}
}

// send accepts an event for the destinations named.
func (r *rig) send(developer, typ, user string, to ...string) event.ID {
	r.Helper()
	e := &event.Event{Developer: developer, Reference: "ref-" + user, Envelope: event.Envelope{Type: typ, UserID: user}, Body: fmt.Appendf(nil, `{"type":%q}`, typ)}
	entry := &store.Entry{Event: e}
	for _, n := range to {
		entry.To = append(entry.To, r.ids[n])
	}
	out, err := r.store.Append(r.ctx, time.Now(), []*store.Entry{entry})
	r.must(err)
	r.sched.Offer(e, out[0].Items)
	return out[0].ID
}

// dead has n events die at the destination.
func (r *rig) dead(n int, dest string) []event.ID {
	r.Helper()
	f := r.fars[r.ids[dest]]
	f.set(true, 0)
	var ids []event.ID
	developer, _ := cut(dest)
	for i := range n {
		ids = append(ids, r.send(developer, "sleep", fmt.Sprint("user-", i%3), dest))
		if i%200 == 199 {
			pass(time.Second)
		}
	}
	pass(time.Minute)
	f.set(false, 5*time.Millisecond)
	if n, want := len(f.seen()), len(ids); n != want {
		r.Fatalf("%d attempts of %d events", n, want)
	}
	return ids
}

func cut(name string) (developer, dest string) {
	i := slices.Index([]byte(name), '/')
	return name[:i], name[i+1:]
}

func (r *rig) create(q Request) Replay {
	r.Helper()
	p, err := r.run.Create(r.ctx, q)
	r.must(err)
	return p
}

// pass lets time pass, and all happen that is due by then: nothing is looked at in the midst of an instant.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// until waits in fake time until the replay has ended and all it made was tried.
func (r *rig) until(id uint32) Replay {
	r.Helper()
	for range 3600 {
		pass(time.Second)
		p, err := r.run.Get(id)
		r.must(err)
		if p.State != Running {
			pass(10 * time.Second)
			return p
		}
	}
	p, _ := r.run.Get(id)
	r.Fatalf("after an hour the replay is %+v", p)
	return p
}

// replayed runs a replay to its end and wants these counts.
func (r *rig) replayed(q Request, want Counts) Replay {
	r.Helper()
	p := r.until(r.create(q).ID)
	if p.State != Finished || p.Counts != want || p.Error != "" {
		r.Errorf("replay %+v: %s, %+v %s; want %+v", q, p.State, p.Counts, p.Error, want)
	}
	return p
}

// got fails the test unless the destination was sent exactly these events, once each.
func (r *rig) got(dest string, want ...event.ID) {
	r.Helper()
	var got []string
	for _, h := range r.fars[r.ids[dest]].seen() {
		got = append(got, h.event.String())
	}
	var texts []string
	for _, id := range want {
		texts = append(texts, id.String())
	}
	slices.Sort(got)
	slices.Sort(texts)
	if !slices.Equal(got, texts) {
		r.Errorf("%s was sent %d events %v, want %d %v", dest, len(got), got, len(texts), texts)
	}
}

func acme(states ...string) Request {
	return Request{Filter: Filter{Developer: "acme", Destination: "app", States: states}}
}
