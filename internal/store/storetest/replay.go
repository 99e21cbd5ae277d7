package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func replayCases() []scenario {
	return []scenario{
		{"a new delivery beside the old one", 0, replayNew},
		{"of every state", 0, replayStates},
		{"due when it says", 0, replayDue},
		{"can be repeated", 0, replayAgain},
		{"another replay", 0, replayAnother},
		{"a retry by hand doubles nothing either", 0, replayRetried},
		{"a retry of many leaves out what has arrived", 0, replayArrived},
		{"a batch belongs to its wants", 0, replayBatch},
		{"thousands at once", 0, replayThousands},
		{"of nothing known", 0, replayUnknown},
		{"zero is no replay", 0, replayZero},
		{"lives like any delivery", 0, replayLife},
		{"is listed as a delivery, not as an event", 0, replayLists},
		{"two at once", 0, replayRace},
		{"is refused while the store stalls", needStall, replayStalled},
		{"survives a power failure", needCrash, replayDurable},
	}
}

// want asks for the delivery it stands for once more, due now.
func (r *rig) want(it store.Item) store.Want {
	return store.Want{Event: it.ID.Event, Day: it.ID.Day, Dest: it.ID.Dest, Due: r.now.UnixNano()}
}

func (r *rig) replay(replay uint32, wants ...store.Want) []store.Moved {
	r.Helper()
	out, err := r.s.Replay(r.ctx, r.now, replay, wants)
	r.must("replay", err)
	if len(out) != len(wants) {
		r.Fatalf("replay gave %d results for %d wants", len(out), len(wants))
	}
	return out
}

// made fails the case unless m is a new delivery of what w wants, as it must be.
func (r *rig) made(m store.Moved, replay uint32, w store.Want) store.Item {
	r.Helper()
	r.must("replay", m.Err)
	id := store.DeliveryID{Day: max(w.Day, event.DayOf(r.now)), Event: w.Event, Dest: w.Dest, Replay: replay}
	e, err := r.s.Event(r.ctx, id.Day, id.Event)
	r.must("the body of a replayed delivery", err)
	it := store.Item{ID: id, Queue: store.QueueID{Dest: w.Dest}, Due: w.Due, Ordering: e.Ordering.UnixNano(),
		Size: uint32(len(e.Body)), Version: m.Item.Version}
	if want := (store.Moved{ID: id, To: store.Pending, Item: it}); m != want {
		r.Fatalf("replayed %+v, want %+v", m, want)
	}
	rec, tries := r.delivery(id)
	if want := (store.DeliveryRecord{ID: id, State: store.Pending, Due: w.Due, Changed: r.now.UnixNano()}); rec != want || len(tries) != 0 {
		r.Errorf("replayed as %+v with attempts %+v, want %+v", rec, tries, want)
	}
	if !slices.Contains(r.queue(it.Queue), it) {
		r.Errorf("%+v is not offered", it)
	}
	return it
}

// dead posts an event and ends its delivery, so that it can be replayed.
func (r *rig) dead(dest uint32) store.Item {
	r.Helper()
	it := r.post(dest)[0]
	r.settle(r.rejected(it))
	return it
}

func replayNew(r *rig) {
	d := r.dest()
	e := r.entry(d)
	e.Event.Ordering = r.now.Add(-100 * day)
	it := r.append(e)[0].Items[0]
	r.settle(r.rejected(r.settle(r.failed(it, time.Second, 7))[0].Item))
	before, log := r.delivery(it.ID)
	r.advance(time.Hour)
	again := r.made(r.replay(3, r.want(it))[0], 3, r.want(it))
	if again.Ordering != it.Ordering || again.Size != it.Size {
		r.Errorf("replayed as %+v, first %+v: the ordering time is the event's", again, it)
	}
	if after, logAfter := r.delivery(it.ID); after != before || !slices.Equal(log, logAfter) {
		r.Errorf("the first delivery %+v became %+v with %+v", before, after, logAfter)
	}
	r.counts(d, store.Counts{Accepted: 2, Dead: 1, Pending: 1})
	r.balanced()
	r.reopen()
	if q := r.queue(again.Queue); len(q) != 1 || q[0] != again {
		r.Errorf("after a reopen due offers %+v, want %+v", q, again)
	}
	r.settle(r.delivered(again))
	r.counts(d, store.Counts{Accepted: 2, Dead: 1, Delivered: 1})
}

// replayStates: whatever became of the first delivery, but never beside one that is pending.
func replayStates(r *rig) {
	replay := uint32(0)
	for name, from := range stands() {
		d := r.dest()
		it := r.post(d)[0]
		r.advance(time.Second)
		from.reach(r, r.queue(store.QueueID{Dest: d})[0])
		replay++
		m := r.replay(replay, r.want(it))[0]
		if from.state == store.Pending {
			r.wants("replaying what is "+name, m.Err, store.ErrConflict)
			r.counts(d, store.Counts{Accepted: 1, Pending: 1})
			continue
		}
		r.made(m, replay, r.want(it))
	}
	d := r.dest()
	unmatched := r.append(r.entry())[0].ID
	w := store.Want{Event: unmatched, Day: unmatched.Day(), Dest: d, Due: r.now.UnixNano()}
	r.made(r.replay(100, w)[0], 100, w)
	if rec := r.record(unmatched); len(rec.To) != 0 {
		r.Errorf("a replay changed whom the event was accepted for: %+v", rec)
	}
}

func replayDue(r *rig) {
	d := r.dest()
	var want []store.Item
	for i := range 5 {
		w := r.want(r.dead(d))
		w.Due += int64(i) * int64(time.Second)
		want = append(want, r.made(r.replay(1, w)[0], 1, w))
	}
	got, next, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, store.Position{}, want[2].Due, 10)
	r.must("due", err)
	if !slices.Equal(got, want[:3]) || next != want[3].Due {
		r.Errorf("due offers %+v and next %d, want %+v", got, next, want)
	}
}

// replayAgain repeats a replay, as one does that was interrupted: nothing is made twice.
func replayAgain(r *rig) {
	d := r.dest()
	w := r.want(r.dead(d))
	out := r.replay(1, w, w)
	it := r.made(out[0], 1, w)
	as := func(m store.Moved, s store.State, it store.Item) {
		r.Helper()
		want := store.Moved{ID: it.ID, From: s, To: s}
		if s == store.Pending {
			want.Was, want.Item = it.Queue, it
		}
		if m != want {
			r.Errorf("repeated: %+v, want %+v", m, want)
		}
	}
	as(out[1], store.Pending, it)
	for range 2 {
		as(r.replay(1, w)[0], store.Pending, it)
		r.reopen()
	}
	cold := r.settle(r.failed(it, time.Hour, 9))[0].Item
	as(r.replay(1, w)[0], store.Pending, cold)
	r.settle(r.rejected(cold))
	as(r.replay(1, w)[0], store.Dead, it)
	retried := r.move(store.Retry, it.ID)[0].Item
	as(r.replay(1, w)[0], store.Pending, retried)
	r.settle(r.delivered(retried))
	as(r.replay(1, w)[0], store.Delivered, it)
	r.counts(d, store.Counts{Accepted: 2, Dead: 1, Delivered: 1})
}

// replayAnother: another replay waits its turn, whichever made what is pending.
func replayAnother(r *rig) {
	dests := r.dests(2)
	its := r.post(dests...)
	r.settle(r.rejected(its[0]), r.delivered(its[1]))
	w := r.want(its[0])
	first := r.made(r.replay(1, w)[0], 1, w)
	r.wants("beside a pending replay", r.replay(2, w)[0].Err, store.ErrConflict)
	r.made(r.replay(2, r.want(its[1]))[0], 2, r.want(its[1])) // another destination's
	r.move(store.Cancel, first.ID)
	r.advance(time.Minute)
	w = r.want(its[0])
	second := r.made(r.replay(2, w)[0], 2, w)
	if second.ID == first.ID {
		r.Errorf("two replays made one delivery: %v", first.ID)
	}
	r.settle(r.delivered(second))
	r.must("retry the first delivery", r.move(store.Retry, its[0].ID)[0].Err)
	r.wants("beside the first delivery, retried", r.replay(3, w)[0].Err, store.ErrConflict)
	r.counts(dests[0], store.Counts{Accepted: 3, Pending: 1, Cancelled: 1, Delivered: 1})
}

// replayArrived: a retry of many leaves out what another delivery has brought
// since, on whatever day; one by hand sends it again.
func replayArrived(r *rig) {
	dests := r.dests(2)
	its := r.post(dests...)
	r.settle(r.rejected(its[0]), r.rejected(its[1]))
	r.advance(30 * time.Hour)
	w := r.want(its[0])
	replayed := r.made(r.replay(1, w)[0], 1, w)
	r.wants("beside a pending replay", r.move(store.RetryLatest, its[0].ID)[0].Err, store.ErrConflict)
	r.advance(time.Minute)
	r.settle(r.delivered(replayed))
	r.advance(time.Minute)
	out := r.move(store.RetryLatest, its[0].ID, its[1].ID)
	if want := (store.Moved{ID: its[0].ID, From: store.Dead, To: store.Dead, Err: store.ErrConflict}); out[0] != want {
		r.Errorf("retried though a replay has brought it: %+v, want %+v", out[0], want)
	}
	r.must("another destination's", out[1].Err)
	r.stands(its[1].ID, store.Pending)
	r.must("one that nothing overtook", r.move(store.RetryLatest, out[1].ID)[0].Err)

	first := r.move(store.Retry, its[0].ID)[0]
	r.must("by hand", first.Err)
	r.advance(time.Minute)
	r.settle(r.rejected(first.Item))
	r.advance(time.Minute)
	r.must("dead after the replay was delivered", r.move(store.RetryLatest, its[0].ID)[0].Err)
	r.counts(dests[0], store.Counts{Accepted: 2, Pending: 1, Delivered: 1})
}

// replayRetried: of the deliveries of an event to a destination one at most is
// pending, be it retried by hand.
func replayRetried(r *rig) {
	dests := r.dests(2)
	its := r.post(dests...)
	r.settle(r.rejected(its[0]), r.rejected(its[1]))
	w := r.want(its[0])
	replayed := r.made(r.replay(1, w)[0], 1, w)
	out := r.move(store.Retry, its[0].ID, its[1].ID, replayed.ID)
	if want := (store.Moved{ID: its[0].ID, From: store.Dead, To: store.Dead, Err: store.ErrConflict}); out[0] != want {
		r.Errorf("retried beside its replay: %+v, want %+v", out[0], want)
	}
	r.must("another destination's", out[1].Err)
	r.must("the pending one itself", out[2].Err)
	r.advance(30 * time.Hour) // past midnight the replay is on another day than the next
	r.settle(r.rejected(out[2].Item))
	r.must("behind the replay", r.move(store.Retry, its[0].ID)[0].Err)
	r.wants("the replay, beside the first", r.move(store.Retry, replayed.ID)[0].Err, store.ErrConflict)
	r.move(store.Cancel, its[0].ID)
	w = r.want(its[0])
	second := r.made(r.replay(2, w)[0], 2, w)
	r.wants("beside a copy on another day", r.move(store.Retry, its[0].ID)[0].Err, store.ErrConflict)
	r.wants("from another day", r.move(store.Retry, replayed.ID)[0].Err, store.ErrConflict)
	r.settle(r.rejected(second))
	out = r.move(store.Retry, its[0].ID, replayed.ID, second.ID)
	r.must("all of them: the first", out[0].Err)
	r.wants("all of them: the second", out[1].Err, store.ErrConflict)
	r.wants("all of them: the third", out[2].Err, store.ErrConflict)
	r.counts(dests[0], store.Counts{Accepted: 3, Pending: 1, Dead: 2})
}

func replayBatch(r *rig) {
	d := r.dest()
	var wants []store.Want
	for i := range 40 {
		it := r.post(d)[0]
		switch i % 4 {
		case 0:
			r.settle(r.delivered(it))
		case 1: // pending
		case 2:
			it.ID.Event = flip(it.ID.Event, 15)
		case 3:
			r.settle(r.rejected(it))
		}
		wants = append(wants, r.want(it))
	}
	for i, m := range r.replay(1, wants...) {
		want := []error{nil, store.ErrConflict, store.ErrNotFound, nil}[i%4]
		r.wants("replay", m.Err, want)
		if m.ID.Event != wants[i].Event || m.ID.Dest != d || m.ID.Replay != 1 || want != nil && m.Item != (store.Item{}) {
			r.Errorf("replayed %d is %+v", i, m)
		}
	}
	r.counts(d, store.Counts{Accepted: 60, Delivered: 10, Dead: 10, Pending: 40})
}

func replayThousands(r *rig) {
	d := r.dest()
	var wants []store.Want
	for range 3 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry()
		}
		for _, a := range r.append(batch...) {
			wants = append(wants, store.Want{Event: a.ID, Day: a.ID.Day(), Dest: d})
		}
	}
	for _, m := range r.replay(1, wants...) {
		r.must("replay", m.Err)
	}
	r.counts(d, store.Counts{Accepted: 3000, Pending: 3000})
}

func replayUnknown(r *rig) {
	it := r.dead(r.dest())
	for _, change := range []func(*store.Want){
		func(w *store.Want) { w.Event = event.ID{} },
		func(w *store.Want) { w.Event = flip(w.Event, 15) },
		func(w *store.Want) { w.Day++ },
		func(w *store.Want) { w.Day-- },
	} {
		w := r.want(it)
		change(&w)
		r.wants(fmt.Sprintf("replaying %+v", w), r.replay(1, w)[0].Err, store.ErrNotFound)
	}
	r.replay(2)
	r.queues()
	r.counts(it.ID.Dest, store.Counts{Accepted: 1, Dead: 1})
}

func replayZero(r *rig) {
	it := r.dead(r.dest())
	if ms, err := r.s.Replay(r.ctx, r.now, 0, []store.Want{r.want(it)}); err == nil {
		r.Errorf("replay 0 gave %+v", ms)
	}
	r.stands(it.ID, store.Dead)
	r.queues()
}

// replayLife takes replayed deliveries through every change and outcome.
func replayLife(r *rig) {
	for name, c := range changes() {
		for outcome, of := range r.outcomes() {
			d := r.dest()
			first := r.dead(d)
			it := r.made(r.replay(1, r.want(first))[0], 1, r.want(first))
			s := r.settle(of(it))[0]
			m := r.move(c, it.ID)[0]
			if s.Stale || m.ID != it.ID || m.From != s.State {
				r.Errorf("%s after %s: settled %+v, moved %+v", name, outcome, s, m)
			}
			r.stands(first.ID, store.Dead)
			r.stands(it.ID, m.To)
		}
	}
	r.balanced()
}

func replayLists(r *rig) {
	dests := r.dests(2)
	it := r.dead(dests[0])
	w := r.want(it)
	w.Dest = dests[1]
	made := []store.DeliveryID{r.replay(1, w)[0].ID, r.replay(2, r.want(it))[0].ID}
	r.settle(r.delivered(r.queue(store.QueueID{Dest: dests[0]})[0]))
	made = append(made, r.replay(3, r.want(it))[0].ID)
	if es := r.events(r.s, store.EventQuery{}); len(es) != 1 || !slices.Equal(es[0].To, dests[:1]) {
		r.Errorf("events %+v", es)
	}
	for name, c := range map[string]struct {
		q    store.DeliveryQuery
		want []store.DeliveryID
	}{
		"all":                   {store.DeliveryQuery{}, append(made, it.ID)},
		"of the event":          {store.DeliveryQuery{Event: it.ID.Event}, append(made, it.ID)},
		"of the destination":    {store.DeliveryQuery{Dests: dests[:1]}, append(made[1:], it.ID)},
		"pending":               {store.DeliveryQuery{States: []store.State{store.Pending}}, []store.DeliveryID{made[0], made[2]}},
		"delivered of one":      {store.DeliveryQuery{Dests: dests[:1], States: []store.State{store.Delivered}}, made[1:2]},
		"since the event":       {store.DeliveryQuery{Since: it.ID.Event.Time()}, append(made, it.ID)},
		"of before the event":   {store.DeliveryQuery{Until: it.ID.Event.Time()}, nil},
		"since after the event": {store.DeliveryQuery{Since: it.ID.Event.Time().Add(time.Millisecond)}, nil},
	} {
		for _, limit := range []int{1, 100} {
			c.q.Limit = limit
			var got []string
			for _, d := range r.deliveries(r.s, c.q) {
				got = append(got, d.ID.String())
			}
			var want []string
			for _, id := range c.want {
				want = append(want, id.String())
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				r.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}

// replayRace has two replays, and a person who retries, want the same at once.
func replayRace(r *rig) {
	d := r.dest()
	var wants []store.Want
	for range 100 {
		wants = append(wants, r.want(r.dead(d)))
	}
	made := make([]int, 4)
	r.all(4, func(side int) error {
		for i := range wants {
			ms, err := r.s.Replay(r.ctx, r.now, uint32(1+side/2), wants[i:i+1])
			if err != nil {
				return err
			}
			if ms[0].Err == nil && ms[0].From == 0 {
				made[side]++
			}
		}
		return nil
	})
	if n := made[0] + made[1] + made[2] + made[3]; n != len(wants) {
		r.Errorf("%d deliveries were made of %d events: %v", n, len(wants), made)
	}
	r.counts(d, store.Counts{Accepted: 200, Dead: 100, Pending: 100})
}

func replayStalled(r *rig) {
	w := r.want(r.dead(r.dest()))
	release := r.h.Stall(r, r.s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := r.s.Replay(r.ctx, r.now, 1, []store.Want{w}); err != nil {
			r.Errorf("a replay that waits for the disk: %v", err)
		}
	}()
	if r.h.Bubble {
		time.Sleep(time.Minute)
	} else {
		time.Sleep(5 * time.Second) // no store gives up so soon
	}
	select {
	case <-done:
		r.Errorf("a replay was reported while nothing could be made durable")
	default:
	}
	if _, err := r.s.Replay(r.ctx, r.now, 1, []store.Want{w}); err == nil {
		r.Errorf("a stalled store takes a replay")
	}
	release()
	<-done
}

func replayDurable(r *rig) {
	dests := r.dests(2)
	for i := range 10 {
		it := r.dead(dests[0])
		other := r.want(it)
		other.Dest = dests[1]
		r.advance(time.Duration(i) * 3 * time.Hour)
		r.replay(uint32(i+1), r.want(it), other)
		before := r.dump(r.s, true)
		r.crash()
		r.same("after a power failure", r.dump(r.s, true), before)
		r.balanced()
	}
}
