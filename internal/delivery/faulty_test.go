package delivery

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// faulty is a store whose calls fail when a test says so.
type faulty struct {
	Store
	state, settle, due, body func() error
}

func ask(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (f *faulty) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (s store.DestinationState, version uint64, err error) {
	if err := ask(f.state); err != nil {
		return s, 0, err
	}
	return f.Store.ChangeState(ctx, id, change)
}

func (f *faulty) Settle(ctx context.Context, now time.Time, o []store.Outcome) ([]store.Settled, error) {
	if err := ask(f.settle); err != nil {
		return nil, err
	}
	return f.Store.Settle(ctx, now, o)
}

func (f *faulty) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if err := ask(f.due); err != nil {
		return nil, 0, err
	}
	return f.Store.Due(ctx, q, from, until, limit)
}

func (f *faulty) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	if err := ask(f.body); err != nil {
		return nil, err
	}
	return f.Store.Event(ctx, day, id)
}

// during makes a call fail until the time given.
func (r *rig) during(until time.Duration, err error) func() error {
	return func() error {
		if r.since() < until {
			return err
		}
		return nil
	}
}

func TestSettleIsTriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.limits = Limits{InFlight: 4} // outcomes are bounded by 4,096
		r.wrap = func(s Store) Store { return &faulty{Store: s, settle: r.during(time.Hour, errors.New("disk"))} }
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		var items []store.Item
		for range 5000 {
			items = append(items, r.accept(id)...)
		}
		pass(30 * time.Minute)
		if n := len(f.seen()); n < 4096 || n > 4096+4 {
			t.Errorf("%d attempts while nothing can be recorded, want 4096", n)
		}
		pass(time.Hour)
		if n := len(f.seen()); n != 5000 {
			t.Errorf("%d attempts of 5000 deliveries", n)
		}
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
	})
}

func TestLeaseLostEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var lost atomic.Bool
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, settle: func() error {
				if lost.Load() {
					return store.ErrFenced
				}
				return nil
			}}
		}
		var told []error
		r.fatal = func(err error) { told = append(told, err) }
		a, fa := r.add("acme", "a")
		b, fb := r.add("acme", "b")
		fb.answer = hang
		r.start()
		it := r.accept(b)
		settleDown()
		lost.Store(true)
		r.accept(a)
		settleDown()
		if fb.running() != 0 {
			t.Error("an attempt goes on without the lease")
		}
		r.accept(a, b)
		pass(time.Hour)
		if n := len(fa.seen()) + len(fb.seen()); n != 2 {
			t.Errorf("%d attempts, want none after the lease was lost", n)
		}
		if len(told) != 1 || !errors.Is(told[0], store.ErrFenced) {
			t.Errorf("whoever runs the daemon was told %v, want once that the lease is lost", told)
		}
		r.close2()
		r.open()
		r.wantState(it[0], store.Pending)
		r.store.Close()
	})
}

// close2 stops a scheduler that lost its store.
func (r *rig) close2() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.s.Stop(ctx)
	r.store.Close()
}

func TestReadsAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, due: r.during(time.Hour, errors.New("disk")), body: r.during(90*time.Minute, errors.New("disk"))}
		}
		id, f := r.add("acme", "a")
		f.answer = takes(time.Millisecond)
		r.start()
		defer r.close()
		var items []store.Item
		for range 300 {
			items = append(items, r.accept(id)...)
		}
		pass(2 * time.Hour)
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
		if d, _ := r.record(items[299]); d.Attempts != 1 {
			t.Errorf("%+v: a fault of our own was counted", d)
		}
	})
}

func TestBodyGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, body: func() error { return store.ErrNotFound }}
		}
		id, f := r.add("acme", "a")
		r.build()
		r.targets[id].Disabled = true
		r.apply()
		if err := r.s.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		defer r.close()
		it := r.accept(id)
		r.targets[id].Disabled = false
		r.apply()
		settleDown()
		if d, as := r.record(it[0]); d.State != store.Dead || d.Reason != "expired" || len(as) != 0 || len(f.seen()) != 0 {
			t.Errorf("%+v %+v", d, as)
		}
	})
}
