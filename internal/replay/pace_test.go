package replay

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A replay of 1,000 a second at a destination that takes 16 x 200 a second does not delay live
// deliveries.
func TestLiveTrafficIsNotDisturbed(t *testing.T) {
	inBubble(t, func(r *rig) {
		const old, live = 6000, 500
		r.dead(old, "acme/app")
		f := r.fars[r.ids["acme/app"]]
		for range 100 { // until its concurrency has grown
			r.send("acme", "sleep", "u", "acme/app")
			pass(10 * time.Millisecond)
		}
		f.seen()
		q := acme("dead")
		q.Rate = 1000
		id := r.create(q).ID
		accepted := map[event.ID]time.Time{}
		for range live {
			at := time.Now()
			accepted[r.send("acme", "sleep", "u", "acme/app")] = at
			pass(10*time.Millisecond + 137*time.Microsecond)
		}
		if p, _ := r.run.Get(id); p.State != Running || p.Made < 4000 {
			r.Errorf("live traffic has ended and the replay is %+v: they did not run side by side", p)
		}
		r.until(id)
		var waits []time.Duration
		for _, h := range f.seen() {
			if at, ok := accepted[h.event]; ok {
				waits = append(waits, h.at.Sub(at))
			}
		}
		slices.Sort(waits)
		if len(waits) != live {
			r.Fatalf("%d live deliveries were attempted, want %d", len(waits), live)
		}
		p99 := waits[live*99/100]
		r.Logf("live deliveries waited %v, %v at the 99th percentile, %v at most", waits[live/2], p99, waits[live-1])
		if p99 > time.Millisecond {
			r.Errorf("the 99th percentile of the wait of live deliveries is %v", p99)
		}
	}, "acme/app")
}

// The rate holds over any second, and deliveries are spread evenly over it.
func TestRate(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.dead(300, "acme/app")
		q := acme("dead")
		q.Rate = 40
		began := time.Now()
		p := r.replayed(q, Counts{Found: 300, Made: 300})
		if took := p.Ended.Sub(began); took < 7*time.Second || took > 9*time.Second {
			r.Errorf("300 at 40 a second took %v", took)
		}
		hits := r.fars[r.ids["acme/app"]].seen()
		for i := 1; i < len(hits); i++ {
			if gap := hits[i].at.Sub(hits[i-1].at); gap < 24*time.Millisecond {
				r.Errorf("two attempts %v apart, want 25 ms", gap)
			}
		}
		q = acme("delivered")
		q.Rate = 1.0 / 60
		id := r.create(q).ID
		pass(10 * time.Minute)
		if p, _ := r.run.Get(id); p.Made < 10 || p.Made > 11 {
			r.Errorf("one a minute for ten minutes made %d", p.Made)
		}
		if _, err := r.run.Cancel(r.ctx, id); err != nil {
			r.Error(err)
		}
		q.Rate = 1e-300
		id = r.create(q).ID
		pass(10 * time.Minute)
		if p, _ := r.run.Get(id); p.State != Running || p.Made != 1 {
			r.Errorf("the slowest rate of all is %s and made %d, want the first alone", p.State, p.Made)
		}
		if _, err := r.run.Cancel(r.ctx, id); err != nil {
			r.Error(err)
		}
	}, "acme/app")
}

// A replay waits for a destination that is slower than it, but not for one that takes nothing.
func TestAReplayYields(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.dead(3000, "acme/app")
		f := r.fars[r.ids["acme/app"]]
		f.set(false, 400*time.Millisecond) // 40 a second
		q := acme("dead")
		q.Rate = 200
		id := r.create(q).ID
		waited := false
		for range 300 {
			pass(100 * time.Millisecond)
			due, _, err := r.store.Due(r.ctx, store.QueueID{Dest: r.ids["acme/app"]}, store.Position{}, time.Now().UnixNano(), 10_000)
			r.must(err)
			if most := ahead + int(q.Rate*period.Seconds()); len(due) > most {
				r.Fatalf("%d deliveries wait before whatever arrives now, want at most %d", len(due), most)
			}
			p, err := r.run.Get(id)
			r.must(err)
			waited = waited || p.Waiting == "acme/app has not caught up: what is due there goes first"
		}
		if !waited {
			r.Error("the replay does not say that it waits")
		}
		if err := r.sched.Pause(r.ctx, r.ids["acme/app"], "by hand"); err != nil {
			r.Fatal(err)
		}
		if p := r.until(id); p.State != Finished || p.Made != 3000 || p.Waiting != "" {
			r.Errorf("to a paused destination: %+v", p)
		}
	}, "acme/app")
}

// A cancelled replay makes nothing more, and what it made goes out.
func TestCancel(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.dead(1000, "acme/app")
		id := r.create(acme("dead")).ID
		pass(3 * time.Second)
		p, err := r.run.Cancel(r.ctx, id)
		if err != nil || p.State != Cancelled || p.Made < 200 || p.Made > 400 || p.Ended.IsZero() {
			r.Errorf("cancelled: %+v, %v", p, err)
		}
		pass(time.Minute)
		if n := len(r.fars[r.ids["acme/app"]].seen()); int64(n) != p.Made {
			r.Errorf("%d attempts, %d were made", n, p.Made)
		}
		if _, err := r.run.Cancel(r.ctx, id); !errors.Is(err, ErrEnded) {
			r.Errorf("cancelling it again: %v", err)
		}
		r.restart()
		if again, err := r.run.Get(id); err != nil || again.State != Cancelled || again.Counts != p.Counts {
			r.Errorf("after a restart it is %+v, %v", again, err)
		}
		pass(time.Minute)
		r.got("acme/app")
	}, "acme/app")
}

// A restart, clean or not, goes on and makes nothing twice.
func TestRestart(t *testing.T) {
	for _, name := range []string{"a stop", "a stop past midnight", "progress is lost"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				if name == "progress is lost" {
					r.alter = func(s Store) Store { return &forgetful{Store: s} }
					r.restart()
				}
				ids := r.dead(1000, "acme/app")
				q := acme("dead")
				q.Types = []string{"sleep"}
				id := r.create(q).ID
				for range 6 {
					pass(1300 * time.Millisecond)
					if name == "a stop past midnight" {
						r.run.Stop()
						pass(20 * time.Hour)
					}
					r.restart()
				}
				if p := r.until(id); p.State != Finished || p.Counts != (Counts{Found: 1000, Made: 1000}) || p.Users != nil {
					r.Errorf("over restarts: %+v", p)
				}
				r.got("acme/app", ids...)
			}, "acme/app")
		})
	}
}

// forgetful keeps a replay as it was made, as a crash before every save does.
type forgetful struct{ Store }

func (f *forgetful) Put(ctx context.Context, key string, v []byte) error {
	if _, err := f.Get(ctx, key); err == nil && key != indexKey && bytes.Contains(v, []byte(`"state":"running"`)) {
		return nil
	}
	return f.Store.Put(ctx, key, v)
}

// A store that refuses for a while delays a replay, and a fault that stays ends it.
func TestStoreAtFault(t *testing.T) {
	inBubble(t, func(r *rig) {
		f := &refusing{}
		r.alter = func(s Store) Store { f.Store = s; return f }
		r.restart()
		ids := r.dead(50, "acme/app")
		f.err.Store(error(&store.Unavailable{Reason: "disk reserve reached", After: time.Second}))
		id := r.create(acme("dead")).ID
		pass(time.Minute)
		if p, _ := r.run.Get(id); p.State != Running || p.Waiting != "disk reserve reached" || p.Made != 0 {
			r.Errorf("while the store refuses: %+v", p)
		}
		f.err.Store(error(&store.Unavailable{}))
		f.well.Store(true)
		if p := r.until(id); p.State != Finished || p.Made != 50 {
			r.Errorf("when it is back: %+v", p)
		}
		r.got("acme/app", ids...)
		f.well.Store(false)
		f.broken.Store(true)
		if p := r.until(r.create(acme("delivered")).ID); p.State != Failed || p.Error != "rows are damaged" {
			r.Errorf("a fault that stays: %+v", p)
		}
	}, "acme/app")
}

type refusing struct {
	Store
	err          atomic.Value
	well, broken atomic.Bool
}

func (f *refusing) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if f.broken.Load() {
		return nil, errors.New("rows are damaged")
	}
	if err, ok := f.err.Load().(error); ok && !f.well.Load() {
		return nil, err
	}
	return f.Store.Replay(ctx, now, replay, wants)
}

// Whoever asks often what there is to replay does not push out what was replayed.
func TestCountsAreForgottenFirst(t *testing.T) {
	inBubble(t, func(r *rig) {
		first := r.replayed(acme("delivered"), Counts{})
		for range mostKept + 10 {
			q := acme("delivered")
			q.DryRun = true
			r.replayed(q, Counts{})
		}
		if p, err := r.run.Get(first.ID); err != nil || p.DryRun {
			r.Errorf("the replay before many counts: %+v, %v", p, err)
		}
		if n := len(r.run.List()); n != mostKept {
			r.Errorf("%d are kept, want %d", n, mostKept)
		}
	}, "acme/app")
}

// Ids are never used again, old replays are forgotten, and a replay's end forgets its users.
func TestList(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.fars[r.ids["acme/app"]].set(false, 0)
		r.send("acme", "sleep", "ann", "acme/app")
		pass(time.Second)
		for i := range 210 {
			q := Request{Filter: Filter{Users: []string{"ann"}}, DryRun: true, By: "ops"}
			p := r.create(q)
			if p.ID != uint32(i+1) || p.State != Running || len(p.Users) != 1 {
				r.Fatalf("created %+v", p)
			}
			pass(time.Second)
		}
		check := func() {
			r.Helper()
			list := r.run.List()
			if len(list) != mostKept || list[0].ID != 210 || list[mostKept-1].ID != 11 {
				r.Fatalf("%d replays, the first %d, the last %d", len(list), list[0].ID, list[len(list)-1].ID)
			}
			for _, p := range list {
				if p.State != Finished || p.By != "ops" || len(p.Users) != 0 {
					r.Errorf("listed: %+v", p)
				}
			}
		}
		check()
		r.restart()
		check()
		if p := r.create(acme()); p.ID != 211 {
			r.Errorf("id %d after 210 replays", p.ID)
		}
		if v, err := r.store.Get(r.ctx, recordKey(5)); err == nil {
			r.Errorf("a forgotten replay is kept: %s", v)
		}
		pass(time.Second)
		r.fars[r.ids["acme/app"]].seen()
		r.dead(MaxRunning, "acme/app")
		slow := acme("dead")
		slow.Rate = 1.0 / 3600
		var err error
		for range MaxRunning + 1 {
			if _, err = r.run.Create(r.ctx, slow); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrBusy) {
			r.Errorf("%d replays run at once: %v", r.run.running(), err)
		}
		for _, p := range r.run.List() {
			if p.State == Running {
				if _, err := r.run.Cancel(r.ctx, p.ID); err != nil {
					r.Error(err)
				}
			}
		}
	}, "acme/app")
}

// What is replayed is old but not late: the figures that alerts look at are of live traffic.
func TestReplaysDoNotCountAsLate(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.dead(10, "acme/app")
		pass(6 * time.Hour)
		r.replayed(acme("dead"), Counts{Found: 10, Made: 10})
		families, err := r.stats.Gather()
		r.must(err)
		for _, f := range families {
			if n := f.GetMetric()[0].GetHistogram().GetSampleCount(); f.GetName() == "fantail_delivery_latency_seconds" && n != 0 {
				r.Errorf("the latency of %d replayed deliveries was observed", n)
			}
		}
		r.must(r.sched.Pause(r.ctx, r.ids["acme/app"], "by hand"))
		r.replayed(acme("delivered"), Counts{Found: 10, Made: 10})
		pass(5 * time.Minute)
		st := r.sched.Status()[0]
		if age := time.Since(st.OldestPending); st.Pending != 10 || age < 3*time.Minute || age > 7*time.Minute {
			r.Errorf("%d pending, the oldest since %v; they were made five minutes ago", st.Pending, age)
		}
	}, "acme/app")
}
