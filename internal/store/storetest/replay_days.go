package storetest

import (
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Cases of replays on another day than that of the event.

func replayDayCases() []scenario {
	return []scenario{
		{"the body is carried forward", 0, replayCarried},
		{"a copy of a copy", 0, replayCopied},
		{"one body for all destinations", 0, replayShared},
		{"can be repeated past midnight", 0, replayMidnight},
		{"never beside what another day made pending", 0, replayOtherDay},
		{"nothing without its body", 0, replayGone},
		{"expires with its day", 0, replayExpires},
		{"is erased", 0, replayErased},
		{"is erased when nothing else is left", 0, replayErasedAlone},
		{"while it is erased", 0, replayEraseRace},
		{"while its body goes", 0, replayRetainRace},
		{"ids go on behind the newest", 0, replayIDs},
	}
}

func replayCarried(r *rig) {
	d := r.dest()
	e := r.of("acme", "ann", d)
	it := r.append(e)[0].Items[0]
	r.settle(r.rejected(it))
	r.advance(2 * day)
	w := r.want(it)
	again := r.made(r.replay(1, w)[0], 1, w)
	if again.ID.Day != it.ID.Day+2 || again.Ordering != it.Ordering {
		r.Errorf("carried as %+v, was %+v", again, it)
	}
	if n := len(r.events(r.s, store.EventQuery{})); n != 1 {
		r.Errorf("%d events are listed, want the one", n)
	}
	if n := len(r.events(r.s, store.EventQuery{Developers: []string{"acme"}, User: "ann"})); n != 1 {
		r.Errorf("%d events of the user are listed, want the one", n)
	}
	r.balanced()
	r.advance(day) // bodies of two days ago go, the copy stays
	r.retain(store.Retention{Events: 2 * day, Attempts: 2 * day})
	for range 2 {
		got, err := r.s.Event(r.ctx, again.ID.Day, again.ID.Event)
		r.must("the copy", err)
		if string(got.Body) != string(e.Event.Body) || !sameTrace(got.Trace, e.Event.Trace) || got.Developer != "acme" || got.Type != "activity" || got.UserID != "ann" ||
			got.Reference != e.Event.Reference || !got.Ordering.Equal(e.Event.Ordering) || got.ID != it.ID.Event || !got.Versioned {
			r.Errorf("the copy is %+v, was %+v", got, e.Event)
		}
		_, _, err = r.s.Delivery(r.ctx, it.ID)
		r.wants("the first delivery, aged out", err, store.ErrNotFound)
		r.stands(again.ID, store.Pending)
		r.counts(d, store.Counts{Accepted: 1, Pending: 1})
		r.balanced()
		r.reopen()
	}
	r.settle(r.delivered(again))
}

// replayCopied replays from a copy what has nothing else left.
func replayCopied(r *rig) {
	d := r.dest()
	it := r.dead(d)
	body, err := r.s.Event(r.ctx, it.ID.Day, it.ID.Event)
	r.must("event", err)
	for n := range uint32(6) {
		r.advance(2 * day)
		w := r.want(it)
		it = r.made(r.replay(n+1, w)[0], n+1, w)
		r.settle(r.rejected(it))
		r.retain(store.Retention{Events: day, Attempts: day})
		r.counts(d, store.Counts{Accepted: 1, Dead: 1})
	}
	if e, err := r.s.Event(r.ctx, it.ID.Day, it.ID.Event); err != nil || string(e.Body) != string(body.Body) {
		r.Errorf("after twelve days the body is %+v, %v", e, err)
	}
}

func replayShared(r *rig) {
	dests := r.dests(3)
	id := r.append(r.entry())[0].ID
	r.advance(day)
	var wants []store.Want
	for _, d := range dests {
		wants = append(wants, store.Want{Event: id, Day: id.Day(), Dest: d, Due: r.now.UnixNano()})
	}
	out := r.replay(1, wants[:2]...)
	out = append(out, r.replay(1, wants[2:]...)...)
	for i, m := range out {
		r.made(m, 1, wants[i])
	}
	if n := len(r.deliveries(r.s, store.DeliveryQuery{Event: id})); n != 3 {
		r.Errorf("%d deliveries of the event, want 3", n)
	}
}

func replayMidnight(r *rig) {
	d := r.dest()
	r.now = midnight(r.now).Add(day - time.Second)
	w := r.want(r.dead(d))
	it := r.made(r.replay(1, w)[0], 1, w)
	for range 3 {
		r.advance(day)
		again := r.want(it)
		again.Day = w.Day
		if m := r.replay(1, again)[0]; m != (store.Moved{ID: it.ID, From: store.Pending, To: store.Pending, Was: it.Queue, Item: it}) {
			r.Errorf("repeated on another day: %+v", m)
		}
		r.reopen()
	}
	r.settle(r.delivered(it))
	if m := r.replay(1, w)[0]; m != (store.Moved{ID: it.ID, From: store.Delivered, To: store.Delivered}) {
		r.Errorf("repeated when it was delivered: %+v", m)
	}
	r.counts(d, store.Counts{Accepted: 2, Dead: 1, Delivered: 1})
}

func replayOtherDay(r *rig) {
	d := r.dest()
	it := r.dead(d)
	r.advance(day)
	second := r.made(r.replay(1, r.want(it))[0], 1, r.want(it))
	r.advance(day)
	r.wants("beside a replay of yesterday", r.replay(2, r.want(it))[0].Err, store.ErrConflict)
	r.wants("of its copy", r.replay(3, r.want(second))[0].Err, store.ErrConflict)
	r.settle(r.rejected(second))
	third := r.made(r.replay(4, r.want(second))[0], 4, r.want(second))
	r.wants("of the first, beside a copy of its copy", r.replay(5, r.want(it))[0].Err, store.ErrConflict)
	r.settle(r.delivered(third))
	r.made(r.replay(6, r.want(it))[0], 6, r.want(it))
	r.counts(d, store.Counts{Accepted: 4, Dead: 2, Delivered: 1, Pending: 1})
}

func replayGone(r *rig) {
	d := r.dest()
	it := r.dead(d)
	erased := r.append(r.of("acme", "ann", d))[0].Items[0]
	r.settle(r.rejected(erased))
	r.erase("acme", "ann")
	r.wants("what was erased", r.replay(1, r.want(erased))[0].Err, store.ErrNotFound)
	r.now = midnight(r.now).Add(3 * day)
	r.retain(store.Retention{Events: day, Attempts: 30 * day})
	r.wants("what has expired", r.replay(1, r.want(it))[0].Err, store.ErrNotFound)
	r.retain(store.Retention{Events: day, Attempts: day})
	r.wants("what has aged out", r.replay(1, r.want(it))[0].Err, store.ErrNotFound)
	r.queues()
	r.counts(d, store.Counts{})
}

func replayExpires(r *rig) {
	d := r.dest()
	it := r.dead(d)
	r.advance(2 * day)
	again := r.replay(1, r.want(it))[0].Item
	keep := store.Retention{Events: 2 * day, Attempts: 4 * day}
	r.advance(day)
	if rep := r.retain(keep); rep.Expired != 0 {
		r.Errorf("report %+v: it is young", rep)
	}
	r.advance(2 * day)
	var seen []store.Moved
	rep, err := r.s.Retain(r.ctx, r.now, keep, func(ms []store.Moved) { seen = append(seen, ms...) })
	r.must("retain", err)
	if rep.Expired != 1 || len(seen) != 1 || seen[0].ID != again.ID {
		r.Errorf("report %+v, seen %+v, want %v expired", rep, seen, again.ID)
	}
	if rec, _ := r.delivery(again.ID); rec.State != store.Dead || rec.Reason != "expired" {
		r.Errorf("it is %+v", rec)
	}
	_, err = r.s.Event(r.ctx, again.ID.Day, again.ID.Event)
	r.wants("the copy, expired", err, store.ErrNotFound)
	r.wants("retrying it", r.move(store.Retry, again.ID)[0].Err, store.ErrNotFound)
	r.balanced()
	r.advance(2 * day)
	r.retain(keep)
	r.counts(d, store.Counts{})
}

// copied posts an event of ann and replays it a day and two days later. The first replay failed once.
func (r *rig) copied(d uint32) (first, second, third store.Item) {
	r.Helper()
	first = r.append(r.of("acme", "ann", d))[0].Items[0]
	r.settle(r.rejected(first))
	r.advance(day)
	second = r.replay(1, r.want(first))[0].Item
	r.settle(r.rejected(second))
	r.advance(day)
	third = r.replay(2, r.want(second))[0].Item
	third = r.settle(r.failed(third, time.Hour, 5))[0].Item
	return first, second, third
}

// wiped fails the case unless nothing of ann is left in these deliveries.
func (r *rig) wiped(its ...store.Item) {
	r.Helper()
	for _, it := range its {
		_, err := r.s.Event(r.ctx, it.ID.Day, it.ID.Event)
		r.wants("an erased body", err, store.ErrNotFound)
		rec, tries := r.delivery(it.ID)
		if rec.State == store.Pending {
			r.Errorf("%v is pending after its erasure", it.ID)
		}
		for _, a := range tries {
			if a.Answer != "" {
				r.Errorf("an answer outlived the erasure: %+v", a)
			}
		}
		r.wants("replaying it", r.replay(9, r.want(it))[0].Err, store.ErrNotFound)
	}
	r.queues()
}

func replayErased(r *rig) {
	d := r.dest()
	first, second, third := r.copied(d)
	if rep := r.erase("acme", "ann"); rep != (store.ErasureReport{Events: 1, Cancelled: 1}) {
		r.Errorf("report %+v, want one event and one delivery", rep)
	}
	for range 2 {
		r.wiped(first, second, third)
		r.counts(d, store.Counts{Accepted: 3, Dead: 2, Cancelled: 1})
		r.balanced()
		r.reopen()
	}
	if rep := r.erase("acme", "ann"); rep != (store.ErasureReport{}) {
		r.Errorf("erased again: %+v", rep)
	}
}

// replayErasedAlone: a copy that has outlived its event is found by an erasure too.
func replayErasedAlone(r *rig) {
	d := r.dest()
	_, second, third := r.copied(d)
	r.now = midnight(r.now).Add(day)
	r.retain(store.Retention{Events: 2 * day, Attempts: 2 * day})
	if _, err := r.s.EventRecord(r.ctx, third.ID.Event); err == nil {
		r.Fatalf("the event itself is still there")
	}
	if rep := r.erase("acme", "ann"); rep != (store.ErasureReport{Events: 1, Cancelled: 1}) {
		r.Errorf("report %+v, want one event and one delivery", rep)
	}
	r.wiped(second, third)
	r.counts(d, store.Counts{Accepted: 2, Dead: 1, Cancelled: 1})
}

// replayEraseRace replays what is being erased at that moment.
func replayEraseRace(r *rig) {
	d := r.dest()
	for n := range uint32(30) {
		user := "user-" + strings.Repeat("x", int(n))
		var its []store.Item
		var wants []store.Want
		for range 4 {
			it := r.append(r.of("acme", user, d))[0].Items[0]
			r.settle(r.rejected(it))
			its = append(its, it)
		}
		r.advance(day)
		for _, it := range its {
			wants = append(wants, r.want(it))
		}
		r.all(2, func(side int) (err error) {
			if side == 0 {
				_, err = r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: user, By: "x"}, nil)
				return err
			}
			for i := range wants {
				if _, err := r.s.Replay(r.ctx, r.now, n+1, wants[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		})
		if rep := r.erase("acme", user); rep != (store.ErasureReport{}) {
			r.Errorf("something was left: %+v", rep)
		}
		for _, it := range its {
			for _, rec := range r.deliveries(r.s, store.DeliveryQuery{Event: it.ID.Event}) {
				if rec.State == store.Pending {
					r.Errorf("what was erased is pending: %+v", rec)
				}
			}
			_, err := r.s.Event(r.ctx, event.DayOf(r.now), it.ID.Event)
			r.wants("a copy of what was erased", err, store.ErrNotFound)
		}
	}
}

// replayRetainRace replays what retention is taking at that moment.
func replayRetainRace(r *rig) {
	d := r.dest()
	r.now = midnight(r.now)
	for n := range uint32(40) {
		var its []store.Item
		for range 4 {
			its = append(its, r.dead(d))
		}
		r.now = midnight(r.now).Add(2 * day)
		var wants []store.Want
		for _, it := range its {
			wants = append(wants, r.want(it))
		}
		made := make([]store.Moved, len(wants))
		r.all(2, func(side int) error {
			if side == 0 {
				_, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: day, Attempts: 300 * day}, nil)
				return err
			}
			for i := range wants {
				ms, err := r.s.Replay(r.ctx, r.now, n+1, wants[i:i+1])
				if err != nil {
					return err
				}
				made[i] = ms[0]
			}
			return nil
		})
		for i, m := range made {
			if m.Err == nil {
				r.stands(m.ID, store.Pending)
				r.hasBody(m.ID, int64(its[i].Size))
			}
		}
	}
}

// replayIDs: a copy of an old event on the newest day does not make ids run backward.
func replayIDs(r *rig) {
	d := r.dest()
	old := r.dead(d)
	r.advance(day)
	last := r.post(d)[0]
	r.advance(day)
	r.replay(1, r.want(old))
	r.reopen()
	r.advance(-3 * day)
	r.increasing(last.ID.Event, r.post(d)[0].ID.Event)
}
