package delivery

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func frozen(s *Settings) { s.Frozen = true }

// names lists which instance made which attempt.
func names(fs ...*far) (list []string) {
	var hits []hit
	for _, f := range fs {
		hits = append(hits, f.seen()...)
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return int(a.at - b.at) })
	for _, h := range hits {
		list = append(list, h.name)
	}
	return list
}

func TestFrozenRetriesKeepTheirSettingsOverReloadAndRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		oldHash := r.targets[id].Current.Hash
		r.start()
		it := r.accept(id)
		pass(10 * time.Second)
		next := r.reload(id, "new", func(s *Settings) { s.Schedule = retry.Schedule{} })
		settleDown()
		if old.closes() != 0 {
			t.Error("the old instance was closed though a delivery needs it")
		}
		fresh := r.accept(id)
		pass(30 * time.Second) // the retry at 30 s goes out with the old settings
		r.wantState(fresh[0], store.Delivered)
		if got := names(old, next); !slices.Equal(got, []string{"old", "new", "old"}) {
			t.Errorf("attempts by %v", got)
		}
		r.stop()
		if old.closes() != 1 || next.closes() != 1 {
			t.Errorf("closed %d and %d times", old.closes(), next.closes())
		}

		thawed := &far{name: "thawed", rig: r}
		r.frozen[oldHash] = func() *Settings {
			return &Settings{Hash: oldHash, Destination: thawed, Timeout: 30 * time.Second, MaxInFlight: 16, Frozen: true,
				Schedule: retry.Exponential(30*time.Second, 3, 8, 0)}
		}
		next = &far{name: "next", rig: r}
		r.targets[id].Current.Destination = next
		r.start()
		defer r.close()
		pass(time.Hour)
		if got := at(thawed.seen()); !slices.Equal(got, []time.Duration{2 * time.Minute}) || len(next.seen()) != 0 || r.thaws.Load() != 1 {
			t.Errorf("thawed %d times, attempts at %v; current settings made %v", r.thaws.Load(), got, next.seen())
		}
		if d, as := r.record(it[0]); d.State != store.Delivered || len(as) != 3 {
			t.Errorf("%+v, %d attempts", d, len(as))
		}
		if thawed.closes() != 1 {
			t.Error("the thawed instance stays open though nothing needs it")
		}
	})
}

// TestFirstFailureInFlightOverReload: the first counted attempt came before the change.
func TestFirstFailureInFlightOverReload(t *testing.T) {
	for _, rebound := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			id, old := r.add("acme", "old", frozen)
			release := make(chan struct{})
			old.answer = func(context.Context, destination.Delivery) error { <-release; return errors.New("no") }
			r.start()
			defer r.close()
			r.accept(id)
			settleDown()
			next := r.reload(id, "new", nil)
			settleDown()
			if rebound { // a leaked secret is revoked: nothing may freeze to it any more
				if n, err := r.s.Rebind(context.Background(), id); n != 0 || err != nil {
					t.Error(n, err)
				}
			}
			close(release)
			old.set(nil)
			pass(time.Hour)
			want := []string{"old", "old"}
			if rebound {
				want[1] = "new"
			}
			if got := names(old, next); !slices.Equal(got, want) {
				t.Errorf("attempts by %v, want %v", got, want)
			}
			if old.closes() != 1 {
				t.Errorf("the old instance was closed %d times", old.closes())
			}
		})
	}
}

// TestSettingsAreKeptWhileAnAttemptMayFreezeToThem: in flight over a reload, no row
// names them until the outcome is stored.
func TestSettingsAreKeptWhileAnAttemptMayFreezeToThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, settle: func() error { time.Sleep(10 * time.Second); return nil }}
		}
		id, old := r.add("acme", "old", frozen)
		hash := r.targets[id].Current.Hash
		if err := r.store.PutSettings(context.Background(), map[uint64][]byte{hash: []byte("sealed")}, nil); err != nil {
			t.Fatal(err)
		}
		old.answer = func(ctx context.Context, d destination.Delivery) error {
			return errors.Join(takes(10*time.Second)(ctx, d), errors.New("no"))
		}
		r.start()
		defer r.close()
		it := r.accept(id)[0]
		settleDown()
		r.reload(id, "new", nil)
		collect := func(when string) {
			t.Helper()
			if _, err := r.store.CollectSettings(context.Background(), r.s.SettingsInFlight()); err != nil {
				t.Fatal(err)
			}
			if _, err := r.store.Settings(context.Background(), hash); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
		pass(5 * time.Second)
		collect("in flight")
		pass(10 * time.Second)
		collect("while its outcome is being stored")
		pass(10 * time.Second)
		collect("when it is stored")
		if d, _ := r.record(it); d.Settings != hash || len(r.s.SettingsInFlight()) != 0 {
			t.Errorf("%+v; %v are in flight", d, r.s.SettingsInFlight())
		}
	})
}

func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		r.start()
		defer r.close()
		for range 1200 {
			r.accept(id)
		}
		for len(old.seen()) < 1200 {
			pass(time.Second)
		}
		next := r.reload(id, "new", nil)
		pending := r.status(id).Pending
		n, err := r.s.Rebind(context.Background(), id)
		if err != nil || int64(n) != pending {
			t.Errorf("%d of %d rebound: %v", n, pending, err)
		}
		before := len(old.seen())
		pass(3 * time.Hour)
		if len(old.seen()) != before || len(next.seen()) != int(pending) {
			t.Errorf("after it the old made %d, the new %d attempts", len(old.seen())-before, len(next.seen()))
		}
		if _, err := r.s.Rebind(context.Background(), 99); err != store.ErrNotFound {
			t.Error(err)
		}
	})
}

// TestRebindBesideARead: the read of the old queue answers with the row as it was
// when the rebind has moved it already.
func TestRebindBesideARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		r.start()
		defer r.close()
		it := r.accept(id)[0]
		pass(time.Second)
		next := r.reload(id, "new", nil)
		d, _ := r.record(it)
		n.set(10*time.Second, 0)
		pass(time.Unix(0, d.Due).Sub(r.now()) + time.Second)
		n.set(0, 0)
		if moved, err := r.s.Rebind(context.Background(), id); moved != 1 || err != nil {
			t.Fatalf("%d rebound: %v", moved, err)
		}
		pass(10 * time.Second)
		if len(old.seen()) != 1 || len(next.seen()) != 1 {
			t.Errorf("the old made %d, the new %d attempts", len(old.seen()), len(next.seen()))
		}
	})
}

// TestAQueueEndsBesideARead: what was delivered under old settings while another
// queue of the destination was read leaves nothing of its own behind.
func TestAQueueEndsBesideARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		n := r.naps()
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		r.start()
		defer r.close()
		it := r.accept(id)
		pass(10 * time.Second)
		r.reload(id, "new", func(s *Settings) { s.Schedule = retry.Schedule{} })
		old.set(takes(2 * time.Second)) // for the retry at 30 s
		pass(21 * time.Second)
		n.set(5*time.Second, 0)
		now := r.s.lock()
		d := r.s.dests[id]
		r.s.queue(store.QueueID{Dest: id}).spill(store.Position{})
		r.s.considerAll(d, now)
		r.s.unlock(now)
		pass(2 * time.Second)
		r.wantState(it[0], store.Delivered)
		pass(10 * time.Second)
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		if len(d.queues) != 1 || len(d.lanes) != 1 {
			t.Errorf("%d queues and %d lanes are left, want those of the current settings", len(d.queues), len(d.lanes))
		}
	})
}

func TestSettingsGoneRebinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		r.start()
		items := r.accept(id)
		settleDown()
		r.stop()
		next := &far{name: "next", rig: r}
		r.targets[id].Current.Destination = next
		r.targets[id].Current.Hash++
		r.start()
		defer r.close()
		pass(time.Minute)
		r.wantState(items[0], store.Delivered)
		if got := at(next.seen()); !slices.Equal(got, []time.Duration{30 * time.Second}) {
			t.Errorf("attempts at %v, want due as before", got)
		}
		if d, _ := r.record(items[0]); d.Attempts != 2 {
			t.Errorf("%+v", d)
		}
	})
}

func TestThawFailingIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		hash := r.targets[id].Current.Hash
		r.start()
		items := r.accept(id)
		settleDown()
		r.stop()
		tries := 0
		thawed := &far{name: "thawed", rig: r}
		r.frozen[hash] = func() *Settings {
			if tries++; tries < 5 {
				if tries == 2 {
					panic("hunter2")
				}
				return nil
			}
			return &Settings{Hash: hash, Destination: thawed, MaxInFlight: 1, Timeout: time.Second}
		}
		r.targets[id].Current.Destination = &far{name: "next", rig: r}
		r.targets[id].Current.Hash++
		r.start()
		defer r.close()
		pass(10 * time.Minute)
		if got := at(thawed.seen()); !slices.Equal(got, []time.Duration{45 * time.Second}) {
			t.Errorf("attempts at %v, want after waits of 1, 2, 4 and 8 s", got)
		}
		if d, _ := r.record(items[0]); d.State != store.Delivered || d.Attempts != 2 {
			t.Errorf("%+v", d)
		}
	})
}

// TestMisconfiguredUnderOldSettings: nobody can mend settings that are gone.
func TestMisconfiguredUnderOldSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen)
		old.answer = fails
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		old.set(misconfigures)
		next := r.reload(id, "new", nil)
		pass(30 * time.Second)
		r.wantState(it[0], store.Delivered)
		if got := names(old, next); !slices.Equal(got, []string{"old", "old", "new"}) {
			t.Errorf("attempts by %v", got)
		}
		if d, as := r.record(it[0]); d.Attempts != 2 || len(as) != 3 || as[1].Counted || r.status(id).State != "active" {
			t.Errorf("%+v %+v %+v", d, as, r.status(id))
		}
	})
}

// TestRetryByHandBesideAFrozenAttempt: what is in flight with old settings is not
// started with current ones beside it.
func TestRetryByHandBesideAFrozenAttempt(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(context.Context, destination.Delivery) error
		want   []string
	}{
		{"that succeeds", nil, []string{"old", "old"}},
		{"that fails", fails, []string{"old", "old", "new"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				id, old := r.add("acme", "old", frozen)
				old.answer = fails
				r.start()
				defer r.close()
				it := r.accept(id)
				settleDown()
				next := r.reload(id, "new", nil)
				release := make(chan struct{})
				old.set(func(ctx context.Context, d destination.Delivery) error {
					<-release
					if test.answer != nil {
						return test.answer(ctx, d)
					}
					return nil
				})
				pass(35 * time.Second) // tried at 30 s
				if m := r.move(store.Retry, it[0]); m.Item.Queue.Settings != 0 || old.running() != 1 {
					t.Fatalf("%+v, %d in flight", m, old.running())
				}
				settleDown()
				if len(next.seen()) != 0 {
					t.Error("tried beside the attempt in flight")
				}
				pass(5 * time.Second)
				close(release)
				settleDown()
				r.wantState(it[0], store.Delivered)
				if got := names(old, next); !slices.Equal(got, test.want) {
					t.Errorf("attempts by %v, want %v", got, test.want)
				}
				if hits := next.seen(); len(hits) > 0 && hits[0].at != 40*time.Second {
					t.Errorf("%v, want it at once when the attempt has ended", hits)
				}
				if old.closes() != 1 {
					t.Errorf("the old instance was closed %d times", old.closes())
				}
			})
		})
	}
}

// TestOldSettingsDisturbNobody: breaker, hold and slowness are those of the settings.
func TestOldSettingsDisturbNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old", frozen, func(s *Settings) { s.MaxInFlight = 1 })
		old.answer = fails
		r.start()
		defer r.close()
		for range 40 {
			r.accept(id)
		}
		pass(20 * time.Second)
		old.set(hang)
		next := r.reload(id, "new", nil)
		var want []time.Duration
		for range 300 {
			r.accept(id)
			want = append(want, r.since())
			pass(time.Second)
		}
		if got := at(next.seen()); !slices.Equal(got, want) {
			t.Errorf("%d of %d attempts of the corrected destination in time", len(got), len(want))
		}
		if len(old.seen()) < 45 {
			t.Errorf("%d attempts with the old settings", len(old.seen()))
		}
	})
}

func TestCurrentSettingsAreThoseOfTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old")
		old.answer = fails
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		next := r.reload(id, "new", nil)
		settleDown()
		if old.closes() != 1 {
			t.Errorf("the old instance was closed %d times", old.closes())
		}
		pass(time.Minute)
		r.wantState(it[0], store.Delivered)
		if got := names(old, next); !slices.Equal(got, []string{"old", "new"}) {
			t.Errorf("attempts by %v", got)
		}
	})
}

func TestReloadLetsSendsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, old := r.add("acme", "old")
		old.answer = takes(10 * time.Second)
		r.start()
		defer r.close()
		it := r.accept(id)
		settleDown()
		r.reload(id, "new", nil)
		pass(5 * time.Second)
		if old.closes() != 0 {
			t.Error("closed while a Send runs")
		}
		pass(6 * time.Second)
		if old.closes() != 1 {
			t.Errorf("closed %d times", old.closes())
		}
		r.wantState(it[0], store.Delivered)
	})
}
