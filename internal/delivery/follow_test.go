package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// sharing is what a scheduler is told of other daemons.
type sharing struct {
	*rig
	lost  atomic.Bool
	apart atomic.Int64 // for how many questions the part of the store is not held
	mu    sync.Mutex
	i, n  int
	asks  atomic.Int64
	puts  func() error
}

func (r *rig) share(i, n int) *sharing {
	r.shared = &sharing{rig: r, i: i, n: n}
	return r.shared
}

func (sh *sharing) Owned() bool {
	sh.asks.Add(1)
	return !sh.lost.Load()
}

func (sh *sharing) Holds(event.ID) bool { return !sh.lost.Load() && sh.apart.Add(-1) < 0 }

func (sh *sharing) Share() (i, n int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.i, sh.n
}

func (sh *sharing) becomes(i, n int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.i, sh.n = i, n
}

func (sh *sharing) OwnPending(dest uint32) int64 { return sh.store.Counts(dest).Pending }

func (sh *sharing) Get(ctx context.Context, key string) ([]byte, error) {
	return sh.store.Get(ctx, key)
}

func (sh *sharing) Put(ctx context.Context, key string, value []byte) error {
	if err := ask(sh.puts); err != nil {
		return err
	}
	return sh.store.Put(ctx, key, value)
}

func (sh *sharing) Delete(ctx context.Context, key string) error { return sh.store.Delete(ctx, key) }

// elsewhere changes a state as another daemon does.
func (r *rig) elsewhere(id uint32, change func(*store.DestinationState)) store.Destination {
	r.t.Helper()
	s, version, err := r.store.ChangeState(context.Background(), id, change)
	if err != nil {
		r.t.Fatal(err)
	}
	return store.Destination{ID: id, DestinationKey: r.targets[id].Key, State: s, Version: version}
}

// unoffered stores n events that nobody is told of, and returns the head of each queue.
func (r *rig) unoffered(n, unclean int, to ...uint32) (items []store.Item, heads []store.Head) {
	r.t.Helper()
	for _, o := range r.storeSized(n, 15, to...) {
		items = append(items, o.items...)
	}
	heads, err := r.store.Queues(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range heads {
		heads[i].Unclean = unclean
	}
	return items, heads
}

func TestNoAttemptBeginsWhileTheLeaseMayBeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sh := r.share(0, 2)
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		sh.lost.Store(true)
		r.accept(id)
		asked := sh.asks.Load()
		pass(time.Minute)
		if n := len(f.seen()); n != 0 {
			t.Errorf("%d attempts without the lease", n)
		}
		if n := sh.asks.Load() - asked; n < 100 || n > 400 {
			t.Errorf("asked %d times within a minute whether attempts may begin", n)
		}
		sh.lost.Store(false)
		pass(ownedAgain)
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d attempts once the lease is renewed, want 1", n)
		}
	})
}

// TestABodyThatCameLateIsNotSent: the lease may run out while the body is read.
func TestABodyThatCameLateIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sh := r.share(0, 2)
		r.wrap = func(s Store) Store {
			return &faulty{Store: s, body: func() error {
				if time.Sleep(time.Second); r.since() < 2*time.Second {
					sh.lost.Store(true)
				}
				return nil
			}}
		}
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		items, heads := r.unoffered(1, 0, id)
		r.s.Pending(heads)
		pass(10 * time.Second)
		if d, as := r.record(items[0]); len(f.seen()) != 0 || d.State != store.Pending || d.Attempts != 0 || len(as) != 1 || as[0].Class != "interrupted" {
			t.Errorf("%d sent; %+v, %+v", len(f.seen()), d, as)
		}
		sh.lost.Store(false)
		pass(10 * time.Second)
		r.wantState(items[0], store.Delivered)
	})
}

// TestAnAttemptAsksForThePartOfItsEvent: the lease on the database that the event lies in may have run out alone.
func TestAnAttemptAsksForThePartOfItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sh := r.share(0, 2)
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		sh.apart.Store(1)
		items := r.accept(id)
		time.Sleep(time.Second)
		if d, as := r.record(items[0]); len(f.seen()) != 1 || d.State != store.Delivered || len(as) != 2 || as[0].Class != "interrupted" {
			t.Errorf("%d sent; %+v, %+v", len(f.seen()), d, as)
		}
	})
}

func TestLimitsAreOfAllDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sh := r.share(0, 1)
		r.limits.PerDeveloper = 30
		seven, _ := r.add("acme", "seven", func(s *Settings) { s.MaxInFlight, s.Rate = 7, 6 })
		one, _ := r.add("acme", "one", func(s *Settings) { s.MaxInFlight, s.Rate = 1, 6 })
		ordered, _ := r.add("acme", "ordered", func(s *Settings) { s.MaxInFlight, s.Rate, s.Serial = 7, 6, true })
		r.start()
		defer r.close()
		for _, want := range []struct {
			i, n, max, serial int
			each              time.Duration
		}{
			{0, 1, 7, 0, time.Second / 6}, {0, 3, 3, 0, time.Second / 2}, {1, 3, 2, 0, time.Second / 2}, {2, 3, 2, 0, time.Second / 2},
			{6, 7, 1, 0, 7 * time.Second / 6}, {7, 8, 7, 1, time.Second / 6}, {0, 1, 7, 0, time.Second / 6},
		} {
			sh.becomes(want.i, want.n)
			r.accept(seven) // whatever happens has it seen
			settleDown()
			r.s.mu.Lock()
			d := r.s.dests[seven]
			if d.max != want.max || time.Duration(d.rate.Every) != want.each {
				t.Errorf("number %d of %d: %d in flight, one every %v, want %d and %v", want.i, want.n, d.max, time.Duration(d.rate.Every), want.max, want.each)
			}
			if got := d.dev.allowance.rate.Every * 30; time.Duration(got).Round(time.Microsecond) != time.Duration(want.n)*time.Second {
				t.Errorf("one of %d daemons has a developer's allowance of 30 in %v", want.n, time.Duration(got))
			}
			for _, id := range []uint32{one, ordered} {
				if d := r.s.dests[id]; d.max != d.whole.max || time.Duration(d.rate.Every) != time.Second/6 {
					t.Errorf("a serial destination is divided: %d in flight, one every %v", d.max, time.Duration(d.rate.Every))
				}
			}
			r.s.mu.Unlock()
			if r.s.Serial(seven) != (want.serial == 1) || !r.s.Serial(one) || !r.s.Serial(ordered) {
				t.Errorf("of %d daemons: serial %v, %v, %v", want.n, r.s.Serial(seven), r.s.Serial(one), r.s.Serial(ordered))
			}
		}
	})
}

func TestWhatAnotherDaemonDecidesHoldsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		id, f := r.add("acme", "a")
		hash := r.targets[id].Current.Hash
		r.start()
		defer r.close()
		attempts := func(want int, when string) {
			t.Helper()
			r.accept(id)
			settleDown()
			if n := len(f.seen()); n != want {
				t.Errorf("%s: %d attempts, want %d", when, n, want)
			}
		}
		attempts(1, "at first")
		r.s.Changed([]store.Destination{r.elsewhere(id, func(s *store.DestinationState) { s.Paused, s.Reason, s.Since = true, "by hand", r.now().UTC() })})
		attempts(1, "paused elsewhere")
		if st := r.status(id); st.State != "paused" || st.Reason != "by hand" {
			t.Errorf("shown as %+v", st)
		}
		// What is older than what is known changes nothing.
		r.s.Changed([]store.Destination{{ID: id, DestinationKey: r.targets[id].Key, Version: 0}})
		attempts(1, "after old news")
		// Another daemon holds it meanwhile, which this one has not heard: its own changes leave that alone.
		r.elsewhere(id, func(s *store.DestinationState) { s.Held, s.Settings = true, hash })
		if err := r.s.Pause(t.Context(), id, "by hand again"); err != nil {
			t.Fatal(err)
		}
		ds, err := r.store.Destinations(t.Context())
		if err != nil || !ds[0].State.Held || !ds[0].State.Paused || ds[0].State.Reason != "by hand again" {
			t.Errorf("a pause and a hold at two daemons: %+v, %v", ds[0].State, err)
		}
		r.s.Changed([]store.Destination{r.elsewhere(id, func(s *store.DestinationState) { s.Paused = false })})
		attempts(1, "held elsewhere: it is probed in a minute")
		pass(time.Minute)
		if n := len(f.seen()); n < 2 || r.status(id).State != "active" {
			t.Errorf("after a probe %d attempts, %+v", n, r.status(id))
		}
	})
}

func TestAHoldIsToldByTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, late := range []bool{false, true} {
			r := newRig(t)
			r.share(0, 2)
			var told []string
			r.tell = func(n Notice) { told = append(told, n.Name) }
			id, f := r.add("acme", "a")
			f.answer = func(context.Context, destination.Delivery) error {
				return destination.Misconfigure(errors.New("who are you"))
			}
			r.start()
			if late { // and this daemon has not heard of it
				r.elsewhere(id, func(s *store.DestinationState) { s.Held, s.Settings = true, r.targets[id].Current.Hash })
			}
			r.accept(id)
			settleDown()
			if want := map[bool]int{false: 1, true: 0}[late]; len(told) != want {
				t.Errorf("held elsewhere before %v: told %v", late, told)
			}
			if st := r.status(id); st.State != "held" {
				t.Errorf("shown as %+v", st)
			}
			r.close()
		}
	})
}

// TestASuccessElsewhereEndsAnOutage: that one daemon does not get through is no reason to hold
// what another delivers to.
func TestASuccessElsewhereEndsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		id, f := r.add("acme", "a")
		f.answer = func(context.Context, destination.Delivery) error {
			return errors.New("down")
		}
		r.start()
		defer r.close()
		r.accept(id)
		pass(time.Hour)
		outage := func() policy.Outage {
			r.s.mu.Lock()
			defer r.s.mu.Unlock()
			return r.s.dests[id].current.outage
		}
		if o := outage(); o.Attempts == 0 {
			t.Fatalf("no outage: %+v", o)
		}
		r.s.Changed([]store.Destination{r.elsewhere(id, func(s *store.DestinationState) {
			if s.Failing.Attempts == 0 {
				t.Error("the outage is not stored")
			}
			s.Failing = store.Failing{}
		})})
		if o := outage(); o.Attempts != 0 {
			t.Errorf("it goes on: %+v", o)
		}
	})
}

// TestWhatNobodyToldIsNoFault: the watchdog mends it, and only what is missed again counts.
func TestWhatNobodyToldIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		id, _ := r.add("acme", "a")
		r.start()
		defer r.close() // fails when something was rescued
		items, _ := r.unoffered(100, 0, id)
		pass(3 * time.Minute)
		for _, it := range items {
			r.wantState(it, store.Delivered)
		}
	})
}

// TestABurstOfQueuesLeavesReadersToOthers: of what was adopted no more than one is read at once.
func TestABurstOfQueuesLeavesReadersToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		var adopted sync.Map
		var now, most atomic.Int32
		r.wrap = func(s Store) Store { return &slowDue{Store: s, adopted: &adopted, now: &now, most: &most} }
		var ids []uint32
		for i := range burst + 20 {
			id, _ := r.add("acme", fmt.Sprint("adopted", i))
			ids = append(ids, id)
			adopted.Store(id, true)
		}
		own, f := r.add("acme", "own")
		r.start()
		defer r.close()
		_, heads := r.unoffered(1, 0, ids...)
		r.s.Pending(heads)
		settleDown()
		_, more := r.unoffered(1, 0, own)
		for _, h := range more {
			if h.Queue.Dest == own {
				r.s.Pending([]store.Head{h})
			}
		}
		pass(time.Second)
		if len(f.seen()) != 1 {
			t.Errorf("what this daemon had before waits for what was adopted")
		}
		pass(10 * time.Minute)
		if n := most.Load(); n != 1 {
			t.Errorf("%d reads of adopted queues at once, want 1", n)
		}
		if n := r.store.Counts(ids[len(ids)-1]).Pending; n != 0 {
			t.Errorf("the last of what was adopted is not delivered")
		}
	})
}

// slowDue takes a second for each read of an adopted queue.
type slowDue struct {
	Store
	adopted   *sync.Map
	now, most *atomic.Int32
}

func (s *slowDue) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if _, ok := s.adopted.Load(q.Dest); ok && until != allTimes {
		if n := s.now.Add(1); n > s.most.Load() {
			s.most.Store(n)
		}
		time.Sleep(time.Second)
		s.now.Add(-1)
	}
	return s.Store.Due(ctx, q, from, until, limit)
}

// TestWhatEndedDaemonsIsTriedAlone: of what was due in a slot whose owners ended one after the other.
func TestWhatEndedDaemonsIsTriedAlone(t *testing.T) {
	for unclean, alone := range []bool{false, false, true, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.share(0, 2)
			id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 8 })
			f.answer = takes(time.Second)
			r.start()
			defer r.close()
			for range 20 { // until it may be served 8 at once
				r.accept(id)
			}
			pass(time.Minute)
			items, heads := r.unoffered(20, unclean, id)
			r.s.Pending(heads)
			most := 0
			for range 50 {
				pass(100 * time.Millisecond)
				most = max(most, f.running())
			}
			if (most == 1) != alone {
				t.Errorf("%d owners ended: %d at once", unclean, most)
			}
			pass(time.Minute)
			for _, it := range items {
				r.wantState(it, store.Delivered)
			}
			if st := r.status(id); st.Apart {
				t.Errorf("%d owners ended: it waits apart for ever: %+v", unclean, st)
			}
			for _, what := range []string{destName(id), items[0].ID.String()} {
				if _, err := r.store.Get(t.Context(), trialKey(what)); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("a trial that went well is not crossed out: %v", err)
				}
			}
		})
	}
}

// TestTrialsThatNobodySurvivedAreKnown: to the next daemon, from the store.
func TestTrialsThatNobodySurvivedAreKnown(t *testing.T) {
	for alone, wait := range map[int]time.Duration{0: 0, 1: time.Minute, 3: 4 * time.Minute, 5: 16 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			sh := r.share(0, 2)
			id, f := r.add("acme", "a")
			r.start()
			defer r.close()
			items, heads := r.unoffered(2, 3, id)
			if alone > 0 {
				note, _ := json.Marshal(trialNote{Trials: uint8(alone), At: time.Now()})
				for _, what := range []string{destName(id), items[0].ID.String()} {
					if err := r.store.Put(t.Context(), trialKey(what), note); err != nil {
						t.Fatal(err)
					}
				}
			}
			var noted trialNote
			sh.puts = func() error { return nil }
			f.answer = func(_ context.Context, d destination.Delivery) error {
				if text, err := r.store.Get(context.Background(), trialKey(d.ID)); err == nil && d.ID == items[0].ID.String() {
					_ = json.Unmarshal(text, &noted)
				}
				return nil
			}
			r.s.Pending(heads)
			pass(wait - time.Second)
			if n := len(f.seen()); wait > 0 && n != 0 {
				t.Errorf("after %d trials that nobody survived: tried %d times at once", alone, n)
			}
			pass(2 * time.Second)
			if d, _ := r.record(items[0]); (d.State == store.Dead) != (alone == 5) || alone == 5 && d.Reason != policy.DeadOfCrashes {
				t.Errorf("after %d trials of it that nobody survived it is %v (%s)", alone, d.State, d.Reason)
			}
			if alone < 5 && int(noted.Trials) != alone+1 {
				t.Errorf("the trial after %d is written down as %+v", alone, noted)
			}
			pass(time.Minute)
			r.wantState(items[1], store.Delivered)
		})
	}
}

// TestATrialThatCannotBeWrittenDownWaits: it would count for nobody.
func TestATrialThatCannotBeWrittenDownWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		sh := r.share(0, 2)
		id, f := r.add("acme", "a")
		r.start()
		defer r.close()
		items, heads := r.unoffered(1, 2, id)
		sh.puts = r.during(time.Hour, errors.New("disk"))
		r.s.Pending(heads)
		pass(50 * time.Minute)
		if n := len(f.seen()); n != 0 {
			t.Errorf("tried %d times", n)
		}
		pass(time.Hour)
		r.wantState(items[0], store.Delivered)
	})
}

// TestWhatLiesElsewhereIsNotMadeHere: another daemon has it by now.
func TestWhatLiesElsewhereIsNotMadeHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.share(0, 2)
		var gone atomic.Bool
		r.wrap = func(s Store) Store { return &hiding{Store: s, all: &gone} }
		id, f := r.add("acme", "a", func(s *Settings) { s.MaxInFlight = 1 })
		f.answer = takes(time.Minute)
		r.start()
		defer r.close()
		r.accept(id)
		it := r.accept(id)[0]
		gone.Store(true)
		r.s.Moved([]store.Moved{{ID: it.ID, From: store.Pending, To: store.Pending, Was: it.Queue}})
		pass(10 * time.Second)
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d attempts, want that of the other", n)
		}
		r.s.mu.Lock()
		waits := r.s.jobs[keyOf(it.ID)] != nil && r.s.jobs[keyOf(it.ID)].state == waiting
		q := r.s.known(store.QueueID{})
		r.s.mu.Unlock()
		if waits || q != nil {
			t.Errorf("it waits here %v, queue of nothing %v", waits, q)
		}
		pass(10 * time.Minute)
		if n := len(f.seen()); n != 1 {
			t.Errorf("%d attempts in the end, want that of the other", n)
		}
	})
}

// hiding is a store whose slots have lost everything.
type hiding struct {
	Store
	all *atomic.Bool
}

func (h *hiding) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if h.all.Load() {
		return nil, 0, nil
	}
	return h.Store.Due(ctx, q, from, until, limit)
}

func (h *hiding) Queues(ctx context.Context) ([]store.Head, error) {
	if h.all.Load() {
		return nil, nil
	}
	return h.Store.Queues(ctx)
}
