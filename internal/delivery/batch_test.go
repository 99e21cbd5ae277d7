package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// bulk is a far that takes several deliveries in one call.
type bulk struct {
	*far
	sizes []int
	most  int
	each  func(i int, d destination.Delivery) error
	short bool // gives a result less than it should
}

// batches lists how many deliveries each batch had.
func (b *bulk) batches() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sizes)
}

func (b *bulk) MaxBatch() int { return b.most }

func (b *bulk) SendBatch(ctx context.Context, ds []destination.Delivery) []destination.Result {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(ds))
	b.mu.Unlock()
	rs := make([]destination.Result, len(ds))
	for i, d := range ds {
		if b.each != nil {
			rs[i].Err = b.each(i, d)
		}
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	if b.short {
		rs = rs[:len(rs)-1]
	}
	return rs
}

func (r *rig) bulk(most int) (uint32, *bulk) {
	b := &bulk{most: most}
	id, f := r.add("acme", "bulk", func(s *Settings) { s.Destination = b })
	b.far = f
	f.answer = takes(time.Second)
	return id, b
}

func TestBatchTakesWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, b := r.bulk(10)
		r.start()
		defer r.close()
		var items []store.Item
		for range 35 {
			items = append(items, r.accept(id)...)
		}
		pass(time.Minute)
		sum := len(b.seen())
		for _, n := range b.batches() {
			if sum += n; n > 10 {
				t.Errorf("a batch of %d", n)
			}
		}
		if sum != 35 || len(b.batches()) > 6 {
			t.Errorf("single %d, batches %v", len(b.seen()), b.batches())
		}
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
	})
}

func TestEachOfABatchSettlesOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, b := r.bulk(64)
		b.each = func(i int, _ destination.Delivery) error {
			switch i % 4 {
			case 1:
				return errors.New("busy")
			case 2:
				return destination.Reject(errors.New("bad row"))
			}
			return nil
		}
		b.short = true
		r.start()
		defer r.close()
		var items []store.Item
		for range 41 {
			items = append(items, r.accept(id)...)
		}
		pass(3 * time.Second)
		count := map[string]int{}
		for _, it := range items[1:] {
			d, as := r.record(it)
			if len(as) > 0 {
				count[fmt.Sprint(d.State, " ", as[0].Class)]++
			}
		}
		if count["pending transient"] != 11 || count["dead rejected"] != 10 || count["delivered delivered"] != 19 {
			t.Errorf("%v; batches %v", count, b.batches())
		}
	})
}

// TestSuspectIsInNoBatch: whoever else is in its batch would be suspected with it.
func TestSuspectIsInNoBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mem = make([]byte, 4<<10)
		id, _ := r.bulk(64)
		r.targets[id].Disabled = true
		r.start()
		items := r.acceptMany(20, id)
		r.stop()
		for range suspects.ApartAfter {
			f := suspects.New(r.mem, r.now())

			f.Begin(items[10].ID, false)
		}
		b := &bulk{most: 64, far: &far{name: "bulk", rig: r, answer: takes(time.Second)}}
		var mu sync.Mutex
		beside := 0
		b.far.set(func(ctx context.Context, d destination.Delivery) error {
			if d.ID == items[10].ID.String() {
				mu.Lock()
				beside = r.s.callsInFlight()
				mu.Unlock()
			}
			return takes(time.Second)(ctx, d)
		})
		b.each = func(_ int, d destination.Delivery) error {
			if d.ID == items[10].ID.String() {
				t.Error("the suspect is in a batch")
			}
			return nil
		}
		r.targets[id].Current.Destination = b
		r.targets[id].Disabled = false
		r.start()
		defer r.close()
		pass(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if beside != 1 {
			t.Errorf("%d attempts in flight while the suspect was tried, want it alone", beside)
		}
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
	})
}
