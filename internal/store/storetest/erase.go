package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func eraseCases() []scenario {
	return []scenario{
		{"bodies and names go and the log stays", 0, eraseUser},
		{"nobody else is touched", 0, eraseOthers},
		{"reasons and last answers quote nothing", 0, eraseQuotes},
		{"nothing is retried", 0, eraseRetry},
		{"an attempt that was in flight", 0, eraseInFlight},
		{"twice, and somebody unknown", 0, eraseTwice},
		{"comes in chunks", 0, eraseChunks},
		{"what has expired", 0, eraseExpired},
		{"keys go on refusing duplicates", 0, eraseKeyed},
		{"events that come later stay", 0, eraseLater},
		{"while events arrive", 0, eraseBusy},
		{"while it is retried", 0, eraseRetryRace},
		{"a whole developer", 0, eraseWhole},
		{"a whole developer, over days", 0, eraseWholeDays},
		{"survives a power failure", needCrash, eraseDurable},
	}
}

// of makes an entry of a user of a developer.
func (r *rig) of(developer, user string, to ...uint32) *store.Entry {
	e := r.entry(to...)
	e.Event.Developer, e.Event.UserID = developer, user
	e.Event.Trace = &event.Trace{Sent: event.TraceContext{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "who=" + user}}
	e.Event.Body = fmt.Appendf(nil, `{"user":%q,"n":%d}`, user, r.n)
	return e
}

func (r *rig) erase(developer, user string) store.ErasureReport {
	r.Helper()
	rep, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: developer, User: user, By: "operator"}, nil)
	r.must("erase", err)
	return rep
}

// erased fails the case unless nothing of the user is left in an event.
func (r *rig) erased(id event.ID, user string) {
	r.Helper()
	_, err := r.s.Event(r.ctx, id.Day(), id)
	r.wants("an erased body", err, store.ErrNotFound)
	rec := r.record(id)
	if rec.Gone != "erased" || strings.Contains(rec.Event.UserID, user) || rec.Event.Reference != "" || rec.Event.Trace != nil {
		r.Errorf("the record of an erased event: %+v", rec)
	}
}

func eraseUser(r *rig) {
	dests := r.dests(4)
	var items []store.Item
	for range 3 {
		items = append(items, r.append(r.of("acme", "ann-42", dests...))[0].Items...)
		r.advance(time.Hour)
	}
	alone := r.append(r.of("acme", "ann-42"))[0].ID
	r.settle(r.delivered(items[0]), r.rejected(items[1]), r.failed(items[2], time.Hour, 5))
	r.move(store.Cancel, items[3].ID)
	_, attempts := r.delivery(items[2].ID)
	attempts[0].Answer = "" // which may quote the body
	seen := map[store.DeliveryID]bool{}
	rep, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "ann-42", By: "operator"}, func(ms []store.Moved) {
		for _, m := range ms {
			if m.Err != nil || m.From != store.Pending || m.To != store.Cancelled || m.Was.Dest != m.ID.Dest || m.Item != (store.Item{}) || seen[m.ID] {
				r.Errorf("cancelled: %+v", m)
			}
			seen[m.ID] = true
			r.stands(m.ID, store.Cancelled)
		}
	})
	r.must("erase", err)
	if rep.Events != 4 || rep.Cancelled != 9 || len(seen) != 9 {
		r.Errorf("report %+v, %d seen; want 4 events and 9 cancelled", rep, len(seen))
	}
	for range 2 {
		for i, it := range items {
			want := store.Cancelled
			if i < 2 {
				want = []store.State{store.Delivered, store.Dead}[i]
			}
			r.stands(it.ID, want)
			r.erased(it.ID.Event, "ann-42")
		}
		r.erased(alone, "ann-42")
		r.queues()
		if got := r.events(r.s, store.EventQuery{User: "ann-42"}); len(got) != 0 {
			r.Errorf("%d events are found under the name", len(got))
		}
		if got := r.events(r.s, store.EventQuery{Developers: []string{"acme"}, Types: []string{"activity"}}); len(got) != 4 {
			r.Errorf("%d events are in the log, want 4", len(got))
		}
		if _, got := r.delivery(items[2].ID); !slices.Equal(got, attempts) {
			r.Errorf("attempts %+v became %+v", attempts, got)
		}
		r.counts(dests[0], store.Counts{Accepted: 3, Delivered: 1, Cancelled: 2})
		r.balanced()
		r.reopen()
	}
}

func eraseOthers(r *rig) {
	d := r.dest()
	var others []store.Item
	for _, who := range [][2]string{{"acme", "ann"}, {"acme", "ann-42 "}, {"acme", "ann-4"}, {"acme", "ann-421"}, {"acme", "ANN-42"}, {"globex", "ann-42"}, {"acm", "eann-42"}, {"acme", ""}, {"acme", "ann-42\x00"}, {"acmeann", "-42"}} {
		others = append(others, r.append(r.of(who[0], who[1], d))[0].Items...)
	}
	before := r.dump(r.s, true)
	it := r.append(r.of("acme", "ann-42", d))[0].Items[0]
	if rep := r.erase("acme", "ann-42"); rep.Events != 1 || rep.Cancelled != 1 {
		r.Errorf("report %+v", rep)
	}
	r.erased(it.ID.Event, "ann-42")
	counts := fmt.Sprintf("%+v", r.s.Counts(d))
	for _, l := range r.dump(r.s, true) {
		if !slices.Contains(before, l) && !strings.Contains(l, it.ID.Event.String()) && !strings.Contains(l, counts) {
			r.Errorf("changed by the erasure of another: %s", l)
		}
	}
	for _, it := range others {
		r.stands(it.ID, store.Pending)
	}
}

// eraseQuotes: why something is dead, and what a destination answered last, may repeat the body.
func eraseQuotes(r *rig) {
	keys := []store.DestinationKey{{Developer: "acme", Name: "a", Kind: "webhook"}, {Developer: "acme", Name: "b", Kind: "webhook"}, {Developer: "globex", Name: "a", Kind: "webhook"}}
	dests := r.register(keys...)
	var items []store.Item
	for _, user := range []string{"ann", "bob"} {
		it := r.append(r.of("acme", user, dests[0]))[0].Items[0]
		o := r.rejected(it)
		o.Reason = "rejected: no room for " + user + ": full"
		r.settle(o)
		items = append(items, it)
	}
	last := store.Last{Success: 5, Answer: store.Answer{At: 6, Class: "rejected", Code: 422, Text: "no room for ann", Fault: "ann"}, Failed: 1, Settings: 7}
	quiet := store.Last{Success: 9}
	r.must("set last", r.s.SetLast(r.ctx, map[uint32]store.Last{dests[0]: last, dests[1]: quiet, dests[2]: last}))
	r.erase("acme", "ann")
	mute := last
	mute.Answer.Text, mute.Answer.Fault = "", ""
	for range 2 {
		for i, want := range []string{"rejected", "rejected: no room for bob: full"} {
			if got, _ := r.delivery(items[i].ID); got.Reason != want {
				r.Errorf("reason %q, want %q", got.Reason, want)
			}
		}
		all := r.registered()
		for i, want := range []store.Last{mute, quiet, last} {
			if got := all[dests[i]].Last; got != want {
				r.Errorf("of %v: %+v, want %+v", keys[i], got, want)
			}
		}
		r.balanced()
		r.reopen()
	}
}

func eraseRetry(r *rig) {
	d := r.dest()
	a, b := r.append(r.of("acme", "ann", d))[0].Items[0], r.append(r.of("acme", "ann", d))[0].Items[0]
	r.settle(r.delivered(a))
	r.erase("acme", "ann")
	for _, it := range []store.Item{a, b} {
		m := r.move(store.Retry, it.ID)[0]
		if !errors.Is(m.Err, store.ErrNotFound) && !errors.Is(m.Err, store.ErrConflict) {
			r.Errorf("retrying what was erased: %+v", m)
		}
	}
	r.queues()
	r.counts(d, store.Counts{Accepted: 2, Delivered: 1, Cancelled: 1})
}

func eraseInFlight(r *rig) {
	d := r.dest()
	a, b := r.append(r.of("acme", "ann", d))[0].Items[0], r.append(r.of("acme", "ann", d))[0].Items[0]
	r.erase("acme", "ann")
	out := r.settle(r.delivered(a), r.failed(b, time.Hour, 0))
	if !out[0].Stale || out[0].State != store.Delivered || !out[1].Stale || out[1].State != store.Cancelled {
		r.Errorf("settled %+v", out)
	}
	r.counts(d, store.Counts{Accepted: 2, Delivered: 1, Cancelled: 1})
	r.erased(a.ID.Event, "ann")
	for _, it := range []store.Item{a, b} {
		if _, tries := r.delivery(it.ID); len(tries) != 1 || tries[0].Answer != "" {
			r.Errorf("attempts that ended after the erasure: %+v, want one without an answer, which may quote the body", tries)
		}
	}
}

func eraseTwice(r *rig) {
	d := r.dest()
	r.append(r.of("acme", "ann", d))
	r.erase("acme", "ann")
	before := r.dump(r.s, true)
	for _, who := range []string{"ann", "nobody", "", "\xff"} {
		if rep := r.erase("acme", who); rep != (store.ErasureReport{}) {
			r.Errorf("erasing %q: %+v", who, rep)
		}
	}
	r.same("erased again", r.dump(r.s, true), before)
}

func eraseChunks(r *rig) {
	dests := r.dests(3)
	for range 4 {
		batch := make([]*store.Entry, 300)
		for i := range batch {
			batch[i] = r.of("acme", "ann", dests...)
		}
		r.append(batch...)
		r.advance(20 * time.Hour)
	}
	seen := 0
	rep, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "ann", By: "x"}, func(ms []store.Moved) { seen += len(ms) })
	r.must("erase", err)
	if rep.Events != 1200 || rep.Cancelled != 3600 || seen != 3600 {
		r.Errorf("report %+v, %d seen", rep, seen)
	}
	r.counts(dests[1], store.Counts{Accepted: 1200, Cancelled: 1200})
}

func eraseExpired(r *rig) {
	d := r.dest()
	id := r.append(r.of("acme", "ann", d))[0].ID
	r.now = midnight(r.now).Add(3 * day)
	keep := store.Retention{Events: day, Attempts: 30 * day}
	r.retain(keep)
	r.erase("acme", "ann")
	if rec := r.record(id); rec.Gone == "" || strings.Contains(rec.Event.UserID, "ann") {
		r.Errorf("the name outlived its erasure: %+v", rec)
	}
	if got := r.events(r.s, store.EventQuery{User: "ann"}); len(got) != 0 {
		r.Errorf("%d events are found under the name", len(got))
	}
	later := r.append(r.of("acme", "bob", d))[0].ID
	r.erase("acme", "bob")
	r.advance(3 * day)
	r.retain(keep)
	if rec := r.record(later); rec.Gone == "" || strings.Contains(rec.Event.UserID, "bob") {
		r.Errorf("the name came back when the body aged out: %+v", rec)
	}
}

// eraseKeyed: a producer that sends again what was erased does not bring it back.
func eraseKeyed(r *rig) {
	d := r.dest()
	e := r.of("acme", "ann", d)
	e.IdempotencyKey = "k"
	first := r.append(e)[0]
	r.erase("acme", "ann")
	first.Reference = "" // which may name the user
	for range 2 {
		again := r.of("acme", "ann", d)
		again.IdempotencyKey, again.Event.Body = "k", e.Event.Body
		r.duplicates(again, first)
		r.reopen()
	}
	r.erased(first.ID, "ann")
	r.counts(d, store.Counts{Accepted: 1, Cancelled: 1})
}

func eraseLater(r *rig) {
	d := r.dest()
	r.append(r.of("acme", "ann", d))
	r.erase("acme", "ann")
	it := r.append(r.of("acme", "ann", d))[0].Items[0]
	r.reopen()
	r.stands(it.ID, store.Pending)
	if got := r.events(r.s, store.EventQuery{User: "ann"}); len(got) != 1 || got[0].Gone != "" {
		r.Errorf("events under the name: %+v", got)
	}
	if rep := r.erase("acme", "ann"); rep.Events != 1 || rep.Cancelled != 1 {
		r.Errorf("report %+v", rep)
	}
}

// eraseBusy: whatever was acknowledged before the erasure began is gone after it, and the rest is whole.
func eraseBusy(r *rig) {
	d := r.dest()
	var before []event.ID
	for range 300 {
		before = append(before, r.append(r.of("acme", "ann", d))[0].ID)
	}
	entries := make([]*store.Entry, 300)
	for i := range entries {
		entries[i] = r.of("acme", "ann", d)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range entries {
			if _, err := r.s.Append(r.ctx, r.now, entries[i:i+1]); err != nil {
				r.Errorf("append: %v", err)
			}
		}
	})
	r.erase("acme", "ann")
	wg.Wait()
	for _, id := range before {
		r.erased(id, "ann")
	}
	r.balanced()
	r.erase("acme", "ann")
	if got := r.events(r.s, store.EventQuery{User: "ann"}); len(got) != 0 {
		r.Errorf("%d events are found under the name", len(got))
	}
	r.counts(d, store.Counts{Accepted: 600, Cancelled: 600})
}

// eraseRetryRace retries by hand what is being erased at that moment.
func eraseRetryRace(r *rig) {
	d := r.dest()
	for n := range 30 {
		user := fmt.Sprint("user-", n, "-")
		var ids []store.DeliveryID
		for i := range 4 {
			it := r.append(r.of("acme", user, d))[0].Items[0]
			if ids = append(ids, it.ID); i%2 == 0 {
				r.settle(r.delivered(it))
			}
		}
		r.all(2, func(side int) error {
			if side == 0 {
				_, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: user, By: "x"}, nil)
				return err
			}
			for i := range ids {
				if _, err := r.s.Move(r.ctx, r.now, store.Retry, ids[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		})
		for _, id := range ids {
			if rec, _ := r.delivery(id); rec.State == store.Pending {
				r.Errorf("what was erased is pending: %+v", rec)
			}
		}
	}
}

func eraseDurable(r *rig) {
	dests := r.dests(2)
	for range 50 {
		r.append(r.of("acme", "ann", dests...))
	}
	keep := r.append(r.of("acme", "bob", dests...))[0]
	r.erase("acme", "ann")
	r.crash()
	if got := r.events(r.s, store.EventQuery{User: "ann"}); len(got) != 0 {
		r.Errorf("%d events came back", len(got))
	}
	r.counts(dests[0], store.Counts{Accepted: 51, Pending: 1, Cancelled: 50})
	if rec := r.record(keep.ID); rec.Gone != "" {
		r.Errorf("somebody else's event: %+v", rec)
	}
}

func (r *rig) eraseAll(developer string) store.ErasureReport {
	r.Helper()
	rep, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: developer, Whole: true, By: "operator"}, nil)
	r.must("erase a developer", err)
	return rep
}

// eraseWhole: of all users, of none, what matched nobody, and what was erased before.
func eraseWhole(r *rig) {
	d, other := r.dest(), r.register(store.DestinationKey{Developer: "acme2", Name: "app", Kind: "webhook"})[0]
	mine := r.append(r.of("acme", "u1", d), r.of("acme", "u2", d), r.of("acme", "", d), r.of("acme", "u3"), r.of("acme", "gone", d))
	theirs := r.append(r.of("acme2", "u1", other), r.of("acme2", "", other))
	r.settle(r.delivered(mine[0].Items[0]))
	r.erase("acme", "gone")
	r.must("note", r.s.Note(r.ctx, r.now, []store.Act{
		{By: "a", Call: "pauseDestination", Developer: "acme", Object: "app", Reason: "u1 asked", Result: "ok", Count: 1},
		{By: "a", Call: "pauseDestination", Developer: "acme2", Object: "app", Reason: "u1 asked", Result: "ok", Count: 1},
	}))
	if rep := r.eraseAll("acme"); rep.Events != 4 || rep.Cancelled != 2 {
		r.Errorf("erased %+v", rep)
	}
	for _, a := range mine {
		r.erased(a.ID, "u")
	}
	for _, a := range theirs {
		if _, err := r.s.Event(r.ctx, a.ID.Day(), a.ID); err != nil {
			r.Errorf("somebody else's body: %v", err)
		}
	}
	found, err := r.s.Acts(r.ctx, store.ActQuery{Limit: 10})
	r.must("list acts", err)
	for _, a := range found.Items {
		if named := strings.Contains(a.Reason, "u1"); named != (a.Developer == "acme2") || a.Object != "app" {
			r.Errorf("an act after the erasure: %+v", a)
		}
	}
	r.counts(d, store.Counts{Accepted: 4, Delivered: 1, Cancelled: 3})
	r.counts(other, store.Counts{Accepted: 2, Pending: 2})
	if rep := r.eraseAll("acme"); rep != (store.ErasureReport{}) {
		r.Errorf("again: %+v", rep)
	}
	if rep := r.eraseAll("nobody"); rep != (store.ErasureReport{}) {
		r.Errorf("nobody: %+v", rep)
	}
	after := r.append(r.of("acme", "u1", d))[0]
	if _, err := r.s.Event(r.ctx, after.ID.Day(), after.ID); err != nil {
		r.Errorf("an event that came later: %v", err)
	}
}

// eraseWholeDays: a body that a replay has carried to a day of its own goes, too,
// also when the event's own day is gone.
func eraseWholeDays(r *rig) {
	d := r.dest()
	it := r.append(r.of("acme", "", d))[0].Items[0]
	r.settle(r.rejected(it))
	r.advance(20 * day)
	again := r.made(r.replay(1, r.want(it))[0], 1, r.want(it))
	_, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: 7 * day, Attempts: 7 * day}, nil)
	r.must("retain", err)
	if rep := r.eraseAll("acme"); rep.Cancelled != 1 {
		r.Errorf("erased %+v", rep)
	}
	_, err = r.s.Event(r.ctx, again.ID.Day, again.ID.Event)
	r.wants("a body that was carried", err, store.ErrNotFound)
}
