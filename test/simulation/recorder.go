package simulation

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/pebblestore"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// recorder stands between the engine and its store. It tells the model what is asked and answered, in the
// order in which the store does it. It lets calls take time, fail, or come too late. After an error the store
// may have done what it was asked all the same.
type recorder struct {
	*pebblestore.Store
	process *process
	model   *Model

	ops  sync.Mutex // changes of rows, one after the other; nobody sleeps under it
	mu   sync.Mutex
	roll dice
}

var (
	_ delivery.Store = (*recorder)(nil)
	_ ingest.Store   = (*recorder)(nil)
)

var errStore = errors.New("the store hiccups")

func (r *recorder) throw() dice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return dice(r.roll.next())
}

// lag lets time pass in half of the calls.
func (r *recorder) lag(d *dice) {
	if most := r.model.sc.Lag; most > 0 && d.chance(0.5) {
		t := time.NewTimer(d.upTo(most))
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.process.died:
		}
	}
}

func (r *recorder) fails(d *dice) bool { return d.chance(r.model.sc.Faults / 2) }

func (r *recorder) dead() bool { return r.process.dead.Load() }

func (r *recorder) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	roll := r.throw()
	r.lag(&roll)
	if r.dead() {
		return nil, store.ErrClosed
	}
	before := r.model.appends(batch)
	now = r.model.wallTime(now) // ingest reads the clock itself
	out, err := r.Store.Append(ctx, now, batch)
	if !r.dead() {
		r.model.appended(batch, out, err, before, now.UnixNano())
	}
	r.lag(&roll)
	if err == nil && !r.dead() {
		r.model.offered(out)
	}
	return out, err
}

func (r *recorder) Settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	roll := r.throw()
	r.lag(&roll)
	if r.fails(&roll) {
		return nil, errStore
	}
	out, err := r.settle(ctx, now, outcomes)
	r.lag(&roll)
	if err == nil && r.fails(&roll) {
		return nil, errStore
	}
	return out, err
}

func (r *recorder) settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	r.ops.Lock()
	defer r.ops.Unlock()
	if r.dead() {
		return nil, store.ErrClosed
	}
	r.model.intends(intentsOf(outcomes))
	out, err := r.Store.Settle(ctx, now, outcomes)
	if r.dead() {
		return out, err
	}
	if err == nil {
		r.model.settled(outcomes, out)
	} else {
		r.model.fault(nil, "Settle: %v", err)
	}
	r.model.intends(nil)
	return out, err
}

func (r *recorder) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	roll := r.throw()
	r.model.moving(ids, 1)
	defer r.model.moving(ids, -1)
	r.lag(&roll)
	out, err := r.move(ctx, now, c, ids)
	r.lag(&roll)
	return out, err
}

func (r *recorder) move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	r.ops.Lock()
	defer r.ops.Unlock()
	if r.dead() {
		return nil, store.ErrClosed
	}
	r.model.intends(intentsTo(c, now, ids))
	out, err := r.Store.Move(ctx, now, c, ids)
	if r.dead() {
		return out, err
	}
	if err == nil {
		r.model.moved(c, now.UnixNano(), out)
	} else {
		r.model.fault(nil, "Move: %v", err)
	}
	r.model.intends(nil)
	return out, err
}

// sweep runs retention or an erasure, which change rows in chunks of their own.
func (r *recorder) sweep(what intent, run func(moved func([]store.Moved)) error) {
	r.ops.Lock()
	defer r.ops.Unlock()
	if r.dead() {
		return
	}
	r.model.intends([]intent{what})
	err := run(func(ms []store.Moved) {
		if !r.dead() {
			r.model.moved(what.change, what.now, ms)
			r.process.sched.Moved(ms)
		}
	})
	if r.dead() {
		return
	}
	if err != nil {
		r.model.fault(nil, "%s: %v", what.text, err)
	}
	r.model.intends(nil)
}

func (r *recorder) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	roll := r.throw()
	r.lag(&roll)
	if r.dead() {
		return nil, 0, store.ErrClosed
	}
	if r.fails(&roll) {
		return nil, 0, errStore
	}
	items, next, err := r.Store.Due(ctx, q, from, until, limit)
	r.lag(&roll)
	return items, next, err
}

func (r *recorder) Event(ctx context.Context, day event.Day, id event.ID) (*event.Event, error) {
	roll := r.throw()
	if r.dead() {
		return nil, store.ErrClosed
	}
	if r.fails(&roll) {
		r.model.unread(id)
		return nil, errStore
	}
	return r.Store.Event(ctx, day, id)
}

func (r *recorder) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (s store.DestinationState, version uint64, err error) {
	roll := r.throw()
	r.lag(&roll)
	if r.dead() {
		return s, 0, store.ErrClosed
	}
	if r.fails(&roll) {
		return s, 0, errStore
	}
	s, version, err = r.Store.ChangeState(ctx, id, func(s *store.DestinationState) {
		change(s)
		r.model.stores(id, *s)
	})
	if err == nil && !r.dead() {
		r.model.stored(id)
	}
	r.lag(&roll)
	return s, version, err
}

// SetLast never lags or fails: nothing is decided by what people are told of last answers.
func (r *recorder) SetLast(ctx context.Context, last map[uint32]store.Last) error {
	if r.dead() {
		return store.ErrClosed
	}
	return r.Store.SetLast(ctx, last)
}
