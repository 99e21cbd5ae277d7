package delivery

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/retry"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// short is a schedule after which a delivery is dead within ten seconds.
func short(s *Settings) {
	s.Schedule = retry.Schedule{Waits: []time.Duration{time.Second, 3 * time.Second}}
}

// again goes on with what the store has, as the next process does.
func (r *rig) again() {
	r.t.Helper()
	registered, err := r.store.Destinations(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, d := range registered {
		r.targets[d.ID].State, r.targets[d.ID].Last = d.State, d.Last
	}
	r.start()
}

// TestADestinationThatFailsSaysSo: what it answered, how often, when it last
// succeeded and what died, over a stop.
func TestADestinationThatFailsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", short)
		r.start()
		r.accept(id)
		settleDown()
		succeeded := r.now()
		st := r.status(id)
		if st.Reason != "" || st.Last.Failed != 0 || st.Last.Success != succeeded.UnixNano() || st.Last.Answer.Class != "delivered" || st.Last.Answer.Code != 200 {
			t.Errorf("after a success: %+v", st)
		}
		pass(time.Hour)
		f.set(fails)
		it := r.accept(id)[0]
		settleDown()
		if st := r.status(id); st.Reason != "the last attempt failed: 503" || st.State != "active" {
			t.Errorf("after one failure: %+v", st)
		}
		pass(10 * time.Second)
		failed := r.now()
		check := func(when string) {
			t.Helper()
			st := r.status(id)
			if st.Reason != "the last 3 attempts failed: 503" || st.Last.Failed != 3 || st.Dead != 1 || st.Last.Success != succeeded.UnixNano() {
				t.Errorf("%s: %+v", when, st)
			}
			if a := st.Last.Answer; a.Class != "transient" || a.Text != farSays || a.Fault != "503" || a.Code != 200 || failed.Sub(time.Unix(0, a.At)) > 10*time.Second {
				t.Errorf("%s: answer %+v", when, a)
			}
		}
		check("after three failures")
		if got := figures(t, r.s); got["fantail_dead_last_day{a,acme}"] != 1 || got["fantail_failed_attempts{a,acme}"] != 3 {
			t.Errorf("metrics: %v dead, %v failed", got["fantail_dead_last_day{a,acme}"], got["fantail_failed_attempts{a,acme}"])
		}
		if d, _ := r.record(it); d.State != store.Dead || d.Reason != "attempts used up: 503" {
			t.Errorf("the row says %q", d.Reason)
		}
		r.stop()
		r.again()
		check("after a restart")
		r.reload(id, "a", nil)
		if st := r.status(id); st.Reason != "" || st.Last.Failed != 0 || st.Last.Answer != (store.Answer{}) || st.Dead != 1 {
			t.Errorf("with other settings, of which nothing is known: %+v", st)
		}
		r.accept(id)
		pass(23 * time.Hour)
		if st := r.status(id); st.Reason != "" || st.Last.Success <= succeeded.UnixNano() || st.Dead != 1 {
			t.Errorf("after a success: %+v", st)
		}
		pass(time.Hour)
		if st := r.status(id); st.Dead != 0 {
			t.Errorf("%d dead in 24 h, of one that died 25 h ago", st.Dead)
		}
		r.close()
	})
}

// TestWhatWasRetriedIsNotDeadAnyMore: a destination whose dead deliveries have all been retried and have arrived needs
// nobody, whatever died in the last day. Of those that are dead still, none is forgotten.
func TestWhatWasRetriedIsNotDeadAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", short)
		f.answer = fails
		r.start()
		one, two := r.accept(id)[0], r.accept(id)[0]
		time.Sleep(time.Minute)
		if st := r.status(id); st.Dead != 2 {
			t.Fatalf("%d dead, want 2", st.Dead)
		}
		f.set(nil)
		for i, it := range []store.Item{one, two} {
			if _, err := r.s.Move(t.Context(), r.now(), store.Retry, []store.DeliveryID{it.ID}); err != nil {
				t.Fatal(err)
			}
			settleDown()
			if st := r.status(id); st.Dead != int64(1-i) || st.Reason != "" {
				t.Errorf("after %d were retried: %+v", i+1, st)
			}
		}
		r.stop()
		r.again()
		if st := r.status(id); st.Dead != 0 {
			t.Errorf("after a restart: %+v", st)
		}
		r.close()
	})
}

// lastSeen counts writes of last answers.
type lastSeen struct {
	Store
	calls, rows atomic.Int32
	fails       atomic.Bool
}

func (l *lastSeen) SetLast(ctx context.Context, last map[uint32]store.Last) error {
	l.calls.Add(1)
	l.rows.Add(int32(len(last)))
	if l.fails.Load() {
		return errors.New("no room")
	}
	return l.Store.SetLast(ctx, last)
}

// TestLastAnswersAreStoredSeldom: every ten seconds at the most, all that changed
// at once, nothing while nothing changes, and after a fault with the next ones.
func TestLastAnswersAreStoredSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		seen := &lastSeen{}
		r.wrap = func(s Store) Store { seen.Store = s; return seen }
		a, _ := r.add("acme", "a")
		b, _ := r.add("acme", "b")
		r.start()
		for range 100 { // 20 s
			r.accept(a)
			r.accept(b)
			pass(200 * time.Millisecond)
		}
		pass(time.Minute)
		if calls, rows := seen.calls.Load(), seen.rows.Load(); calls > 3 || calls < 2 || rows != 2*calls {
			t.Errorf("%d writes of %d rows in 20 s of traffic", calls, rows)
		}
		before := seen.calls.Load()
		pass(time.Hour)
		if n := seen.calls.Load() - before; n != 0 {
			t.Errorf("%d writes while nothing happened", n)
		}
		seen.fails.Store(true)
		r.accept(a)
		pass(15 * time.Second)
		seen.fails.Store(false)
		pass(10 * time.Second)
		registered, err := r.store.Destinations(t.Context())
		if err != nil || registered[0].Last.Success == 0 || registered[0].Last != r.status(a).Last {
			t.Errorf("after a fault of the store: %+v, %v", registered, err)
		}
		r.close()
	})
}

// TestACrashLosesTenSecondsOfLastAnswers and no more.
func TestACrashLosesTenSecondsOfLastAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a", short)
		f.answer = fails
		r.start()
		r.accept(id)
		pass(11 * time.Second)
		r.crash()
		r.open()
		r.again()
		if st := r.status(id); st.Last.Failed != 3 || st.Dead != 1 || st.Reason != "the last 3 attempts failed: 503" {
			t.Errorf("%+v", st)
		}
		r.close()
	})
}

// TestLastAnswersForgetWhatIsErased, also what an attempt brings that was in flight.
func TestLastAnswersForgetWhatIsErased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("dev", "a")
		other, g := r.add("acme", "a")
		quotes := func(context.Context, destination.Delivery) error {
			return destination.Reject(errors.New("no room for user 1"))
		}
		f.answer, g.answer = quotes, quotes
		r.start()
		r.accept(id, other)
		settleDown()
		f.set(func(ctx context.Context, d destination.Delivery) error {
			time.Sleep(time.Minute)
			return quotes(ctx, d)
		})
		r.accept(id)
		settleDown()
		for _, user := range []string{"user1", "user2"} {
			if _, err := r.store.Erase(t.Context(), r.now(), store.Erasure{Developer: "dev", User: user}, r.s.Moved); err != nil {
				t.Fatal(err)
			}
		}
		r.s.ForgetAnswers("dev")
		mute := func(when string) {
			t.Helper()
			if a := r.status(id).Last.Answer; a.Text != "" || a.Fault != "" || a.Class != "rejected" {
				t.Errorf("%s: %+v", when, a)
			}
			if a := r.status(other).Last.Answer; !strings.Contains(a.Fault, "no room") {
				t.Errorf("%s, somebody else's: %+v", when, a)
			}
		}
		mute("after the erasure")
		pass(2 * time.Minute)
		mute("after an attempt that was in flight")
		r.stop()
		r.again()
		mute("after a restart")
		r.close()
	})
}

// TestWaitsSayWhyAndUntilWhen of each queue.
func TestWaitsSayWhyAndUntilWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, f := r.add("acme", "a")
		r.start()
		now := func() Wait { return r.s.Waits([]store.QueueID{{Dest: 99}, {Dest: id}})[1] }
		want := func(what, name, reason string, until time.Duration) {
			t.Helper()
			w := now()
			if w.For != name || w.Reason != reason || until != 0 != !w.Until.IsZero() || until != 0 && !w.Until.Equal(r.now().Add(until)) {
				t.Errorf("%s: %+v, want %s until in %v: %s", what, w, name, until, reason)
			}
			if st := r.status(id); st.Wait != w || name != "" && name != WaitRate && st.Reason == "" {
				t.Errorf("%s: status %+v", what, st)
			}
		}
		want("well", "", "", 0)
		f.set(func(context.Context, destination.Delivery) error {
			return destination.Throttle(errors.New("429"), time.Hour)
		})
		r.accept(id)
		settleDown()
		want("throttled", WaitThrottled, "429", time.Hour)
		if err := r.s.Pause(t.Context(), id, "lunch"); err != nil {
			t.Fatal(err)
		}
		want("paused", WaitPaused, "lunch", 0)
		if err := r.s.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		f.set(func(context.Context, destination.Delivery) error { return destination.Misconfigure(errors.New("401")) })
		r.accept(id)
		settleDown()
		want("held", WaitHeld, "401", time.Minute)
		r.targets[id].Disabled = true
		r.apply()
		want("disabled", WaitDisabled, whyDisabled, 0)
		r.targets[id].Disabled = false
		f = r.reload(id, "a", func(s *Settings) { s.Rate = 0.1 })
		f.set(fails)
		r.accept(id)
		settleDown()
		want("at its rate", WaitRate, "no more attempts a second than rate says", 10*time.Second)
		r.s.mu.Lock()
		l := r.s.dests[id].current
		l.breaker = policy.Breaker{Open: true}
		l.breaker.Pace.At = r.s.now().mono + int64(30*time.Second)
		r.s.mu.Unlock()
		if w := now(); w.For != WaitBreaker || !strings.HasSuffix(w.Reason, "failed: 503") || !w.Until.Equal(r.now().Add(30*time.Second)) {
			t.Errorf("with an open breaker: %+v", w)
		}
		r.targets[id].Removed, r.targets[id].Current = true, nil
		r.apply()
		want("removed", WaitRemoved, whyRemoved, 0)
		r.close()
	})
}

// TestAStopStoresLastAnswers at once, however little time has passed.
func TestAStopStoresLastAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		id, _ := r.add("acme", "a")
		r.start()
		r.accept(id)
		settleDown()
		want := r.status(id).Last
		r.stop()
		r.again()
		if got := r.status(id).Last; got != want || got.Success == 0 {
			t.Errorf("%+v came back as %+v", want, got)
		}
		r.close()
	})
}
