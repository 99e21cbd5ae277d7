package storetest

import (
	"math"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func dueCases() []scenario {
	return []scenario{
		{"every edge of from, until and limit", 0, dueEdges},
		{"a queue read in steps", 0, dueSteps},
		{"queues do not leak into each other", 0, dueApart},
		{"an unknown queue is empty", 0, dueEmpty},
		{"follows every change", 0, dueFollows},
		{"places left and taken again", 0, duePlaces},
		{"far times", 0, dueFar},
		{"a long queue", 0, dueLong},
		{"queues are those with something pending", 0, queuesNonEmpty},
	}
}

// spread makes one delivery per wait and settles it to be due after that wait.
func (r *rig) spread(dest uint32, settings uint64, waits ...time.Duration) []store.Item {
	r.Helper()
	var outcomes []store.Outcome
	for _, w := range waits {
		outcomes = append(outcomes, r.failed(r.post(dest)[0], w, settings))
	}
	var items []store.Item
	for _, s := range r.settle(outcomes...) {
		items = append(items, s.Item)
	}
	return items
}

func sortItems(items []store.Item) {
	slices.SortFunc(items, func(a, b store.Item) int { return comparePositions(a.Position(), b.Position()) })
}

// expectDue is the contract of Due over sorted items.
func expectDue(all []store.Item, from store.Position, until int64, limit int) (items []store.Item, next int64) {
	for _, it := range all {
		switch {
		case comparePositions(it.Position(), from) < 0:
		case it.Due > until || len(items) == limit:
			return items, it.Due
		default:
			items = append(items, it)
		}
	}
	return items, 0
}

func dueEdges(r *rig) {
	d := r.dest()
	s := time.Second
	// The order of being made is not the order of being due.
	all := r.spread(d, 0, 20*s, 10*s, 30*s, 10*s, 10*s, 30*s, 20*s)
	sortItems(all)
	froms := []store.Position{{}, {Due: 1}, {Due: math.MaxInt64}}
	untils := []int64{0, math.MaxInt64, math.MaxInt64 - 1}
	for _, it := range all {
		p := it.Position()
		untils = append(untils, p.Due-1, p.Due, p.Due+1)
		froms = append(froms, p, store.Position{Due: p.Due}, store.Position{Due: p.Due - 1}, store.Position{Due: p.Due + 1},
			store.Position{Due: p.Due, Event: p.Event, Replay: 1}, store.Position{Due: p.Due, Event: p.Event, Replay: math.MaxUint32},
			store.Position{Due: p.Due, Event: flip(p.Event, 15)}, store.Position{Due: p.Due - 1, Event: p.Event, Replay: 9},
			store.Position{Due: p.Due + 1, Event: p.Event})
	}
	slices.Sort(untils)
	bad := 0
	for _, from := range froms {
		for _, until := range slices.Compact(untils) {
			for limit := 1; limit <= len(all)+1; limit++ {
				got, next, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, from, until, limit)
				r.must("due", err)
				want, wantNext := expectDue(all, from, until, limit)
				if (!slices.Equal(got, want) || next != wantNext) && bad < 10 {
					bad++
					r.Errorf("due from %v until %d limit %d:\ngot  %v next %d\nwant %v next %d", from, until, limit, got, next, want, wantNext)
				}
			}
		}
	}
}

// dueSteps reads as the scheduler does: on from the item behind the last one.
func dueSteps(r *rig) {
	d := r.dest()
	waits := make([]time.Duration, 60)
	for i := range waits {
		waits[i] = time.Duration(i*i%7) * time.Second
	}
	all := r.spread(d, 0, waits...)
	sortItems(all)
	for _, limit := range []int{1, 7, 60} {
		var got []store.Item
		from := store.Position{}
		for {
			items, next, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, from, math.MaxInt64, limit)
			r.must("due", err)
			got = append(got, items...)
			if next == 0 || len(items) == 0 || len(got) > len(all) {
				break
			}
			from = items[len(items)-1].Position()
			from.Replay++
		}
		if !slices.Equal(got, all) {
			r.Errorf("in steps of %d: %d items, want %d in order", limit, len(got), len(all))
		}
	}
}

func dueApart(r *rig) {
	dests := r.dests(300) // ids that differ in more than one byte
	hashes := []uint64{0, 1, 255, 256, 1 << 32, 1 << 63, math.MaxUint64 - 1, math.MaxUint64}
	want := map[store.QueueID][]store.Item{}
	var queues []store.QueueID
	for _, d := range []uint32{dests[0], dests[1], dests[254], dests[255], dests[299]} {
		for i, h := range hashes {
			q := store.QueueID{Dest: d, Settings: h}
			want[q] = r.spread(d, h, time.Duration(i)*time.Second, time.Minute)
			queues = append(queues, q)
		}
	}
	r.queues(slices.Clone(queues)...)
	for _, q := range queues {
		sortItems(want[q])
		if got := r.queue(q); !slices.Equal(got, want[q]) {
			r.Errorf("queue %v offers %+v, want %+v", q, got, want[q])
		}
		_, next, err := r.s.Due(r.ctx, q, store.Position{Due: math.MaxInt64}, math.MaxInt64, 10)
		r.must("due", err)
		if next != 0 {
			r.Errorf("behind its end, queue %v goes on at %d: that is another queue", q, next)
		}
	}
}

func dueEmpty(r *rig) {
	d := r.dest()
	r.post(d)
	for _, q := range []store.QueueID{{}, {Dest: d, Settings: 1}, {Dest: d + 1}, {Dest: math.MaxUint32, Settings: math.MaxUint64}} {
		if got := r.queue(q); len(got) != 0 {
			r.Errorf("queue %v offers %+v", q, got)
		}
	}
}

func dueFollows(r *rig) {
	d := r.dest()
	q, frozen := store.QueueID{Dest: d}, store.QueueID{Dest: d, Settings: 5}
	items := r.posts(4, d)
	expect := func(what string, q store.QueueID, want ...store.Item) {
		r.Helper()
		if got := r.queue(q); !slices.Equal(got, want) {
			r.Errorf("%s: queue %v offers %+v, want %+v", what, q, got, want)
		}
	}
	expect("appended", q, items...)
	again := r.settle(r.failed(items[0], time.Hour, 0))[0].Item
	expect("failed", q, items[1], items[2], items[3], again)
	cold := r.settle(r.failed(items[1], time.Minute, 5))[0].Item
	expect("frozen", q, items[2], items[3], again)
	expect("frozen", frozen, cold)
	r.settle(r.delivered(items[2]))
	expect("delivered", q, items[3], again)
	r.settle(r.rejected(items[3]))
	expect("rejected", q, again)
	r.move(store.Cancel, again.ID)
	expect("cancelled", q)
	warm := r.move(store.Rebind, cold.ID)[0].Item
	expect("rebound", frozen)
	expect("rebound", q, warm)
	r.reopen()
	expect("reopened", q, warm)
}

// duePlaces moves deliveries between few places, with the store opened anew in
// between at every point: no place may keep a ghost, and none may be lost.
func duePlaces(r *rig) {
	d := r.dest()
	at := r.now
	items := r.posts(27, d)
	for step := range 4 {
		for i, it := range items {
			o := r.interrupted(it)
			place := i
			for range step {
				place /= 3
			}
			o.Due, o.Settings = at.Add(time.Duration(place%3%2)*time.Second).UnixNano(), uint64(place%3/2)
			items[i] = r.settle(o)[0].Item
			if (i+step)%9 == 0 {
				r.reopen()
			}
		}
		r.balanced()
	}
	for i, it := range items {
		switch i % 3 {
		case 0:
			r.settle(r.delivered(it))
		case 1:
			r.move(store.Cancel, it.ID)
			r.move(store.Retry, it.ID)
			r.move(store.Expire, it.ID)
		case 2:
			r.settle(r.rejected(r.move(store.Retry, it.ID)[0].Item))
		}
	}
	r.queues()
	r.reopen()
	r.queues()
}

func dueFar(r *rig) {
	d := r.dest()
	it := r.post(d)[0]
	for _, due := range []int64{1, 255, 256, 1 << 40, math.MaxInt64 - 1, math.MaxInt64} {
		o := r.interrupted(it)
		o.Due = due
		it = r.settle(o)[0].Item
		for _, until := range []int64{due - 1, due} {
			got, next, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, store.Position{}, until, 10)
			r.must("due", err)
			want, wantNext := expectDue([]store.Item{it}, store.Position{}, until, 10)
			if !slices.Equal(got, want) || next != wantNext {
				r.Errorf("due at %d, read until %d: %+v next %d", due, until, got, next)
			}
		}
	}
}

func dueLong(r *rig) {
	d := r.dest()
	var all []store.Item
	for range 5 {
		batch := make([]*store.Entry, 1000)
		for i := range batch {
			batch[i] = r.entry(d)
		}
		for _, a := range r.append(batch...) {
			all = append(all, a.Items...)
		}
	}
	sortItems(all)
	if got := r.queue(store.QueueID{Dest: d}); !slices.Equal(got, all) {
		r.Errorf("%d items of %d, or in another order", len(got), len(all))
	}
	got, next, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, all[2000].Position(), all[0].Due, 64)
	r.must("due", err)
	if !slices.Equal(got, all[2000:2064]) || next != all[2064].Due {
		r.Errorf("64 from the middle: %d items, next %d", len(got), next)
	}
}

func queuesNonEmpty(r *rig) {
	r.queues()
	a, b := r.dest(), r.dest()
	r.queues()
	one, two := r.post(a, b), r.post(a)
	r.queues(store.QueueID{Dest: a}, store.QueueID{Dest: b})
	r.settle(r.delivered(one[1]))
	r.queues(store.QueueID{Dest: a})
	cold := r.settle(r.failed(one[0], time.Hour, 9))[0].Item
	r.queues(store.QueueID{Dest: a}, store.QueueID{Dest: a, Settings: 9})
	r.move(store.Cancel, two[0].ID)
	r.queues(store.QueueID{Dest: a, Settings: 9})
	r.reopen()
	r.queues(store.QueueID{Dest: a, Settings: 9})
	r.settle(r.rejected(cold))
	r.queues()
	r.move(store.Retry, cold.ID)
	r.queues(store.QueueID{Dest: a})
	r.move(store.Expire, cold.ID)
	r.reopen()
	r.queues()
}
