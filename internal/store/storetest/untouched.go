package storetest

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// A store may keep a delivery that nothing has happened to in less than others, since
// its event says all of it. Nobody may notice.
func untouchedCases() []scenario {
	return []scenario{
		{"is listed at once", 0, untouchedListed},
		{"stands in its queue among others", 0, untouchedAmongOthers},
		{"outlives a power failure beside what went on", needCrash, untouchedCrash},
		{"outlives a reopen beside what went on", 0, func(r *rig) { untouchedOutlives(r, r.reopen) }},
		{"is replayed to once", 0, untouchedReplayed},
		{"the first answer outlives what comes after it", 0, untouchedFirstAnswer},
		{"a first answer is erased", 0, untouchedErased},
		{"ages with its day", 0, untouchedAges},
	}
}

func untouchedListed(r *rig) {
	dests := r.dests(3)
	for range 3 {
		items := r.post(dests...)
		for _, q := range []store.DeliveryQuery{
			{}, {Event: items[0].ID.Event}, {States: []store.State{store.Pending}}, {Dests: dests},
			{Dests: dests, States: []store.State{store.Pending}}, {User: "user-1"},
		} {
			n := 0
			for _, d := range r.deliveries(r.s, q) {
				if d.ID.Event != items[0].ID.Event {
					continue
				}
				if n++; d.State != store.Pending || d.Due != items[0].Due || d.Attempts != 0 {
					r.Errorf("%+v lists %+v, want it pending since %d", q, d, items[0].Due)
				}
			}
			if n != len(items) {
				r.Errorf("%+v lists %d of %d deliveries made just now", q, n, len(items))
			}
		}
		r.settle(r.delivered(items[1]))
		r.advance(time.Millisecond)
	}
}

// untouchedAmongOthers reads a queue from every place in it with every limit.
func untouchedAmongOthers(r *rig) {
	d := r.dest()
	for i := range 8 {
		it := r.post(d)[0]
		switch i % 4 {
		case 1: // later than what follows
			r.settle(r.failed(it, 3*time.Millisecond, 0))
		case 2: // at the same time as what follows
			r.settle(r.failed(it, time.Millisecond, 0))
		}
		r.advance(time.Millisecond)
	}
	q := store.QueueID{Dest: d}
	all := r.queue(q)
	if len(all) != 8 || !slices.IsSortedFunc(all, func(a, b store.Item) int { return comparePositions(a.Position(), b.Position()) }) {
		r.Fatalf("the queue is %+v", all)
	}
	for i := range all {
		for limit := 1; limit <= len(all)-i; limit++ {
			for until := i; until < len(all); until++ {
				want := all[i:]
				for n, it := range want {
					if it.Due > all[until].Due || n == limit {
						want = want[:n]
						break
					}
				}
				next := int64(0)
				if i+len(want) < len(all) {
					next = all[i+len(want)].Due
				}
				got, n, err := r.s.Due(r.ctx, q, all[i].Position(), all[until].Due, limit)
				r.must("due", err)
				if !slices.Equal(got, want) || n != next {
					r.Errorf("from %d until %d, %d of them: %+v and next %d, want %+v and %d", i, until, limit, got, n, want, next)
				}
			}
		}
	}
	r.queues(q)
}

func untouchedCrash(r *rig) { untouchedOutlives(r, r.crash) }

func untouchedOutlives(r *rig, outlive func()) {
	dests := r.dests(5)
	var want []store.Item
	for range 3 {
		items := r.post(dests...)
		r.settle(r.delivered(items[0]))
		want = append(want, r.settle(r.failed(items[1], time.Minute, 7))[0].Item)
		r.move(store.Cancel, items[2].ID) // durable, and all before it
		want = append(want, items[3], items[4])
		r.advance(time.Millisecond)
	}
	last := r.post(dests[4]) // nothing follows it
	want = append(want, last...)
	outlive()
	var got []store.Item
	qs, err := r.s.Queues(r.ctx)
	r.must("queues", err)
	for _, h := range qs {
		got = append(got, r.queue(h.Queue)...)
	}
	for _, items := range [][]store.Item{got, want} {
		slices.SortFunc(items, func(a, b store.Item) int {
			if c := comparePositions(a.Position(), b.Position()); c != 0 {
				return c
			}
			return int(a.ID.Dest) - int(b.ID.Dest)
		})
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.Errorf("pending: %+v, want %+v", got, want)
	}
	for _, it := range want {
		if s := r.settle(r.delivered(it))[0]; s.Stale || s.State != store.Delivered {
			r.Errorf("%v settled as %+v", it.ID, s)
		}
	}
}

func untouchedReplayed(r *rig) {
	it := r.post(r.dest())[0]
	want := store.Want{Event: it.ID.Event, Day: it.ID.Day, Dest: it.ID.Dest}
	ms, err := r.s.Replay(r.ctx, r.now, 1, []store.Want{want})
	r.must("replay", err)
	r.wants("a replay of what is pending", ms[0].Err, store.ErrConflict)
	r.settle(r.delivered(it))
	ms, err = r.s.Replay(r.ctx, r.now, 1, []store.Want{want})
	r.must("replay", err)
	r.wants("a replay of what was delivered", ms[0].Err, nil)
	r.wants("a retry beside a pending replay", r.move(store.Retry, it.ID)[0].Err, store.ErrConflict)

	beside := r.post(r.dest())[0]
	r.wants("a retry of what is pending", r.move(store.Retry, beside.ID)[0].Err, nil)
}

func untouchedFirstAnswer(r *rig) {
	for _, c := range []store.Change{store.Retry, store.RetryLatest} {
		it := r.post(r.dest())[0]
		first := r.delivered(it)
		first.Attempt.Requests = 2
		r.settle(first, r.delivered(it)) // and late, for the same version
		again := r.move(c, it.ID)[0]
		r.must("retry", again.Err)
		second := r.failed(again.Item, time.Minute, 0)
		third := r.delivered(r.settle(second)[0].Item)
		r.settle(third)
		_, as := r.delivery(it.ID)
		for _, a := range []*store.Attempt{first.Attempt, second.Attempt, third.Attempt} {
			if !slices.Contains(as, *a) {
				r.Errorf("attempts %+v lack %+v", as, *a)
			}
		}
		if len(as) != 4 {
			r.Errorf("%d attempts, want 4", len(as))
		}
	}
}

func untouchedErased(r *rig) {
	items := r.post(r.dests(2)...)
	o := r.delivered(items[0])
	o.Attempt.Answer = "secret"
	r.settle(o)
	_, err := r.s.Erase(r.ctx, r.now, store.Erasure{Developer: "acme", User: "user-1"}, nil)
	r.must("erase", err)
	r.stands(items[0].ID, store.Delivered)
	r.stands(items[1].ID, store.Cancelled)
	if _, as := r.delivery(items[0].ID); len(as) != 1 || as[0].Answer != "" || as[0].Class != "delivered" {
		r.Errorf("attempts after an erasure: %+v", as)
	}
	if ds := r.deliveries(r.s, store.DeliveryQuery{Event: items[0].ID.Event, Detail: true}); len(ds) != 2 || ds[0].Last.Answer+ds[1].Last.Answer != "" {
		r.Errorf("listed after an erasure: %+v", ds)
	}
}

func untouchedAges(r *rig) {
	d := r.dest()
	old, settled := r.post(d)[0], r.post(d)[0]
	r.settle(r.delivered(settled))
	r.advance(72 * time.Hour)
	kept := r.post(d)[0]
	var seen []store.Moved
	rep, err := r.s.Retain(r.ctx, r.now, store.Retention{Events: 24 * time.Hour}, func(ms []store.Moved) { seen = append(seen, ms...) })
	r.must("retain", err)
	if rep.Expired != 1 || len(seen) != 1 || seen[0].ID != old.ID {
		r.Errorf("expired %+v, told %+v, want %v alone", rep, seen, old.ID)
	}
	r.stands(old.ID, store.Dead)
	r.stands(kept.ID, store.Pending)
	if s := r.settle(r.delivered(old))[0]; !s.Stale {
		r.Errorf("an outcome of what has expired settled as %+v", s)
	}
	rep, err = r.s.Retain(r.ctx, r.now, store.Retention{Events: 24 * time.Hour, Attempts: 48 * time.Hour}, nil)
	r.must("retain", err)
	if items, _, err := r.s.Due(r.ctx, store.QueueID{Dest: d}, store.Position{}, math.MaxInt64, 9); err != nil || !slices.Equal(items, []store.Item{kept}) {
		r.Errorf("after retention (%+v) the queue is %+v %v", rep, items, err)
	}
	r.counts(d, store.Counts{Accepted: 1, Pending: 1})
}
