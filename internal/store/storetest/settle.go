package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func settleCases() []scenario {
	return []scenario{
		{"every transition", 0, settleTransitions},
		{"a whole schedule", 0, settleSchedule},
		{"a batch belongs to its outcomes", 0, settleBatch},
		{"twice counts once", 0, settleTwice},
		{"twice in one batch", 0, settleTwiceInBatch},
		{"out of order", 0, settleOutOfOrder},
		{"reasons and counts are kept", 0, settleExtremes},
		{"of nothing known", 0, settleUnknown},
		{"of nothing", 0, func(r *rig) { r.settle() }},
		{"survives a reopen", 0, settleReopen},
	}
}

func settleTransitions(r *rig) {
	type want struct {
		state    store.State
		reason   string
		wait     time.Duration
		settings uint64
		attempts uint16
		logged   int
	}
	cancelled := func(it store.Item) store.Outcome {
		o := r.rejected(it)
		o.State, o.Reason, o.Attempt, o.Attempts = store.Cancelled, "by hand", nil, 0
		return o
	}
	out := r.outcomes()
	for name, c := range map[string]struct {
		of   func(store.Item) store.Outcome
		want want
	}{
		"delivered":   {out["delivered"], want{state: store.Delivered, attempts: 1, logged: 1}},
		"failed":      {out["failed"], want{state: store.Pending, wait: time.Minute, attempts: 1, logged: 1}},
		"frozen":      {out["frozen"], want{state: store.Pending, wait: time.Minute, settings: 77, attempts: 1, logged: 1}},
		"rejected":    {out["rejected"], want{state: store.Dead, reason: "rejected", attempts: 1, logged: 1}},
		"interrupted": {out["interrupted"], want{state: store.Pending, wait: time.Second, logged: 1}},
		"rebound":     {out["rebound"], want{state: store.Pending, logged: 1}},
		"untried":     {out["untried"], want{state: store.Pending, wait: time.Second}},
		"cancelled":   {cancelled, want{state: store.Cancelled, reason: "by hand"}},
	} {
		d := r.dest()
		r.advance(time.Second)
		it := r.post(d)[0]
		r.advance(time.Second)
		o := c.of(it)
		s := r.settle(o)[0]
		if s.Stale || s.State != c.want.state {
			r.Errorf("%s: settled as %+v, want %v", name, s, c.want.state)
		}
		rec, as := r.delivery(it.ID)
		w := store.DeliveryRecord{ID: it.ID, State: c.want.state, Reason: c.want.reason, Attempts: c.want.attempts, Changed: r.now.UnixNano()}
		if w.State == store.Pending {
			w.Due, w.Settings = r.now.Add(c.want.wait).UnixNano(), c.want.settings
			item := it
			item.Queue.Settings, item.Due, item.Attempts, item.Version = w.Settings, w.Due, w.Attempts, s.Item.Version
			if s.Item != item {
				r.Errorf("%s: settled item %+v, want %+v", name, s.Item, item)
			}
			if s.Item.Version == it.Version {
				r.Errorf("%s: the row changed and kept its version", name)
			}
			if got := r.queue(item.Queue); len(got) != 1 || got[0] != item {
				r.Errorf("%s: due offers %+v, settle gave %+v", name, got, item)
			}
		} else {
			rec.Due, rec.Settings = 0, 0
			r.queues()
		}
		if rec != w {
			r.Errorf("%s: delivery is %+v, want %+v", name, rec, w)
		}
		if len(as) != c.want.logged || len(as) == 1 && as[0] != *o.Attempt {
			r.Errorf("%s: attempts %+v, want %+v", name, as, o.Attempt)
		}
		r.balanced()
		if w.State == store.Pending {
			r.move(store.Cancel, it.ID)
		}
	}
}

// settleSchedule fails a delivery frozen at its first failure until it is dead, and looks at every step.
func settleSchedule(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	wait := 30 * time.Second
	for n := range uint16(8) {
		if it.Attempts != n {
			r.Fatalf("attempt %d: the item says %d", n, it.Attempts)
		}
		it = r.settle(r.failed(it, wait, 42))[0].Item
		if it.Queue != (store.QueueID{Dest: d, Settings: 42}) {
			r.Fatalf("attempt %d: queue %v", n, it.Queue)
		}
		r.counts(d, store.Counts{Accepted: 1, Pending: 1})
		r.queues(it.Queue)
		r.now = time.Unix(0, it.Due).UTC()
		wait *= 3
	}
	last := r.rejected(it)
	last.Reason = "attempts used up"
	r.settle(last)
	rec, as := r.delivery(it.ID)
	if rec.State != store.Dead || rec.Reason != "attempts used up" || rec.Attempts != 9 || len(as) != 9 {
		r.Errorf("in the end %+v with %d attempts", rec, len(as))
	}
	for i := 1; i < len(as); i++ {
		if as[i].At < as[i-1].At {
			r.Errorf("attempt %d is listed after a younger one", i)
		}
	}
	r.counts(d, store.Counts{Accepted: 1, Dead: 1})
	r.queues()
}

func settleExtremes(r *rig) {
	d := r.dest()
	want := map[store.DeliveryID]store.Outcome{}
	for i, reason := range []string{"", "x", "a\x00b|c", "\u4e16\u754c \"quoted\"", strings.Repeat("r", 5000), "\xff"} {
		o := r.rejected(r.post(d)[0])
		o.Reason, o.Attempts = reason, uint16(math.MaxUint16-i)
		if i%2 == 1 {
			o.State = store.Cancelled
		}
		want[o.Item.ID] = o
		r.settle(o)
	}
	o := r.failed(r.post(d)[0], time.Hour, math.MaxUint64)
	o.Attempts = math.MaxUint16
	want[o.Item.ID] = o
	r.settle(o)
	r.reopen()
	for id, o := range want {
		got, _ := r.delivery(id)
		if got.State != o.State || got.Reason != o.Reason || got.Attempts != o.Attempts || got.Due != o.Due || got.Settings != o.Settings {
			r.Errorf("delivery is %+v, want %+v", got, o)
		}
	}
}

func settleBatch(r *rig) {
	dests := r.dests(3)
	var outcomes []store.Outcome
	var want []store.State
	for i := range 60 {
		it := r.post(dests...)[i%3]
		switch i % 4 {
		case 0:
			outcomes, want = append(outcomes, r.delivered(it)), append(want, store.Delivered)
		case 1:
			outcomes, want = append(outcomes, r.failed(it, time.Duration(i)*time.Second, uint64(i%5))), append(want, store.Pending)
		case 2:
			outcomes, want = append(outcomes, r.rejected(it)), append(want, store.Dead)
		case 3:
			it.ID.Dest += 1000
			outcomes, want = append(outcomes, r.delivered(it)), append(want, 0)
		}
	}
	for i, s := range r.settle(outcomes...) {
		if s.State != want[i] || s.State == store.Pending && s.Item.ID != outcomes[i].Item.ID {
			r.Errorf("settled %d is %+v, want %v of %v", i, s, want[i], outcomes[i].Item.ID)
		}
	}
}

func settleTwice(r *rig) {
	for name, of := range r.outcomes() {
		d := r.dest()
		it := r.post(d)[0]
		o := of(it)
		first := r.settle(o)[0]
		rec, as := r.delivery(it.ID)
		counts := r.s.Counts(d)
		for range 2 {
			again := r.settle(o)[0]
			if !again.Stale || again.State != first.State || again.Item != first.Item {
				r.Errorf("%s: first %+v, again %+v", name, first, again)
			}
		}
		after, log := r.delivery(it.ID)
		if after != rec {
			r.Errorf("%s: settled twice, %+v became %+v", name, rec, after)
		}
		// The record of one and the same attempt may be kept once or each time.
		if len(log) < len(as) || o.Attempt == nil && len(log) != 0 {
			r.Errorf("%s: %d attempts, after settling thrice %d", name, len(as), len(log))
		}
		if got := r.s.Counts(d); got != counts {
			r.Errorf("%s: settled twice, %+v became %+v", name, counts, got)
		}
		r.balanced()
	}
}

func settleTwiceInBatch(r *rig) {
	for a, first := range r.outcomes() {
		for b, second := range r.outcomes() {
			name := fmt.Sprint(a, " then ", b)
			it := r.post(r.dest())[0]
			one, two := first(it), second(it)
			out := r.settle(one, two)
			want := one
			if two.State == store.Delivered {
				want = two
			}
			if out[0].Stale || out[0].State != one.State || !out[1].Stale || out[1].State != want.State {
				r.Errorf("%s: %+v", name, out)
			}
			rec, as := r.delivery(it.ID)
			if rec.State != want.State || rec.Reason != want.Reason || rec.State == store.Pending && (rec.Due != want.Due || rec.Settings != want.Settings) {
				r.Errorf("%s: delivery is %+v", name, rec)
			}
			// Of two attempts for one version the log may keep one: that of the outcome that stands.
			if want.Attempt != nil && !slices.Contains(as, *want.Attempt) {
				r.Errorf("%s: the log does not show why: %+v", name, as)
			}
		}
	}
}

// settleOutOfOrder settles the second schedule of a delivery before the attempt of the first has ended.
func settleOutOfOrder(r *rig) {
	d := r.dest()
	old := r.post(d)[0]
	fresh := r.move(store.Retry, old.ID)[0].Item
	again := r.settle(r.failed(fresh, time.Minute, 0))[0].Item
	late := r.settle(r.rejected(old))[0]
	if !late.Stale || late.State != store.Pending || late.Item != again {
		r.Errorf("the first schedule's end gave %+v, want %+v to stand", late, again)
	}
	r.settle(r.delivered(old))
	end := r.settle(r.failed(again, time.Hour, 0))[0]
	if !end.Stale || end.State != store.Delivered {
		r.Errorf("after it was delivered: %+v", end)
	}
	r.counts(d, store.Counts{Accepted: 1, Delivered: 1})
	if _, as := r.delivery(old.ID); len(as) < 3 || !slices.ContainsFunc(as, func(a store.Attempt) bool { return a.Class == "delivered" }) {
		r.Errorf("the log: %+v", as)
	}
}

func settleUnknown(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	for _, change := range []func(*store.Item){
		func(it *store.Item) { it.ID.Dest += 99; it.Queue.Dest += 99 },
		func(it *store.Item) { it.ID.Event = flip(it.ID.Event, 15) },
		func(it *store.Item) { it.ID.Event = event.ID{}; it.ID.Day = 0 },
		func(it *store.Item) { it.ID.Replay = 3 },
	} {
		gone := it
		change(&gone)
		for name, of := range r.outcomes() {
			if s := r.settle(of(gone))[0]; s.State != 0 {
				r.Errorf("%s of what was never made: %+v", name, s)
			}
			_, _, err := r.s.Delivery(r.ctx, gone.ID)
			r.wants("what was never made", err, store.ErrNotFound)
		}
	}
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
}

func settleReopen(r *rig) {
	dests := r.dests(4)
	for i := range 12 {
		its := r.post(dests...)
		r.settle(r.delivered(its[0]), r.failed(its[1], time.Hour, uint64(i%3)), r.rejected(its[2]), r.interrupted(its[3]))
		r.advance(time.Hour)
	}
	before := r.dump(r.s, true)
	r.reopen()
	r.same("after a reopen", r.dump(r.s, true), before)
	it := r.queue(store.QueueID{Dest: dests[1], Settings: 1})[0]
	if s := r.settle(r.delivered(it))[0]; s.Stale || s.State != store.Delivered {
		r.Errorf("an item read after the reopen settled as %+v", s)
	}
}
