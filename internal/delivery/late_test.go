package delivery

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// TestOfferOfWhatARead found and delivered already must not send it again.
func TestLateOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		r.accept(id)
		settleDown()
		s := r.s
		r.s = New(Options{Store: r.store}) // takes the offer that is late
		late := r.acceptEvent(id)
		r.s = s
		// A read finds it: something spilled before it.
		s.mu.Lock()
		s.queue(late.items[0].Queue).spill(store.Position{})
		s.mu.Unlock()
		r.accept(id)
		settleDown()
		r.wantState(late.items[0], store.Delivered)
		s.Offer(late.event, late.items)
		settleDown()
		if n := len(f.seen()); n != 3 {
			t.Errorf("%d attempts of 3 deliveries", n)
		}
	})
}

// An Offer that comes after its delivery was cancelled sends nothing, not even as
// the first that the scheduler ever hears of its destination.
func TestLateOfferBehindACancel(t *testing.T) {
	for name, before := range map[string]int{"first of its destination": 0, "after another": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, f := r.add("acme", "a")
				r.start()
				defer r.close()
				r.acceptMany(before, id)
				settleDown()
				s := r.s
				r.s = New(Options{Store: r.store}) // takes the offer that is late
				late := r.acceptEvent(id)
				r.s = s
				if m := r.move(store.Cancel, late.items[0]); m.Err != nil {
					t.Fatal(m.Err)
				}
				s.Offer(late.event, late.items)
				settleDown()
				if n := len(f.seen()); n != before {
					t.Errorf("%d attempts, want %d", n, before)
				}
				r.wantState(late.items[0], store.Cancelled)
			})
		})
	}
}

// slowly is a store whose answers to Settle and Due come when a test says so.
type slowly struct {
	Store
	settle, due chan struct{} // nil: at once
}

func (s *slowly) Settle(ctx context.Context, now time.Time, o []store.Outcome) ([]store.Settled, error) {
	out, err := s.Store.Settle(ctx, now, o)
	if s.settle != nil {
		<-s.settle
	}
	return out, err
}

func (s *slowly) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	items, next, err := s.Store.Due(ctx, q, from, until, limit)
	if s.due != nil {
		<-s.due
	}
	return items, next, err
}

// What a settle returns may be older than a change that memory knows already.
func TestLateSettleBehindAChange(t *testing.T) {
	for name, frozen := range map[string]bool{"in the same queue": false, "in one that memory does not know": true} {
		for change, want := range map[store.Change]int{store.Cancel: 0, store.Retry: 1} {
			t.Run(fmt.Sprintf("%s, change %d", name, change), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t)
					id, f := r.add("acme", "a", func(s *Settings) {
						s.Frozen, s.Schedule = frozen, retry.Schedule{Waits: []time.Duration{time.Millisecond, time.Millisecond}}
					})
					f.answer = fails
					slow := &slowly{settle: make(chan struct{})}
					r.wrap = func(s Store) Store { slow.Store = s; return slow }
					r.start()
					defer r.close()
					it := r.accept(id)[0]
					pass(10 * time.Millisecond) // the next attempt is due
					f.set(nil)
					if m := r.move(change, it); m.Err != nil {
						t.Fatal(m.Err)
					}
					close(slow.settle)
					pass(time.Second)
					hits := f.seen()
					if len(hits) != 1+want || hits[want].attempt != 1 {
						t.Errorf("%+v, want %d attempts after the change, as the first of what it made", hits, want)
					}
				})
			})
		}
	}
}

// A change that is heard of late must not hide what a later one brought back, and
// a read that is running has found.
func TestLateCancelBehindARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		slow := &slowly{}
		r.wrap = func(s Store) Store { slow.Store = s; return slow }
		r.start()
		defer r.close()
		it := r.accept(id)[0]
		settleDown()
		move := func(c store.Change) []store.Moved {
			ms, err := r.store.Move(t.Context(), r.now(), c, []store.DeliveryID{it.ID})
			if err != nil || ms[0].Err != nil {
				t.Fatal(err, ms)
			}
			return ms
		}
		move(store.Retry)
		cancelled, retried := move(store.Cancel), move(store.Retry)
		slow.due = make(chan struct{})
		r.s.Moved(retried)
		settleDown() // it is being read
		r.s.Moved(cancelled)
		close(slow.due)
		settleDown()
		if n := len(f.seen()); n != 2 {
			t.Errorf("%d attempts, want one more", n)
		}
	})
}
