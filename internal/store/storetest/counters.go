package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func counterCases() []scenario {
	return []scenario{
		{"follow a delivery", 0, countersFollow},
		{"of bytes follow every state", 0, countersBytes},
		{"are there for every destination", 0, auditEvery},
		{"of what is not known are zero", 0, countersUnknown},
		{"deep reports its progress", 0, auditProgress},
		{"over many days", 0, countersDays},
	}
}

func countersFollow(r *rig) {
	d, other := r.dest(), r.dest()
	items := r.posts(6, d)
	r.post(other)
	type c = store.Counts
	r.counts(d, c{Accepted: 6, Pending: 6})
	r.settle(r.delivered(items[0]), r.rejected(items[1]))
	r.counts(d, c{Accepted: 6, Pending: 4, Delivered: 1, Dead: 1})
	cold := r.settle(r.failed(items[2], time.Hour, 4), r.interrupted(items[3]))[0].Item
	r.counts(d, c{Accepted: 6, Pending: 4, Delivered: 1, Dead: 1})
	r.move(store.Cancel, items[4].ID, items[0].ID)
	r.counts(d, c{Accepted: 6, Pending: 3, Delivered: 1, Dead: 1, Cancelled: 1})
	r.move(store.Rebind, cold.ID)
	r.counts(d, c{Accepted: 6, Pending: 3, Delivered: 1, Dead: 1, Cancelled: 1})
	r.move(store.Expire, items[5].ID)
	r.counts(d, c{Accepted: 6, Pending: 2, Delivered: 1, Dead: 2, Cancelled: 1})
	r.settle(r.delivered(items[4]))
	r.counts(d, c{Accepted: 6, Pending: 2, Delivered: 2, Dead: 2})
	r.move(store.Retry, items[0].ID, items[1].ID, items[3].ID)
	r.counts(d, c{Accepted: 6, Pending: 4, Delivered: 1, Dead: 1})
	r.reopen()
	r.counts(d, c{Accepted: 6, Pending: 4, Delivered: 1, Dead: 1})
	r.counts(other, c{Accepted: 1, Pending: 1})
}

func countersBytes(r *rig) {
	d := r.dest()
	want := func(what string, n int64) {
		r.Helper()
		if got := r.s.Counts(d).PendingBytes; got != n {
			r.Errorf("%s: %d bytes are pending, want %d", what, got, n)
		}
	}
	var items []store.Item
	for _, size := range []int{1, 100, 10_000} {
		e := r.entry(d)
		e.Event.Body = []byte(strings.Repeat("x", size))
		items = append(items, r.append(e)[0].Items...)
	}
	want("appended", 10_101)
	it := r.settle(r.failed(items[0], time.Minute, 2))[0].Item
	want("failed", 10_101)
	r.settle(r.delivered(items[1]))
	want("delivered", 10_001)
	r.settle(r.delivered(items[1]))
	want("delivered twice", 10_001)
	r.move(store.Cancel, items[2].ID)
	want("cancelled", 1)
	r.settle(r.delivered(items[2]))
	want("delivered all the same", 1)
	r.move(store.Retry, items[1].ID, items[2].ID, it.ID)
	want("retried", 10_101)
	r.reopen()
	want("reopened", 10_101)
	r.move(store.Expire, items[0].ID, items[1].ID, items[2].ID)
	want("expired", 0)
}

func auditEvery(r *rig) {
	dests := r.dests(5)
	r.post(dests[1], dests[3])
	for range 2 {
		rows, err := r.s.Audit(r.ctx, true, func(int64) {})
		r.must("audit", err)
		var got []uint32
		for _, row := range rows {
			got = append(got, row.Dest)
		}
		if !slices.Equal(sorted(got), sorted(dests)) {
			r.Errorf("audit lists destinations %v, want %v", sorted(got), dests)
		}
		r.reopen()
	}
}

func countersUnknown(r *rig) {
	d := r.dest()
	r.post(d)
	for _, id := range []uint32{0, d + 1, 1<<32 - 1} {
		r.counts(id, store.Counts{})
	}
}

func auditProgress(r *rig) {
	dests := r.dests(10)
	for range 50 {
		batch := make([]*store.Entry, 20)
		for i := range batch {
			batch[i] = r.entry(dests...)
		}
		r.append(batch...)
	}
	last := int64(0)
	_, err := r.s.Audit(r.ctx, true, func(rows int64) {
		if rows < last || rows <= 0 {
			r.Errorf("progress went from %d to %d rows", last, rows)
		}
		last = rows
	})
	r.must("audit", err)
	_, err = r.s.Audit(r.ctx, false, nil)
	r.must("audit that is not deep", err)
}

func countersDays(r *rig) {
	dests := r.dests(3)
	var last []store.Item
	for range 10 {
		its := r.post(dests...)
		if last != nil {
			r.settle(r.delivered(last[0]), r.failed(last[1], time.Hour, 1))
			r.move(store.Cancel, last[2].ID)
		}
		last = its
		r.advance(11 * time.Hour)
	}
	r.counts(dests[0], store.Counts{Accepted: 10, Delivered: 9, Pending: 1})
	r.counts(dests[1], store.Counts{Accepted: 10, Pending: 10})
	r.counts(dests[2], store.Counts{Accepted: 10, Cancelled: 9, Pending: 1})
	r.reopen()
	r.counts(dests[2], store.Counts{Accepted: 10, Cancelled: 9, Pending: 1})
}
