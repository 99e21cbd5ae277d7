package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// start is the morning on which every case begins.
var start = time.Date(2026, 7, 1, 9, 12, 33, 0, time.UTC)

// rig is what a case works with: the store under test and the time it is told.
type rig struct {
	testing.TB
	h   Harness
	s   store.Store
	ctx context.Context
	now time.Time
	n   int // numbers whatever must be unique
	bad *atomic.Int32
}

// Errorf says the first few things that are wrong; after them only that something is.
func (r *rig) Errorf(format string, args ...any) {
	r.Helper()
	if r.bad.Add(1) > 8 {
		r.Fail()
		return
	}
	r.TB.Errorf(format, args...)
}

func (r *rig) advance(d time.Duration) { r.now = r.now.Add(d) }

// settled waits until outcomes that Settle has taken must be durable.
func (r *rig) settled() {
	r.Helper()
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

// still waits until nothing moves that is not waiting for a commit: in a bubble until
// that is so, in real time for far longer than it takes.
func (r *rig) still() {
	if r.h.Bubble {
		synctest.Wait()
		return
	}
	time.Sleep(200 * time.Millisecond)
}

func (r *rig) reopen() {
	r.Helper()
	r.s = r.h.Reopen(r, r.s)
}

func (r *rig) crash() {
	r.Helper()
	r.s = r.h.Crash(r, r.s)
}

// patiently repeats what the store refuses for a while because it is slow, as callers do: most is how
// long. A store under a busy machine refuses that now and then.
func patiently(most time.Duration, do func() error) error {
	for end := time.Now().Add(most); ; time.Sleep(20 * time.Millisecond) {
		err := do()
		if _, slow := errors.AsType[*store.Unavailable](err); !slow || !time.Now().Before(end) {
			return err
		}
	}
}

// patiently has no patience in a bubble, where nothing is slow.
func (r *rig) patiently(do func() error) error {
	if r.h.Bubble {
		return do()
	}
	return patiently(20*time.Second, do)
}

// must fails the case when err is not nil.
func (r *rig) must(what string, err error) {
	r.Helper()
	if err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

// wants fails the case unless err is want.
func (r *rig) wants(what string, err, want error) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// dests registers n new destinations.
func (r *rig) dests(n int) []uint32 {
	r.Helper()
	keys := make([]store.DestinationKey, n)
	for i := range keys {
		r.n++
		keys[i] = store.DestinationKey{Developer: "acme", Name: fmt.Sprintf("dest-%d", r.n), Kind: "webhook"}
	}
	ids, err := r.s.Register(r.ctx, keys)
	r.must("register", err)
	if len(ids) != n {
		r.Fatalf("register gave %d ids for %d keys", len(ids), n)
	}
	return ids
}

func (r *rig) dest() uint32 {
	r.Helper()
	return r.dests(1)[0]
}

// entry makes an entry of developer acme that differs from all others.
func (r *rig) entry(to ...uint32) *store.Entry {
	r.n++
	return &store.Entry{To: to, Event: &event.Event{
		Developer: "acme",
		Reference: fmt.Sprintf("ref-%d", r.n),
		Envelope:  event.Envelope{Type: "activity", Version: "2022-03-16", Versioned: true, UserID: "user-1"},
		Body:      fmt.Appendf(nil, `{"type":"activity","n":%d}`, r.n),
	}}
}

// append makes entries durable; each must have been stored.
func (r *rig) append(batch ...*store.Entry) []store.Appended {
	r.Helper()
	out := r.try(batch...)
	for i, a := range out {
		if a.Err != nil || a.Duplicate {
			r.Fatalf("append %d of %d: error %v, duplicate %v", i, len(out), a.Err, a.Duplicate)
		}
	}
	return out
}

// try appends and leaves it to the case what the outcomes should be.
func (r *rig) try(batch ...*store.Entry) []store.Appended {
	r.Helper()
	var out []store.Appended
	r.must("append", r.patiently(func() (err error) { out, err = r.s.Append(r.ctx, r.now, batch); return err }))
	if len(out) != len(batch) {
		r.Fatalf("append gave %d outcomes for %d entries", len(out), len(batch))
	}
	return out
}

// post appends one event and returns its deliveries in the order of to.
func (r *rig) post(to ...uint32) []store.Item {
	r.Helper()
	items := r.append(r.entry(to...))[0].Items
	if len(items) != len(to) {
		r.Fatalf("append made %d deliveries for %d destinations", len(items), len(to))
	}
	return items
}

// posts appends n events to one destination, one millisecond apart.
func (r *rig) posts(n int, dest uint32) []store.Item {
	r.Helper()
	items := make([]store.Item, n)
	for i := range items {
		items[i] = r.post(dest)[0]
		r.advance(time.Millisecond)
	}
	return items
}

func (r *rig) settle(outcomes ...store.Outcome) []store.Settled {
	r.Helper()
	var out []store.Settled
	r.must("settle", r.patiently(func() (err error) { out, err = r.s.Settle(r.ctx, r.now, outcomes); return err }))
	if len(out) != len(outcomes) {
		r.Fatalf("settle gave %d results for %d outcomes", len(out), len(outcomes))
	}
	return out
}

func (r *rig) move(c store.Change, ids ...store.DeliveryID) []store.Moved {
	r.Helper()
	var out []store.Moved
	r.must("move", r.patiently(func() (err error) { out, err = r.s.Move(r.ctx, r.now, c, ids); return err }))
	if len(out) != len(ids) {
		r.Fatalf("move gave %d results for %d ids", len(out), len(ids))
	}
	return out
}

// queue reads the whole of a queue.
func (r *rig) queue(q store.QueueID) []store.Item {
	r.Helper()
	items, next, err := r.s.Due(r.ctx, q, store.Position{}, math.MaxInt64, 1<<20)
	r.must("due", err)
	if next != 0 {
		r.Errorf("queue %v: next is %d after everything was read", q, next)
	}
	return items
}

func (r *rig) delivery(id store.DeliveryID) (store.DeliveryRecord, []store.Attempt) {
	r.Helper()
	d, as, err := r.s.Delivery(r.ctx, id)
	r.must("delivery "+id.String(), err)
	return d, as
}

func (r *rig) record(id event.ID) store.EventRecord {
	r.Helper()
	e, err := r.s.EventRecord(r.ctx, id)
	r.must("event record "+id.String(), err)
	return e
}

// stands fails the case unless the delivery is in state.
func (r *rig) stands(id store.DeliveryID, state store.State) {
	r.Helper()
	if d, _ := r.delivery(id); d.State != state {
		r.Errorf("delivery %v is %v, want %v", id, d.State, state)
	}
}

// counts fails the case unless the counters of dest are want, PendingBytes aside.
func (r *rig) counts(dest uint32, want store.Counts) {
	r.Helper()
	got := r.s.Counts(dest)
	got.PendingBytes = want.PendingBytes
	if got != want {
		r.Errorf("counts of destination %d: %+v, want %+v", dest, got, want)
	}
}

// queues fails the case unless exactly these have something pending.
func (r *rig) queues(want ...store.QueueID) {
	r.Helper()
	got, err := r.s.Queues(r.ctx)
	r.must("queues", err)
	for _, h := range got {
		if items := r.queue(h.Queue); len(items) == 0 || h.From != items[0].Position() {
			r.Errorf("queue %v is said to begin at %v, and holds %v", h.Queue, h.From, items)
		}
	}
	sortQueues(want)
	if got := sortedQueues(got); !slices.Equal(got, want) {
		r.Errorf("queues: %v, want %v", got, want)
	}
}

func sortedQueues(heads []store.Head) []store.QueueID {
	qs := make([]store.QueueID, len(heads))
	for i, h := range heads {
		qs[i] = h.Queue
	}
	sortQueues(qs)
	return qs
}

// setState stores a state whatever it was.
func (r *rig) setState(id uint32, want store.DestinationState) error {
	_, _, err := r.s.ChangeState(r.ctx, id, func(s *store.DestinationState) { *s = want })
	return err
}

func sortQueues(qs []store.QueueID) {
	slices.SortFunc(qs, func(a, b store.QueueID) int {
		if a.Dest != b.Dest {
			return int(int64(a.Dest) - int64(b.Dest))
		}
		switch {
		case a.Settings < b.Settings:
			return -1
		case a.Settings > b.Settings:
			return 1
		}
		return 0
	})
}
