package delivery

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// suspected makes n hanging destinations with one delivery each that was in
// flight at three crashes running, and leaves them disabled on a stopped rig.
func suspected(r *rig, n int) (ids []uint32, items []store.Item, fars []*far) {
	r.t.Helper()
	r.mem = make([]byte, 256*slotSize)
	for i := range n {
		id, f := r.add("acme", fmt.Sprint("hangs", i))
		f.answer = hang
		r.targets[id].Disabled = true
		ids, fars = append(ids, id), append(fars, f)
	}
	r.start()
	for _, id := range ids {
		items = append(items, r.accept(id)...)
	}
	r.stop()
	for range aloneAfter {
		f := NewFlight(r.mem)
		f.begin()
		for _, it := range items {
			f.start(it.ID, 0, false)
		}
	}
	for i, id := range ids {
		fars[i] = &far{name: fars[i].name, rig: r, answer: hang}
		r.targets[id].Current.Destination = fars[i]
		r.targets[id].Disabled = false
	}
	return ids, items, fars
}

// TestSuspectsDoNotStallOthers: a hundred hanging deliveries in flight at three
// crashes keep a healthy destination waiting for a second at the start, and
// never again.
func TestSuspectsDoNotStallOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, items, fars := suspected(r, 100)
		well, f := r.add("other", "well")
		r.start()
		defer r.close()
		began := r.since()
		var due []time.Duration
		for range 600 {
			due = append(due, r.since())
			r.accept(well)
			time.Sleep(100 * time.Millisecond)
		}
		hits := f.seen()
		if len(hits) != len(due) {
			t.Fatalf("%d of %d deliveries", len(hits), len(due))
		}
		for i, h := range hits {
			late := h.at - due[i]
			if first := due[i] - began; first >= trialTime && late > 0 || late > trialTime {
				t.Errorf("what was due %v after the start was tried %v late", first, late)
			}
		}
		for i, f := range fars {
			if h := f.seen(); len(h) == 0 || h[0].at-began != 0 {
				t.Errorf("suspect %d is tried at %v", i, at(h))
			}
		}
		for _, it := range items {
			if d, _ := r.record(it); d.Attempts == 0 {
				t.Errorf("%+v", d)
			}
		}
	})
}

// TestLateSuspectsShareTheTime: suspects that become due one after the other,
// beside attempts that hang, stall nobody for more than two seconds at a time,
// and for no more than a tenth of all.
func TestLateSuspectsShareTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ids, items, fars := suspected(r, 30)
		for _, id := range ids {
			r.targets[id].State.Paused = true
		}
		well, f := r.add("other", "well")
		hangs, h := r.add("third", "hangs")
		h.answer = hang
		r.start()
		defer r.close()
		const every = 50 * time.Millisecond
		var due []time.Duration
		for i := range 4 * 60 * 20 {
			if i%20 == 0 {
				if n := i / 20; n < len(ids) {
					if err := r.s.Resume(context.Background(), ids[n]); err != nil {
						t.Fatal(err)
					}
				}
				r.accept(hangs)
			}
			due = append(due, r.since())
			r.accept(well)
			time.Sleep(every)
		}
		time.Sleep(3 * time.Second)
		late := time.Duration(0)
		for i, h := range f.seen() {
			if l := h.at - due[i]; l > 0 {
				if late += every; l > 2*trialTime {
					t.Errorf("tried %v late", l)
				}
			}
		}
		if all := time.Duration(len(due)) * every; late == 0 || late > all/trialShare+2*trialTime {
			t.Errorf("stalled for %v of %v", late, all)
		}
		for i := range fars {
			if d, _ := r.record(items[i]); d.Attempts == 0 {
				t.Errorf("suspect %d was never tried: %+v", i, d)
			}
		}
	})
}

// TestPoisonAmongHanging: of sixteen suspects, fifteen of which hang, the one that
// kills the process is the only one ever charged, after as many crashes as
// halving takes, whether it kills at once or later than a trial lasts.
func TestPoisonAmongHanging(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * time.Second} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { poisonAmongHanging(t, after) })
		})
	}
}

func poisonAmongHanging(t *testing.T, after time.Duration) {
	r := newRig(t)
	const n, poison = 16, 11
	ids, items, _ := suspected(r, n)
	crashed := make(chan struct{}, 1)
	var killed atomic.Bool
	install := func() {
		killed.Store(false)
		for i, id := range ids {
			f := &far{name: fmt.Sprint("hangs", i), rig: r, answer: hang}
			if i == poison {
				f.answer = func(ctx context.Context, d destination.Delivery) error {
					if takes(after)(ctx, d) == nil && killed.CompareAndSwap(false, true) {
						crashed <- struct{}{}
					}
					return hang(ctx, d)
				}
			}
			r.targets[id].Current.Destination = f
		}
	}
	charged := func(it store.Item) (n int) {
		_, as := r.record(it)
		for _, a := range as {
			if a.Answer == diedOfIt {
				n++
			}
		}
		return n
	}
	install()
	r.start()
	crashes := 0
	for charged(items[poison]) == 0 {
		if crashes++; crashes > chargeAfter {
			t.Fatalf("not charged after %d crashes", crashes)
		}
		select {
		case <-crashed:
		case <-time.After(time.Hour):
			t.Fatal("it is not tried any more")
		}
		settleDown()
		r.crash()
		install()
		r.open()
		r.start()
		settleDown()
	}
	for i, it := range items {
		if i != poison && charged(it) > 0 {
			t.Errorf("delivery %d is charged", i)
		}
	}
	t.Logf("charged after %d more crashes", crashes)
	r.close()
}
