package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// TestStopDoesNotWaitForTheDeaf: a Send that ignores its context is left
// behind; its delivery is tried again, its instance closed when it ends.
func TestStopDoesNotWaitForTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		release := make(chan error)
		f.answer = func(context.Context, destination.Delivery) error { return <-release }
		r.start()
		it := r.accept(id)
		settleDown()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := r.since()
		r.s.Stop(ctx)
		r.s.Stop(ctx)
		if took := r.since() - began; took > time.Second+2*overtime {
			t.Errorf("stopping took %v", took)
		}
		if f.closes() != 0 {
			t.Error("closed while a Send runs")
		}
		release <- nil
		settleDown()
		if f.closes() != 1 {
			t.Errorf("closed %d times after its Send ended", f.closes())
		}
		r.wantState(it[0], store.Pending)
		r.store.Close()
	})
}

// TestUnusedSchedulerStops: what was applied is closed though nothing was started.
func TestUnusedSchedulerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, f := r.add("acme", "a")
		r.build()
		r.apply()
		r.close()
		if f.closes() != 1 {
			t.Errorf("closed %d times", f.closes())
		}
	})
}

// TestMoveThatFailsHalfWay: some of it may be pending again, which memory must find.
func TestMoveThatFailsHalfWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		half := false
		r.wrap = func(s Store) Store { return &halfMove{Store: s, on: &half} }
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		half = true
		if _, err := r.s.Move(t.Context(), r.now(), store.Retry, []store.DeliveryID{it[0].ID}); err == nil {
			t.Fatal("no error")
		}
		settleDown()
		r.wantState(it[0], store.Delivered)
		if n := len(f.seen()); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
	})
}

// halfMove does what it is asked and says that it failed.
type halfMove struct {
	Store
	on *bool
}

func (h *halfMove) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	ms, err := h.Store.Move(ctx, now, c, ids)
	if *h.on {
		return nil, context.DeadlineExceeded
	}
	return ms, err
}
