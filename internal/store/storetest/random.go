package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func randomCases(h Harness) []scenario {
	seeds := h.Seeds
	if seeds == nil {
		seeds = []uint64{1, 2, 3, 4}
	}
	var all []scenario
	for _, seed := range seeds {
		all = append(all,
			scenario{fmt.Sprintf("seed %d", seed), 0, func(r *rig) { newTrial(r, seed).run(400, nil) }},
			scenario{fmt.Sprintf("seed %d with power failures", seed), needCrash | needBubble, func(r *rig) {
				t := newTrial(r, seed)
				t.run(400, t.crashAfterAll)
			}},
			scenario{fmt.Sprintf("seed %d with sudden power failures", seed), needCrash, func(r *rig) {
				t := newTrial(r, seed)
				t.run(400, t.crashSuddenly)
			}},
		)
	}
	return all
}

// trial does the same random work to a store and to a model.
type trial struct {
	asked int // how often for deliveries
	*rig
	rnd   *rand.Rand
	m     *model
	dests []uint32
	ids   []store.DeliveryID
	items []offered
	done  map[store.Item]bool             // settled already
	past  map[store.DeliveryID][]modelRow // what a row was since it was last known to be durable
}

// offered is one item as the store and as the model give it.
type offered struct{ s, m store.Item }

func newTrial(r *rig, seed uint64) *trial {
	r.Helper()
	r.Logf("seed %d", seed)
	t := &trial{rig: r, rnd: rand.New(rand.NewPCG(seed, 1)), m: newModel(), past: map[store.DeliveryID][]modelRow{}, done: map[store.Item]bool{}}
	t.dests = r.dests(5)
	for i, d := range r.registered() {
		t.m.dests = append(t.m.dests, store.Destination{ID: i, DestinationKey: d.DestinationKey})
	}
	return t
}

func (t *trial) run(steps int, fail func()) {
	for step := range steps {
		switch n := t.rnd.IntN(100); {
		case n < 30:
			t.append()
		case n < 60:
			t.settle()
		case n < 69:
			t.move()
		case n < 72:
			t.replay()
		case n < 80:
			t.advance(time.Duration(t.rnd.IntN(5*3600_000)) * time.Millisecond)
		case n < 84:
			t.ask()
		case n < 90:
			t.askDue()
		case n < 92:
			t.retain()
		case n < 93:
			t.erase()
		case n < 95:
			t.collect()
		case n < 97:
			t.reopen()
		case n < 99 && fail != nil:
			fail()
		}
		if step%60 == 59 {
			t.agree()
		}
		if t.Failed() {
			t.Fatalf("at step %d", step)
		}
	}
	t.agree()
}

// agree compares all there is.
func (t *trial) agree() {
	t.Helper()
	t.same("store and model", t.dump(t.s, false), t.dump(t.m, false))
	t.balanced()
}

func (t *trial) append() {
	t.Helper()
	batch := make([]*store.Entry, 1+t.rnd.IntN(4))
	for i := range batch {
		e := t.entry()
		for _, d := range t.dests {
			if t.rnd.IntN(5) < 2 {
				e.To = append(e.To, d)
			}
		}
		e.Event.Developer = pick(t, "acme", "globex")
		e.Event.Type = pick(t, "activity", "sleep", "daily")
		e.Event.UserID = pick(t, "", "ann", "bob", "cy", "dora")
		if t.rnd.IntN(4) == 0 {
			e.IdempotencyKey = fmt.Sprint("key ", t.rnd.IntN(15))
			e.Event.Body = []byte(pick(t, "one", "one", "one", "two"))
		}
		if len(t.ids) > 0 && t.rnd.IntN(12) == 0 { // an export comes back
			e.IdempotencyKey = t.ids[t.rnd.IntN(len(t.ids))].Event.String()
			if first := t.m.events[t.ids[len(t.ids)-1].Event]; first != nil && first.Body != nil {
				e.IdempotencyKey, e.Event.Body = first.ID.String(), first.Body
			}
		}
		if t.rnd.IntN(4) == 0 {
			e.Event.Ordering = t.now.Add(-time.Duration(t.rnd.IntN(1e6)) * time.Second)
		}
		batch[i] = e
	}
	for i, got := range t.try(batch...) {
		want, known := t.m.known(batch[i])
		if !known {
			if got.ID != batch[i].Event.ID {
				t.Fatalf("append: %+v of event %v", got, batch[i].Event.ID)
			}
			want = t.m.keep(t.now, batch[i])
		}
		for j := range min(len(got.Items), len(want.Items)) {
			t.offer(got.Items[j], want.Items[j])
			t.ids = append(t.ids, want.Items[j].ID)
			want.Items[j].Version = got.Items[j].Version
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("append:\ngot  %+v\nwant %+v", got, want)
		}
	}
}

func pick[T any](t *trial, from ...T) T { return from[t.rnd.IntN(len(from))] }

func (t *trial) offer(s, m store.Item) {
	if t.items = append(t.items, offered{s, m}); len(t.items) > 60 {
		t.items = slices.Delete(t.items, 0, t.rnd.IntN(20))
	}
}

// remember keeps what a row of the model is, before an outcome changes it that a crash may undo.
func (t *trial) remember(id store.DeliveryID) {
	if row := t.m.rows[id]; row != nil {
		again := *row
		again.attempts = slices.Clone(row.attempts)
		t.past[id] = append(t.past[id], again)
	}
}

func (t *trial) settle() {
	t.Helper()
	var mine, models []store.Outcome
	for range min(1+t.rnd.IntN(3), len(t.items)) {
		o := pick(t, t.items...)
		if t.done[o.s] { // of two attempts for one version the log may keep one
			continue
		}
		t.done[o.s] = true
		t.remember(o.m.ID)
		hash := uint64(t.rnd.IntN(3))
		out := pick(t, t.delivered, t.rejected, t.interrupted, t.rebound,
			func(it store.Item) store.Outcome {
				return t.failed(it, time.Duration(t.rnd.IntN(3600))*time.Second, hash)
			})(o.s)
		mine = append(mine, out)
		out.Item = o.m
		models = append(models, out)
	}
	got := t.rig.settle(mine...)
	want, _ := t.m.Settle(t.ctx, t.now, models)
	for i := range got {
		g, w := got[i], want[i]
		if g.State == store.Pending {
			t.offer(g.Item, w.Item)
			g.Item.Version = w.Item.Version
		}
		if w.State == 0 {
			g.Stale = w.Stale // of a row that is gone
		}
		if g != w {
			t.Fatalf("settle %+v:\ngot  %+v\nwant %+v", mine[i], g, w)
		}
	}
}

func (t *trial) move() {
	t.Helper()
	c := store.Change(1 + t.rnd.IntN(5))
	var ids []store.DeliveryID
	for range min(1+t.rnd.IntN(4), len(t.ids)) {
		id := pick(t, t.ids...)
		if t.rnd.IntN(20) == 0 {
			id.Dest += 1000
		}
		ids = append(ids, id)
	}
	got := t.rig.move(c, ids...)
	want, _ := t.m.Move(t.ctx, t.now, c, ids)
	for i := range got {
		t.moved(got[i], want[i])
		if got[i].Err == nil {
			delete(t.past, ids[i])
		}
	}
}

// replay makes some deliveries again, of any replay and from any day that may hold the body.
func (t *trial) replay() {
	t.Helper()
	replay := uint32(1 + t.rnd.IntN(4))
	var wants []store.Want
	for range min(1+t.rnd.IntN(4), len(t.ids)) {
		id := pick(t, t.ids...)
		w := store.Want{Event: id.Event, Day: id.Day, Dest: pick(t, id.Dest, id.Dest, t.dests[0]), Due: t.now.UnixNano() + t.rnd.Int64N(1e9)}
		if t.rnd.IntN(10) == 0 {
			w.Day = id.Event.Day()
		}
		wants = append(wants, w)
	}
	got := t.rig.replay(replay, wants...)
	want, _ := t.m.Replay(t.ctx, t.now, replay, wants)
	for i := range got {
		t.moved(got[i], want[i])
		if got[i].Err == nil {
			delete(t.past, got[i].ID)
			t.ids = append(t.ids, got[i].ID)
		}
	}
}

// moved compares what a change came to; the From and To of one that did not apply are open.
func (t *trial) moved(g, w store.Moved) {
	t.Helper()
	if (g.Err == nil) != (w.Err == nil) || g.ID != w.ID {
		t.Fatalf("moved %+v, want %+v", g, w)
	}
	if w.Err != nil {
		return
	}
	if g.To == store.Pending {
		t.offer(g.Item, w.Item)
		g.Item.Version = w.Item.Version
	}
	if g != w {
		t.Fatalf("moved %+v, want %+v", g, w)
	}
}

func (t *trial) retain() {
	t.Helper()
	t.now = midnight(t.now).Add(day)
	keep := store.Retention{Events: time.Duration(2+t.rnd.IntN(4)) * day, Idempotency: time.Duration(1+t.rnd.IntN(3)) * day}
	keep.Attempts = keep.Events + time.Duration(t.rnd.IntN(4))*day
	var got, want []store.Moved
	rep, err := t.s.Retain(t.ctx, t.now, keep, func(ms []store.Moved) { got = append(got, ms...) })
	t.must("retain", err)
	wanted, _ := t.m.Retain(t.ctx, t.now, keep, func(ms []store.Moved) { want = append(want, ms...) })
	if rep.Expired != wanted.Expired {
		t.Fatalf("retain %+v at %v: %+v, want %+v", keep, t.now, rep, wanted)
	}
	t.ended("retain", got, want)
}

// ended compares what retention or erasure showed.
func (t *trial) ended(what string, got, want []store.Moved) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d changes were seen, want %d", what, len(got), len(want))
	}
	for _, ms := range [][]store.Moved{got, want} {
		slices.SortFunc(ms, func(a, b store.Moved) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	}
	for i := range got {
		t.moved(got[i], want[i])
		delete(t.past, got[i].ID)
	}
	// What has lost its body must not become pending again, so no outcome of it may come undone.
	for id := range t.past {
		if e := t.m.at(id.Day, id.Event); e == nil || e.gone != "" {
			delete(t.past, id)
		}
	}
}

func (t *trial) erase() {
	t.Helper()
	req := store.Erasure{Developer: pick(t, "acme", "globex"), User: pick(t, "ann", "bob"), By: "operator"}
	var got, want []store.Moved
	rep, err := t.s.Erase(t.ctx, t.now, req, func(ms []store.Moved) { got = append(got, ms...) })
	t.must("erase", err)
	wanted, _ := t.m.Erase(t.ctx, t.now, req, func(ms []store.Moved) { want = append(want, ms...) })
	if rep.Cancelled != wanted.Cancelled {
		t.Fatalf("erase %+v: %+v, want %+v", req, rep, wanted)
	}
	t.ended("erase", got, want)
}

func (t *trial) collect() {
	t.Helper()
	hash := uint64(1 + t.rnd.IntN(3))
	t.must("put settings", t.s.PutSettings(t.ctx, map[uint64][]byte{hash: {byte(hash)}}, nil))
	t.must("put settings", t.m.PutSettings(t.ctx, map[uint64][]byte{hash: {byte(hash)}}, nil))
	keep := []uint64{uint64(t.rnd.IntN(4))}
	got, err := t.s.CollectSettings(t.ctx, keep)
	t.must("collect settings", err)
	if want, _ := t.m.CollectSettings(t.ctx, keep); got != want {
		t.Fatalf("collected %d settings, want %d", got, want)
	}
}
