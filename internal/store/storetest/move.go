package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func moveCases() []scenario {
	return []scenario{
		{"every change of every state", 0, moveTable},
		{"of nothing known", 0, moveUnknown},
		{"of nothing", 0, func(r *rig) { r.move(store.Cancel) }},
		{"a batch belongs to its ids", 0, moveBatch},
		{"twice in one batch", 0, moveTwice},
		{"thousands at once", 0, moveThousands},
		{"gives a version of its own", 0, moveVersions},
		{"begins a round of what had ended", 0, moveRounds},
		{"survives a reopen", 0, moveReopen},
	}
}

// stood says how a delivery got to where a change finds it.
type stood struct {
	state  store.State
	frozen uint64
	reach  func(r *rig, it store.Item) store.Item
}

func stands() map[string]stood {
	settle := func(o func(*rig, store.Item) store.Outcome) func(*rig, store.Item) store.Item {
		return func(r *rig, it store.Item) store.Item { return r.settle(o(r, it))[0].Item }
	}
	frozen := settle(func(r *rig, it store.Item) store.Outcome { return r.failed(it, time.Hour, 21) })
	return map[string]stood{
		"fresh":     {store.Pending, 0, func(_ *rig, it store.Item) store.Item { return it }},
		"failed":    {store.Pending, 0, settle(func(r *rig, it store.Item) store.Outcome { return r.failed(it, time.Hour, 0) })},
		"frozen":    {store.Pending, 21, frozen},
		"delivered": {store.Delivered, 0, settle((*rig).delivered)},
		"dead":      {store.Dead, 0, settle((*rig).rejected)},
		"dead frozen": {store.Dead, 0, func(r *rig, it store.Item) store.Item {
			return r.settle(r.rejected(frozen(r, it)))[0].Item
		}},
		"cancelled": {store.Cancelled, 0, func(r *rig, it store.Item) store.Item { return r.move(store.Cancel, it.ID)[0].Item }},
		"expired":   {store.Dead, 0, func(r *rig, it store.Item) store.Item { return r.move(store.Expire, it.ID)[0].Item }},
	}
}

func moveTable(r *rig) {
	for name, from := range stands() {
		for change, c := range changes() {
			r.moves(fmt.Sprint(change, " of ", name), from, c)
		}
	}
}

func (r *rig) moves(name string, from stood, c store.Change) {
	r.Helper()
	d := r.dest()
	id := r.post(d)[0].ID
	r.advance(time.Second)
	it := from.reach(r, r.queue(store.QueueID{Dest: d})[0])
	before, log := r.delivery(id)
	counts := r.s.Counts(d)
	r.advance(time.Second)
	m := r.move(c, id)[0]
	after, logAfter := r.delivery(id)
	applies := from.state == store.Pending && (c != store.Rebind || from.frozen != 0) || c == store.Retry
	if applies && c == store.Expire { // the end of its schedule is in the log, though nothing was tried
		log = append(log, store.Attempt{At: r.now.UnixNano(), Class: "expired"})
	}
	if m.ID != id || !slices.Equal(log, logAfter) {
		r.Errorf("%s: moved %+v, attempts %+v, want %+v", name, m, logAfter, log)
	}
	if !applies {
		r.wants(name, m.Err, store.ErrConflict)
		if after != before || r.s.Counts(d) != counts || m.Item != (store.Item{}) {
			r.Errorf("%s did not apply and changed %+v to %+v", name, before, after)
		}
		if from.state == store.Pending {
			r.move(store.Cancel, id)
		}
		return
	}
	r.must(name, m.Err)
	want := store.Moved{ID: id, From: from.state}
	row := store.DeliveryRecord{ID: id, Changed: r.now.UnixNano(), Attempts: before.Attempts}
	if from.state == store.Pending {
		want.Was = store.QueueID{Dest: d, Settings: from.frozen}
	}
	switch c {
	case store.Cancel:
		row.State, row.Reason = store.Cancelled, after.Reason // its words are the store's
	case store.Expire:
		row.State, row.Reason = store.Dead, "expired"
	case store.Retry:
		row.State, row.Due, row.Attempts = store.Pending, r.now.UnixNano(), 0
	case store.Rebind:
		row.State, row.Due = store.Pending, before.Due
	}
	if want.To = row.State; row.State == store.Pending {
		queued := r.queue(store.QueueID{Dest: d})
		if len(queued) != 1 || queued[0] != m.Item || queued[0].ID != id || queued[0].Due != row.Due || queued[0].Attempts != row.Attempts {
			r.Errorf("%s: due offers %+v, moved %+v", name, queued, m)
		}
		if from.state == store.Pending && m.Item.Version == it.Version {
			r.Errorf("%s: the row changed and kept its version", name)
		}
		want.Item = m.Item
	} else {
		after.Due, after.Settings = 0, 0
		if len(r.queue(store.QueueID{Dest: d}))+len(r.queue(want.Was)) != 0 {
			r.Errorf("%s: it is still offered", name)
		}
	}
	if m != want {
		r.Errorf("%s: moved %+v, want %+v", name, m, want)
	}
	if after != row {
		r.Errorf("%s: delivery %+v, want %+v", name, after, row)
	}
	r.balanced()
	if row.State == store.Pending {
		r.move(store.Cancel, id)
	}
}

func moveUnknown(r *rig) {
	d := r.dest()
	id := r.post(d)[0].ID
	var ids []store.DeliveryID
	for _, change := range []func(*store.DeliveryID){
		func(id *store.DeliveryID) { *id = store.DeliveryID{} },
		func(id *store.DeliveryID) { id.Dest++ },
		func(id *store.DeliveryID) { id.Event = flip(id.Event, 15) },
		func(id *store.DeliveryID) { id.Event = event.NewID(r.now.Add(-time.Hour), 1, 1) },
		func(id *store.DeliveryID) { id.Day++ },
		func(id *store.DeliveryID) { id.Replay = 1 },
	} {
		unknown := id
		change(&unknown)
		ids = append(ids, unknown)
	}
	for name, c := range changes() {
		for i, m := range r.move(c, ids...) {
			r.wants(name, m.Err, store.ErrNotFound)
			if m.ID != ids[i] {
				r.Errorf("%s: moved %d names %v, want %v", name, i, m.ID, ids[i])
			}
		}
	}
	r.stands(id, store.Pending)
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
}

func moveBatch(r *rig) {
	dests := r.dests(2)
	var ids []store.DeliveryID
	for i := range 40 {
		its := r.post(dests...)
		if i%4 == 1 {
			r.settle(r.delivered(its[0]))
		}
		if i%4 == 2 {
			its[0].ID.Dest += 500
		}
		ids = append(ids, its[0].ID)
	}
	for i, m := range r.move(store.Cancel, ids...) {
		want := []error{nil, store.ErrConflict, store.ErrNotFound, nil}[i%4]
		r.wants("cancel", m.Err, want)
		if m.ID != ids[i] || want == nil && m.To != store.Cancelled {
			r.Errorf("moved %d is %+v", i, m)
		}
	}
	r.counts(dests[0], store.Counts{Accepted: 40, Delivered: 10, Cancelled: 20, Pending: 10})
	r.counts(dests[1], store.Counts{Accepted: 40, Pending: 40})
}

func moveTwice(r *rig) {
	d := r.dest()
	a, b := r.post(d)[0], r.post(d)[0]
	out := r.move(store.Cancel, a.ID, b.ID, a.ID)
	r.must("cancel", out[0].Err)
	r.wants("cancelling again", out[2].Err, store.ErrConflict)
	r.counts(d, store.Counts{Accepted: 2, Cancelled: 2})
	out = r.move(store.Retry, a.ID, a.ID)
	r.must("retry", out[0].Err)
	r.must("retry again", out[1].Err)
	if out[0].From != store.Cancelled || out[1].From != store.Pending || out[1].Was != (store.QueueID{Dest: d}) {
		r.Errorf("retried twice: %+v", out)
	}
	if q := r.queue(store.QueueID{Dest: d}); len(q) != 1 || q[0] != out[1].Item {
		r.Errorf("due offers %+v, the last retry gave %+v", q, out[1].Item)
	}
	r.counts(d, store.Counts{Accepted: 2, Pending: 1, Cancelled: 1})
}

func moveThousands(r *rig) {
	d := r.dest()
	var ids []store.DeliveryID
	for range 4 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		for _, a := range r.append(batch...) {
			ids = append(ids, a.Items[0].ID)
		}
	}
	for _, m := range r.move(store.Cancel, ids...) {
		r.must("cancel", m.Err)
	}
	r.counts(d, store.Counts{Accepted: 4000, Cancelled: 4000})
	for _, m := range r.move(store.Retry, ids[:2500]...) {
		r.must("retry", m.Err)
	}
	r.counts(d, store.Counts{Accepted: 4000, Cancelled: 1500, Pending: 2500})
}

// moveVersions goes through many changes: no version comes back while an older item may still be in flight.
func moveVersions(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	seen := map[uint32]bool{it.Version: true}
	fresh := func(it store.Item) {
		r.Helper()
		if seen[it.Version] {
			r.Errorf("version %d was given twice", it.Version)
		}
		seen[it.Version] = true
	}
	for range 20 {
		it = r.move(store.Retry, it.ID)[0].Item
		fresh(it)
		it = r.settle(r.failed(it, time.Hour, 6))[0].Item
		fresh(it)
		it = r.move(store.Rebind, it.ID)[0].Item
		fresh(it)
		r.move(store.Cancel, it.ID)
		r.reopen()
		it = r.move(store.Retry, it.ID)[0].Item
		fresh(it)
	}
}

// moveRounds: only a retry of what had ended begins a round, and whatever comes
// after it, a restart too, is of that round. A far side tells by it what it was
// sent again on purpose from what it was sent again because an answer was lost.
func moveRounds(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	stays := func(what string, got store.Item, want uint32) {
		r.Helper()
		if got.Round != want {
			r.Errorf("%s: round %d, want %d", what, got.Round, want)
		}
		if q := r.queue(got.Queue); len(q) != 1 || q[0] != got {
			r.Errorf("%s: due offers %+v, want %+v", what, q, got)
		}
	}
	stays("accepted", it, 0)
	it = r.settle(r.failed(it, time.Hour, 6))[0].Item
	stays("retried by its schedule", it, 0)
	it = r.move(store.Rebind, it.ID)[0].Item
	stays("rebound", it, 0)
	it = r.move(store.Retry, it.ID)[0].Item
	stays("brought forward", it, 0)
	for round, c := range []store.Change{store.Retry, store.RetryLatest, store.Retry} {
		switch round {
		case 0:
			r.settle(r.delivered(it))
		case 1:
			r.settle(r.rejected(it))
		default:
			r.move(store.Cancel, it.ID)
		}
		r.reopen()
		it = r.move(c, it.ID)[0].Item
		stays("started again", it, uint32(round)+1)
		it = r.settle(r.failed(it, time.Hour, 6))[0].Item
		stays("then retried by its schedule", it, uint32(round)+1)
		r.reopen()
		it = r.queue(it.Queue)[0]
		stays("after a reopen", it, uint32(round)+1)
	}
	r.settle(r.delivered(it))
	again := r.replay(1, store.Want{Event: it.ID.Event, Day: it.ID.Day, Dest: d, Due: r.now.UnixNano()})[0].Item
	if again.Round != 0 || again.ID == it.ID {
		r.Errorf("a replay is a delivery of its own: %+v", again)
	}
}

func moveReopen(r *rig) {
	d := r.dest()
	for _, c := range changes() {
		it := r.settle(r.failed(r.post(d)[0], time.Hour, 13))[0].Item
		r.must("move", r.move(c, it.ID)[0].Err)
	}
	before := r.dump(r.s, true)
	r.reopen()
	r.same("after a reopen", r.dump(r.s, true), before)
}
