package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// SharedHarness says how several daemons open one store, and what can be done to them.
type SharedHarness struct {
	// New makes a fresh, empty store that nobody has opened. The harness ends whatever
	// daemons are left when the test ends. Leases last as long as given, or longer where a renewal
	// takes too long for that: New returns how long.
	New func(t testing.TB, lease time.Duration) (Cluster, time.Duration)
	// Bubble runs each case in a synctest bubble. Without it they run at the same time, as many as
	// go test allows.
	Bubble bool
}

// Cluster is one store and the daemons on it, which cases number from 0.
type Cluster interface {
	// Open opens the store as a new daemon i. serial is pgstore's Options.Serial.
	Open(t testing.TB, i int, serial func(dest uint32) bool) store.Shared
	// Kill ends daemon i without goodbye: nothing of it reaches the store any more.
	Kill(t testing.TB, i int)
	// Cut keeps daemon i from reaching the store until mend is called. Its calls fail, or hang until then.
	Cut(t testing.TB, i int) (mend func())
	// Fatal returns what daemon i's Options.Fatal was called with; nil: it was not.
	Fatal(i int) error
}

type sharedScenario struct {
	name  string
	run   func(r *sharedRig)
	lease time.Duration
}

// How long leases are, in cases that wait for the end of one, and in those in which none ends.
const (
	lapses = 3 * time.Second
	goesOn = time.Minute
)

// RunShared runs the cases of store.Shared.
func RunShared(t *testing.T, h SharedHarness) {
	for _, c := range sharedCases() {
		t.Run(c.name, func(t *testing.T) {
			if !h.Bubble {
				t.Parallel() // they wait most of the time
				c.play(t, h)
				return
			}
			synctest.Test(t, func(t *testing.T) { c.play(t, h) })
		})
	}
}

func sharedCases() []sharedScenario {
	return slices.Concat(slotCases(), fenceCases(), elsewhereCases())
}

func (c sharedScenario) play(t testing.TB, h SharedHarness) {
	r := &sharedRig{TB: t, h: h, ctx: context.Background()}
	r.cluster, r.lease = h.New(t, c.lease)
	c.run(r)
	r.balanced()
	for _, d := range r.daemons {
		d.end()
	}
}

// sharedRig is what a case of several daemons works with. Time is real, or that of the bubble.
type sharedRig struct {
	testing.TB
	h       SharedHarness
	cluster Cluster
	lease   time.Duration
	ctx     context.Context
	daemons []*daemon
	serial  sync.Map // uint32 -> bool
	n       int
}

// daemon is one of them, and what it was told.
type daemon struct {
	store.Shared
	r    *sharedRig
	i    int
	over bool

	mu    sync.Mutex
	heads []store.Head
	news  []store.Destination
}

func (d *daemon) Pending(heads []store.Head) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heads = append(d.heads, heads...)
}

func (d *daemon) Changed(news []store.Destination) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.news = append(d.news, news...)
}

// told returns the head of q that d was told of, from on or before p.
func (d *daemon) told(q store.QueueID, p store.Position) (store.Head, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.heads) - 1; i >= 0; i-- {
		if h := d.heads[i]; h.Queue == q && comparePositions(h.From, p) <= 0 {
			return h, true
		}
	}
	return store.Head{}, false
}

// heard returns the newest that d was told of a destination.
func (d *daemon) heard(id uint32) (newest store.Destination) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.news {
		if n.ID == id && n.Version >= newest.Version {
			newest = n
		}
	}
	return newest
}

// join starts one more daemon.
func (r *sharedRig) join() *daemon {
	r.Helper()
	d := &daemon{r: r, i: len(r.daemons)}
	d.Shared = r.cluster.Open(r, d.i, func(dest uint32) bool { v, _ := r.serial.Load(dest); return v == true })
	d.Follow(d)
	r.daemons = append(r.daemons, d)
	return d
}

// kill ends d without goodbye.
func (d *daemon) kill() {
	d.over = true
	d.r.cluster.Kill(d.r, d.i)
}

func (d *daemon) end() {
	d.r.Helper()
	if !d.over {
		d.over = true
		d.r.must("close", d.Close())
	}
}

func (r *sharedRig) must(what string, err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// within waits until done, no longer than most.
func (r *sharedRig) within(most time.Duration, what string, done func() bool) {
	r.Helper()
	for end := time.Now().Add(most); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("not within %v: %s", most, what)
		}
	}
}

// lapse is by when somebody else must own what a daemon owned that renews its lease no more.
func (r *sharedRig) lapse() time.Duration { return 2*r.lease + r.soon() }

// soon is by when a daemon must know what another has stored. A real store shares the machine with
// whatever else runs there; goesOn is longer than that, so that the end of a lease does not help.
func (r *sharedRig) soon() time.Duration {
	if r.h.Bubble {
		return 2 * time.Second
	}
	return goesOn / 3
}

func (d *daemon) dest(name string) uint32 {
	d.r.Helper()
	ids, err := d.Register(d.r.ctx, []store.DestinationKey{{Developer: "acme", Name: name, Kind: "webhook"}})
	d.r.must("register", err)
	return ids[0]
}

// entry makes an entry that differs from all others.
func (r *sharedRig) entry(to ...uint32) *store.Entry {
	r.n++
	return &store.Entry{To: to, Event: &event.Event{
		Developer: "acme", Reference: fmt.Sprintf("ref-%d", r.n),
		Envelope: event.Envelope{Type: "activity", UserID: "user-1"}, Body: fmt.Appendf(nil, `{"type":"activity","n":%d}`, r.n),
	}}
}

// post has d accept an event, and returns the deliveries that it is to make of it.
func (d *daemon) post(to ...uint32) (event.ID, []store.Item) {
	d.r.Helper()
	e := []*store.Entry{d.r.entry(to...)}
	var out []store.Appended
	d.r.must("append", d.r.patiently(func() (err error) { out, err = d.Append(d.r.ctx, time.Now(), e); return err }))
	d.r.must("append", out[0].Err)
	return out[0].ID, out[0].Items
}

// deliver settles an item as delivered.
func (d *daemon) deliver(it store.Item) (s []store.Settled, err error) {
	o := []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1,
		Attempt: &store.Attempt{At: time.Now().UnixNano(), Class: "delivered", Code: 200, Counted: true}}}
	err = d.r.patiently(func() error { s, err = d.Settle(d.r.ctx, time.Now(), o); return err })
	return s, err
}

func (r *sharedRig) patiently(do func() error) error { return patiently(r.soon(), do) }

// shows tells whether d would make the delivery.
func (d *daemon) shows(id store.DeliveryID) bool {
	d.r.Helper()
	_, ok := d.find(id)
	return ok
}

func (d *daemon) find(id store.DeliveryID) (store.Item, bool) {
	d.r.Helper()
	heads, err := d.Queues(d.r.ctx)
	if errors.Is(err, store.ErrFenced) {
		return store.Item{}, false
	}
	d.r.must("queues", err)
	for _, h := range heads {
		items, _, err := d.Due(d.r.ctx, h.Queue, h.From, math.MaxInt64, 1<<20)
		if errors.Is(err, store.ErrFenced) {
			return store.Item{}, false
		}
		d.r.must("due", err)
		for _, it := range items {
			if it.ID == id {
				return it, true
			}
		}
	}
	return store.Item{}, false
}

// state is what d reads of a delivery.
func (d *daemon) state(id store.DeliveryID) store.State {
	d.r.Helper()
	rec, _, err := d.Delivery(d.r.ctx, id)
	d.r.must("delivery", err)
	return rec.State
}

// slots are those of d, as asked of by.
func (d *daemon) slots(by *daemon) []int {
	d.r.Helper()
	return d.listed(by).Slots
}

// listed is d among the daemons, as asked of by. Each is known by its name.
func (d *daemon) listed(by *daemon) store.Daemon {
	d.r.Helper()
	ds, err := by.Daemons(d.r.ctx)
	d.r.must("daemons", err)
	for _, one := range ds {
		if one.Name == d.name() {
			return one
		}
	}
	return store.Daemon{}
}

func (d *daemon) name() string { return fmt.Sprint("host-", d.i) }

// announce has d say its name, by which cases know it.
func (d *daemon) announce() *daemon {
	d.r.Helper()
	d.r.must("announce", d.Announce(d.r.ctx, store.Daemon{Name: d.name(), API: "http://" + d.name(), Version: "1", Key: "k", Files: "f"}))
	return d
}

// balanced holds the counters to what they count, at any daemon that is left.
func (r *sharedRig) balanced() {
	r.Helper()
	var one *daemon
	for _, d := range r.daemons {
		if !d.over && r.cluster.Fatal(d.i) == nil {
			one = d
		}
	}
	if one == nil {
		one = r.join()
	}
	audit, err := one.Audit(r.ctx, true, func(int64) {})
	r.must("audit", err)
	for _, row := range audit {
		c := row.Counts
		if row.Recounted == nil || c != *row.Recounted || c.Accepted != c.Delivered+c.Pending+c.Dead+c.Cancelled {
			r.Errorf("audit of destination %d does not balance: %+v, recounted %+v", row.Dest, c, row.Recounted)
		}
	}
}
