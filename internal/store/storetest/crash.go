package storetest

import (
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func crashCases() []scenario {
	return []scenario{
		{"events are durable when Append returns", needCrash, crashAppend},
		{"changes are durable when Move returns", needCrash, crashMove},
		{"the registry is durable", needCrash, crashRegistry},
		{"outcomes are durable within 100 ms", needCrash | needBubble, crashSettled},
		{"an outcome is there whole or not at all", needCrash, crashSettling},
		{"an outcome is durable before what hangs on it", needCrash, crashCollected},
		{"while many append", needCrash, crashAppending},
		{"ids go on behind the newest", needCrash, crashIDs},
		{"one after another", needCrash, crashAgain},
		{"retention is durable", needCrash, crashRetained},
	}
}

func crashAppend(r *rig) {
	dests := r.dests(3)
	for i := range 4 {
		big := r.entry(dests...)
		big.Event.Body = make([]byte, 1<<(6*i))
		e := r.keyed("key "+string(rune('a'+i)), "body", dests[:i]...)
		out := r.append(big, e, r.entry())
		before := r.dump(r.s, true)
		r.crash()
		r.same("after a power failure", r.dump(r.s, true), before)
		r.duplicates(r.keyed(e.IdempotencyKey, "body"), out[1])
		r.advance(time.Hour)
	}
}

func crashMove(r *rig) {
	d := r.dest()
	for name, c := range changes() {
		items := r.posts(3, d)
		items[0] = r.settle(r.failed(items[0], time.Hour, 5))[0].Item
		m := r.move(c, items[0].ID)[0]
		r.must(name, m.Err)
		want, _ := r.delivery(items[0].ID)
		r.crash()
		if got, _ := r.delivery(items[0].ID); got != want {
			r.Errorf("%s: %+v came back as %+v", name, want, got)
		}
		if s := r.settle(r.rejected(items[0]))[0]; !s.Stale {
			r.Errorf("%s: an outcome of before settled as %+v", name, s)
		}
		r.balanced()
	}
}

func crashRegistry(r *rig) {
	keys := []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}, {Developer: "acme", Name: "db", Kind: "postgres"}}
	ids := r.register(keys...)
	r.crash()
	if again := r.register(keys[1], keys[0]); again[0] != ids[1] || again[1] != ids[0] {
		r.Errorf("ids %v came back as %v", ids, again)
	}
	r.must("set state", r.setState(ids[0], store.DestinationState{Paused: true, Reason: "by hand", Since: r.now}))
	r.crash()
	if !r.registered()[ids[0]].State.Paused {
		r.Errorf("a pause was forgotten")
	}
	r.must("set last", r.s.SetLast(r.ctx, map[uint32]store.Last{ids[1]: {Failed: 3}}))
	r.crash()
	if n := r.registered()[ids[1]].Last.Failed; n != 3 {
		r.Errorf("of 3 failed attempts %d came back", n)
	}
	r.must("put settings", r.s.PutSettings(r.ctx, map[uint64][]byte{7: []byte("sealed")}, map[string][]byte{"with": []byte("it")}))
	r.crash()
	if v, err := r.s.Get(r.ctx, "with"); err != nil || string(v) != "it" {
		r.Errorf("the value that was put with settings came back as %q, %v", v, err)
	}
	if v, err := r.s.Settings(r.ctx, 7); err != nil || string(v) != "sealed" {
		r.Errorf("settings came back as %q, %v", v, err)
	}
	r.must("put", r.s.Put(r.ctx, "k", []byte("v")))
	r.crash()
	if v, err := r.s.Get(r.ctx, "k"); err != nil || string(v) != "v" {
		r.Errorf("a value came back as %q, %v", v, err)
	}
	r.must("delete", r.s.Delete(r.ctx, "k"))
	r.crash()
	_, err := r.s.Get(r.ctx, "k")
	r.wants("a deleted value", err, store.ErrNotFound)
	r.collects([]uint64{7}, nil)
	r.crash()
	_, err = r.s.Settings(r.ctx, 7)
	r.wants("collected settings", err, store.ErrNotFound)
	if more := r.dest(); more == ids[0] || more == ids[1] {
		r.Errorf("id %d was given twice", more)
	}
}

// crashSettled has nobody append or close: the store itself must see to it.
func crashSettled(r *rig) {
	d := r.dest()
	for range 3 {
		items := r.posts(5, d)
		r.settle(r.delivered(items[0]), r.failed(items[1], time.Hour, 5))
		time.Sleep(99 * time.Millisecond)
		r.settle(r.rejected(items[2]))
		before, _ := r.delivery(items[1].ID)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		mid := *r
		mid.s = r.h.Crash(r, r.s)
		mid.stands(items[0].ID, store.Delivered)
		if got, as := mid.delivery(items[1].ID); got != before || len(as) != 1 {
			r.Errorf("a failure came back as %+v with %d attempts, want %+v", got, len(as), before)
		}
		r.settled()
		r.crash()
		r.stands(items[2].ID, store.Dead)
		r.balanced()
	}
	time.Sleep(time.Hour)
	r.crash()
	r.counts(d, store.Counts{Accepted: 15, Delivered: 3, Dead: 3, Pending: 9})
}

// crashSettling fails the power right after Settle: row, log, queue and counters moved together or not at all.
func crashSettling(r *rig) {
	d := r.dest()
	for name, of := range r.outcomes() {
		items := r.posts(4, d)
		var outcomes []store.Outcome
		for _, it := range items {
			outcomes = append(outcomes, of(it))
		}
		before := make([]store.DeliveryRecord, len(items))
		for i, it := range items {
			before[i], _ = r.delivery(it.ID)
		}
		r.settle(outcomes...)
		after := make([]store.DeliveryRecord, len(items))
		for i, it := range items {
			after[i], _ = r.delivery(it.ID)
		}
		r.crash()
		for i, it := range items {
			got, as := r.delivery(it.ID)
			logged := 0
			if got == after[i] && outcomes[i].Attempt != nil {
				logged = 1
			}
			if got != before[i] && got != after[i] || len(as) != logged {
				r.Errorf("%s: %+v with %d attempts, want %+v or %+v", name, got, len(as), before[i], after[i])
			}
		}
		r.balanced()
		for _, it := range r.queue(store.QueueID{Dest: d}) {
			if s := r.settle(r.delivered(it))[0]; s.Stale || s.State != store.Delivered {
				r.Errorf("%s: what is offered again settled as %+v", name, s)
			}
		}
	}
}

// crashCollected: settings are gone for good, so the outcome that freed them must not come undone.
func crashCollected(r *rig) {
	d := r.dest()
	for h := range uint64(5) {
		h++
		r.seal(h)
		it := r.settle(r.failed(r.post(d)[0], time.Hour, h))[0].Item
		r.post(d)
		r.settle(r.delivered(it))
		r.collects([]uint64{h}, nil)
		r.crash()
		if rec, _ := r.delivery(it.ID); rec.State == store.Pending && rec.Settings == h {
			if _, err := r.s.Settings(r.ctx, h); err != nil {
				r.Errorf("pending with settings that were collected: %+v, %v", rec, err)
			}
		}
	}
}

// crashAppending fails the power under many writers: every event is whole or not there, and none that was acknowledged is missing.
func crashAppending(r *rig) {
	dests := r.dests(3)
	for range 5 {
		r.crashUnder(dests)
	}
}

func (r *rig) crashUnder(dests []uint32) {
	r.Helper()
	const writers, each = 8, 100
	entries := make([][]*store.Entry, writers)
	attempts := make([]*store.Attempt, writers)
	for w := range entries {
		attempts[w] = r.attempt("delivered", 200, true)
		for range each {
			entries[w] = append(entries[w], r.entry(dests...))
		}
	}
	var mu sync.Mutex
	var acked []event.ID
	var stop atomic.Bool
	var wg sync.WaitGroup
	begun := make(chan struct{}, writers*each)
	old := r.s
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each && !stop.Load(); i++ {
				var out []store.Appended
				err := r.patiently(func() (err error) { out, err = old.Append(r.ctx, r.now, entries[w][i:i+1]); return err })
				if err != nil {
					r.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				acked = append(acked, out[0].ID)
				mu.Unlock()
				begun <- struct{}{}
				o := store.Outcome{Item: out[0].Items[w%3], Attempt: attempts[w], State: store.Delivered, Attempts: 1}
				if err := r.patiently(func() error { _, err := old.Settle(r.ctx, r.now, []store.Outcome{o}); return err }); err != nil {
					r.Errorf("settle: %v", err)
					return
				}
			}
		})
	}
	ended(&wg, begun)
	for range 30 {
		<-begun
	}
	mu.Lock()
	before := append([]event.ID(nil), acked...)
	mu.Unlock()
	r.crash()
	stop.Store(true)
	wg.Wait()
	for _, id := range before {
		r.record(id)
		if n := len(r.deliveries(r.s, store.DeliveryQuery{Event: id})); n != len(dests) {
			r.Errorf("event %v came back with %d deliveries", id, n)
		}
	}
	r.balanced()
}

func crashIDs(r *rig) {
	d := r.dest()
	r.advance(time.Hour)
	last := r.accepted(d, nil)
	for range 4 {
		r.crash()
		r.advance(-time.Minute)
		last = r.accepted(d, last)
	}
}

func crashAgain(r *rig) {
	d := r.dest()
	for i := range 8 {
		items := r.posts(3, d)
		r.settle(r.delivered(items[0]), r.failed(items[1], time.Hour, uint64(i%2)))
		r.move(store.Cancel, items[2].ID)
		r.crash()
		r.stands(items[2].ID, store.Cancelled)
		if i%3 == 0 {
			r.reopen()
		}
		r.balanced()
	}
	if n := len(r.deliveries(r.s, store.DeliveryQuery{})); n != 24 {
		r.Errorf("%d deliveries, want 24", n)
	}
}

func crashRetained(r *rig) {
	d := r.dest()
	items := r.posts(4, d)
	r.settle(r.delivered(items[0]))
	e := r.keyed("k", "body", d)
	r.append(e)
	r.now = midnight(r.now).Add(4 * day)
	young := r.post(d)[0]
	r.retain(store.Retention{Events: day, Attempts: 30 * day})
	r.crash()
	r.queues(young.Queue)
	r.counts(d, store.Counts{Accepted: 6, Delivered: r.s.Counts(d).Delivered, Dead: 5 - r.s.Counts(d).Delivered, Pending: 1})
	r.balanced()
	r.retain(store.Retention{Events: day, Attempts: 2 * day, Idempotency: 2 * day})
	r.crash()
	r.balanced()
	r.retain(store.Retention{Events: day, Attempts: 2 * day, Idempotency: 2 * day})
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
	if a := r.try(r.keyed("k", "other", d))[0]; a.Err != nil || a.Duplicate {
		r.Errorf("a key that aged out: %+v", a)
	}
}
