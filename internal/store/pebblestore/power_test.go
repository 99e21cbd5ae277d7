package pebblestore

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// world is a store under load, and what callers were told.
type world struct {
	mu      sync.Mutex
	acked   map[store.DeliveryID]store.Item // appended, by delivery
	settled map[store.DeliveryID]time.Time  // delivered, and when Settle returned
}

// TestPowerFailure cuts the power under concurrent load: what was acknowledged
// is there whole, outcomes older than 100 ms are there, and every sum agrees,
// whatever part of the unsynced bytes has reached the disk.
func TestPowerFailure(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { powerFailure(t, seed) })
		})
	}
}

func powerFailure(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, "db", Options{FS: disk})
	w := &world{acked: map[store.DeliveryID]store.Item{}, settled: map[store.DeliveryID]time.Time{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range uint64(8) {
		wg.Go(func() { w.work(t, s, rand.New(rand.NewPCG(seed, i)), stop) })
	}
	time.Sleep(time.Duration(200+r.IntN(2000)) * time.Millisecond)
	// Write down what was promised before the power is cut.
	w.mu.Lock()
	acked, settled, cut := map[store.DeliveryID]store.Item{}, map[store.DeliveryID]time.Time{}, time.Now()
	for id, it := range w.acked {
		acked[id] = it
	}
	for id, at := range w.settled {
		settled[id] = at
	}
	w.mu.Unlock()
	left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: r})
	close(stop)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = mustOpen(t, "db", Options{FS: left})
	late := 0
	for id, it := range acked {
		d, as, err := s.Delivery(ctx, id)
		if err != nil {
			t.Fatalf("acknowledged %v: %v", id, err)
		}
		if e, err := s.Event(ctx, id.Day, id.Event); err != nil || len(e.Body) != int(it.Size) {
			t.Fatalf("acknowledged event %v: %v", id.Event, err)
		}
		at, was := settled[id]
		switch {
		case !was:
		case d.State == store.Delivered:
			if len(as) == 0 {
				t.Fatalf("%v is delivered without an attempt", id)
			}
		case cut.Sub(at) > 100*time.Millisecond:
			t.Fatalf("%v was settled %v before the power failed and is %v", id, cut.Sub(at), d.State)
		default:
			late++
		}
	}
	if len(acked) == 0 || len(settled) == 0 {
		t.Fatalf("nothing happened: %d acknowledged, %d settled", len(acked), len(settled))
	}
	counts := mustBalance(t, s)
	pending := int64(0)
	for dest, c := range counts {
		pending += c.Pending
		items, next, err := s.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 1<<20)
		if err != nil || next != 0 || int64(len(items)) != c.Pending {
			t.Fatalf("destination %d: %d in its queue, %d pending (%v)", dest, len(items), c.Pending, err)
		}
	}
	t.Logf("%d deliveries acknowledged, %d settled, %d of the last 100 ms tried again, %d pending", len(acked), len(settled), late, pending)
}

func (w *world) work(t *testing.T, s *Store, r *rand.Rand, stop chan struct{}) {
	var mine []store.Item
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1+r.IntN(20)) * time.Millisecond):
		}
		if r.IntN(3) > 0 || len(mine) == 0 {
			out, err := s.Append(ctx, time.Now(), []*store.Entry{
				entry("acme", "u", string(noise(r, 1+r.IntN(3000))), 1, 2, 3), entry("acme", "u", `{}`, 2)})
			if err != nil {
				t.Error(err)
				return
			}
			w.mu.Lock()
			for _, a := range out {
				for _, it := range a.Items {
					w.acked[it.ID] = it
					mine = append(mine, it)
				}
			}
			w.mu.Unlock()
			continue
		}
		it := mine[0]
		mine = mine[1:]
		if r.IntN(4) == 0 {
			st, err := s.Settle(ctx, time.Now(), []store.Outcome{retryAt(it, time.Now().UnixNano(), 0)})
			if err != nil {
				t.Error(err)
				return
			}
			it = st[0].Item
		}
		if _, err := s.Settle(ctx, time.Now(), []store.Outcome{delivered(it)}); err != nil {
			t.Error(err)
			return
		}
		w.mu.Lock()
		w.settled[it.ID] = time.Now()
		w.mu.Unlock()
	}
}

// TestSettleIsDurableIn100ms: without any Append the outcomes are synced all the
// same, and an idle store then syncs nothing more.
func TestSettleIsDurableIn100ms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := vfs.NewCrashableMem()
		s := mustOpen(t, "db", Options{FS: disk})
		it := mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1))[0].Items[0]
		mustSettle(t, s, time.Now(), delivered(it))
		state := func() store.State {
			fs := disk.CrashClone(vfs.CrashCloneCfg{})
			c := mustOpen(t, "db", Options{FS: fs})
			defer c.Close()
			d, _, err := c.Delivery(ctx, it.ID)
			if err != nil {
				t.Fatal(err)
			}
			return d.State
		}
		if st := state(); st != store.Pending {
			t.Fatalf("durable at once: %v: then the test proves nothing", st)
		}
		time.Sleep(100 * time.Millisecond)
		if st := state(); st != store.Delivered {
			t.Fatalf("100 ms later: %v", st)
		}
		before := s.db.Metrics().WAL.BytesWritten
		time.Sleep(time.Hour)
		if after := s.db.Metrics().WAL.BytesWritten; after != before {
			t.Fatalf("an idle store wrote %d bytes to its log", after-before)
		}
	})
}
