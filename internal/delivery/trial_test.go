package delivery

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery/policy"
	"github.com/seed-51f8da91/fantail/internal/delivery/suspects"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// deadly is a rig whose far sides may kill the process, which starts again at once.
type deadly struct {
	*rig
	answers map[uint32]func(context.Context, destination.Delivery) error
	fars    map[uint32]*far // of the process that runs
	killed  chan struct{}
	crashes []time.Duration
}

func newDeadly(t *testing.T) *deadly {
	r := newRig(t)
	r.mem = make([]byte, 64<<10)
	return &deadly{r, map[uint32]func(context.Context, destination.Delivery) error{}, map[uint32]*far{}, make(chan struct{}, 1), nil}
}

// add registers a destination that answers so.
func (w *deadly) add(name string, answer func(context.Context, destination.Delivery) error) uint32 {
	id, _ := w.rig.add("acme", name)
	w.answers[id] = answer
	return id
}

func (w *deadly) run() {
	for id, answer := range w.answers {
		w.fars[id] = &far{name: fmt.Sprint(id), rig: w.rig, answer: answer}
		w.targets[id].Current.Destination = w.fars[id]
	}
	w.start()
}

// kills ends the process after a time.
func (w *deadly) kills(after time.Duration) func(context.Context, destination.Delivery) error {
	return func(ctx context.Context, d destination.Delivery) error {
		if takes(after)(ctx, d) == nil {
			signal(w.killed)
		}
		return hang(ctx, d)
	}
}

// live lets time pass, over crashes.
func (w *deadly) live(d time.Duration) {
	for end := time.After(d); ; {
		select {
		case <-w.killed:
			w.kill()
		case <-end:
			settleDown()
			return
		}
	}
}

func (w *deadly) kill() {
	settleDown()
	w.crashes = append(w.crashes, w.since())
	w.crash()
	w.open()
	w.run()
	settleDown()
}

// TestPoison: one delivery that kills the process costs three crashes until its
// destination waits apart and five more until it is dead; all others get through.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		var poison atomic.Pointer[string]
		a := w.add("a", func(ctx context.Context, d destination.Delivery) error {
			if p := poison.Load(); p != nil && d.ID == *p {
				return w.kills(time.Second)(ctx, d)
			}
			return takes(time.Second)(ctx, d)
		})
		b := w.add("b", takes(time.Second))
		var told []Notice
		w.tell = func(n Notice) { told = append(told, n) }
		w.run()
		var items []store.Item
		for i := range 20 {
			items = append(items, w.accept(a, b)...)
			if i == 2 {
				bad := items[4].ID.String()
				poison.Store(&bad)
			}
		}
		w.live(40 * time.Minute)
		if d, as := w.record(items[4]); d.State != store.Dead || d.Reason != policy.DeadOfCrashes || d.Attempts != 0 || len(as) != 0 {
			t.Errorf("%+v, %d attempts", d, len(as))
		}
		for i, it := range items {
			if i != 4 {
				w.wantState(it, store.Delivered)
			}
		}
		if len(w.crashes) != suspects.ApartAfter+suspects.DeadAfter {
			t.Errorf("crashes at %v", w.crashes)
		}
		if len(told) != 1 || told[0].Name != DeliveryDead || told[0].Reason != policy.DeadOfCrashes {
			t.Errorf("%+v", told)
		}
		if st := w.status(a); st.Apart || !st.WaitsUntil.IsZero() || st.Reason != "" {
			t.Errorf("%+v", st)
		}
		w.close()
	})
}

// TestADestinationThatKillsAlways costs eight crashes in its first half hour and
// one an hour then, whatever waits for it, and nobody else waits for it.
func TestADestinationThatKillsAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		bad := w.add("bad", w.kills(time.Second))
		well := w.add("well", nil)
		w.run()
		w.acceptMany(50, bad)
		w.live(10 * time.Second)
		if st := w.status(bad); st.State != "active" || !st.Apart || st.WaitsUntil.Sub(w.now()) > time.Minute || !strings.Contains(st.Reason, "the process died") {
			t.Errorf("%+v", st)
		}
		if end, why := w.s.StartCheck(bad); end != nil || !strings.Contains(why, "the process died") {
			t.Errorf("it may be checked: %q", why)
		}
		for range 24 * 60 {
			it := w.accept(well)
			w.live(time.Second)
			w.wantState(it[0], store.Delivered)
			w.live(time.Minute - time.Second)
		}
		var gaps []time.Duration
		for i, at := range w.crashes[1:] {
			gaps = append(gaps, (at - w.crashes[i]).Round(time.Minute))
		}
		want := []time.Duration{0, 0, 1, 2, 4, 8, 16, 0, 60, 60} // the next delivery is tried as soon as one is dead
		for i, m := range want {
			if gaps[i] != m*time.Minute {
				t.Fatalf("crashes after %v", gaps)
			}
		}
		if n := len(w.crashes); n > suspects.ApartAfter+suspects.DeadAfter+25 {
			t.Errorf("%d crashes in a day, after %v", n, gaps)
		}
		t.Logf("%d crashes in a day; %d of 50 still wait", len(w.crashes), w.status(bad).Pending)
		w.close()
	})
}

// TestAHundredThatHang over three kills wait a minute, and each then for the trials
// of those before it, which take five seconds each; others do not wait at all.
func TestAHundredThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		var hung []uint32
		for i := range 100 {
			hung = append(hung, w.add(fmt.Sprint("hangs", i), hang))
		}
		well := w.add("well", nil)
		w.run()
		for _, id := range hung {
			w.accept(id)
		}
		for range suspects.ApartAfter {
			pass(time.Second)
			w.kill()
		}
		for range 120 {
			it := w.accept(well)
			settleDown()
			w.wantState(it[0], store.Delivered)
			n := 0
			for _, id := range hung {
				if w.status(id).Apart {
					n += w.fars[id].running()
				}
			}
			if n > 6 { // 30 s in flight, one begins each 5 s
				t.Errorf("%d trials in flight", n)
			}
			w.live(5 * time.Second)
		}
		last := time.Duration(0)
		for i, id := range hung {
			hits := w.fars[id].seen()
			if len(hits) == 0 {
				t.Fatalf("%d was never tried", i)
			}
			last = max(last, hits[0].at-w.crashes[2])
			if w.status(id).Apart {
				t.Errorf("%d waits apart although its trial has ended", i)
			}
		}
		if want := time.Minute + 99*trialTime; last != want {
			t.Errorf("the last was tried after %v, want %v", last, want)
		}
		w.close()
	})
}

// TestASlowKillerAmongOthers that hang is dead in the end, and nobody else, though
// it kills later than a trial takes.
func TestASlowKillerAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		bad := w.add("bad", w.kills(2*trialTime+time.Second))
		var items []store.Item
		for i := range 15 {
			w.add(fmt.Sprint("hangs", i), hang)
		}
		w.run()
		killer := w.accept(bad)[0]
		for id := range w.answers {
			if id != bad {
				items = append(items, w.accept(id)...)
			}
		}
		w.live(10 * time.Hour)
		w.wantState(killer, store.Dead)
		if d, _ := w.record(killer); d.Reason != policy.DeadOfCrashes {
			t.Errorf("%+v", d)
		}
		for _, it := range items {
			if d, _ := w.record(it); d.Attempts == 0 || d.Reason == policy.DeadOfCrashes {
				t.Errorf("%+v", d)
			}
		}
		t.Logf("%d crashes", len(w.crashes))
		w.close()
	})
}

// TestACheckThatKills is made at growing distances, which keep nothing else waiting.
func TestACheckThatKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		a := w.add("a", nil)
		w.run()
		made := 0
		for at := time.Duration(0); at < 24*time.Hour; at += time.Minute {
			it := w.accept(a)
			settleDown()
			w.wantState(it[0], store.Delivered)
			if end, _ := w.s.StartCheck(a); end != nil {
				made++
				w.kill()
			}
			w.live(time.Minute)
		}
		if made > 6+24 || made < 24 {
			t.Errorf("it killed %d times in a day", made)
		}
		end, why := w.s.StartCheck(a)
		for ; end == nil; end, why = w.s.StartCheck(a) {
			if !strings.Contains(why, "the process died during its last check") {
				t.Error(why)
			}
			w.live(time.Minute)
		}
		end()
		w.kill()
		if end, why := w.s.StartCheck(a); end == nil {
			t.Errorf("not checked after one has gone well: %s", why)
		} else {
			end()
		}
		w.close()
	})
}

// TestChangedSettingsAreTriedAtOnce, and what is removed is forgotten.
func TestChangedSettingsAreTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		a, b := w.add("a", hang), w.add("b", hang)
		w.run()
		items := w.accept(a, b)
		for range suspects.ApartAfter {
			w.kill()
		}
		w.reload(a, "mended", nil)
		settleDown()
		w.wantState(items[0], store.Delivered)
		if w.status(a).Apart || !w.status(b).Apart {
			t.Errorf("%+v, %+v", w.status(a), w.status(b))
		}
		current := w.targets[b].Current
		w.targets[b].Removed, w.targets[b].Current = true, nil
		w.apply()
		w.targets[b].Removed, w.targets[b].Current = false, current
		current.Destination = &far{name: "back", rig: w.rig}
		w.apply()
		settleDown()
		w.wantState(items[1], store.Delivered)
		delete(w.answers, a)
		w.close()
	})
}

// TestAStopDuringATrial says nothing: what it cut is tried again.
func TestAStopDuringATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		a := w.add("a", hang)
		w.run()
		it := w.accept(a)[0]
		for range suspects.ApartAfter {
			w.kill()
		}
		w.live(time.Minute)
		if w.fars[a].running() != 1 {
			t.Fatal("no trial after a minute")
		}
		w.stop()
		w.run()
		settleDown()
		if !w.status(a).Apart {
			t.Error("served as before although its trial was cut")
		}
		w.live(31 * time.Second)
		if d, _ := w.record(it); w.status(a).Apart || d.Attempts != 1 {
			t.Errorf("%+v", d)
		}
		w.close()
	})
}

// TestATrialIsOneDelivery of the destination, whatever settings its deliveries go out with.
func TestATrialIsOneDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		a := w.add("a", fails)
		w.targets[a].Current.Frozen = true
		frozen := *w.targets[a].Current
		w.run()
		w.accept(a)
		w.live(time.Second) // its retries keep these settings
		w.stop()
		w.answers[a] = hang
		w.targets[a].Current.Hash++
		var old *far
		w.rig.frozen[frozen.Hash] = func() *Settings {
			s := frozen
			old = &far{name: "old", rig: w.rig, answer: hang}
			s.Destination = old
			return &s
		}
		w.run()
		w.accept(a)
		w.live(40 * time.Second)
		running := func() (n int) {
			if n = w.fars[a].running(); old != nil {
				n += old.running()
			}
			return n
		}
		for range suspects.ApartAfter {
			old = nil
			w.kill()
		}
		if n := running(); n != 0 {
			t.Errorf("%d in flight while it waits apart", n)
		}
		most := 0
		for range 60 {
			w.live(3 * time.Second)
			if most = max(most, running()); !w.status(a).Apart {
				break
			}
		}
		if most != 1 || w.status(a).Apart {
			t.Errorf("%d in flight in trials, it waits apart: %t", most, w.status(a).Apart)
		}
		w.close()
	})
}

// TestARebindKeepsCrashes of a delivery that was in flight at three crashes running:
// its crashes count on as its attempts do. What a person retries is tried anew.
func TestARebindKeepsCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newDeadly(t)
		a := w.add("a", fails)
		w.targets[a].Current.Frozen = true
		w.run()
		it := w.accept(a)[0]
		settleDown()
		w.crash()
		now, other := w.now().Add(time.Second), store.DeliveryID{Day: 20_000, Event: event.ID{1}, Dest: a}
		record := suspects.New(w.mem, now)
		apart := func() bool { return record.Known(suspects.OfDestination(a)).Apart() }
		for range suspects.ApartAfter {
			record.Begin(it.ID, apart())
			now = now.Add(time.Second)
			record = suspects.New(w.mem, now)
			record.End(record.Begin(other, apart()), other, true) // it is the delivery alone that keeps the destination apart
		}
		w.answers[a] = nil
		w.open()
		w.run()
		if n, err := w.s.Rebind(context.Background(), a); n != 1 || err != nil {
			t.Fatalf("%d rebound: %v", n, err)
		}
		w.live(45 * time.Second) // it is due in 30 s
		if n := len(w.fars[a].seen()); !w.status(a).Apart || n != 0 {
			t.Errorf("rebound, it waits apart: %t, %d attempts", w.status(a).Apart, n)
		}
		w.move(store.Retry, it)
		settleDown()
		w.wantState(it, store.Delivered)
		if w.status(a).Apart {
			t.Error("it waits apart still although its delivery is tried anew")
		}
		w.close()
	})
}
