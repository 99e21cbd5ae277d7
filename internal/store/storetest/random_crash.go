package storetest

import (
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// crashAfterAll fails the power when everything must be durable: nothing is lost.
func (t *trial) crashAfterAll() {
	t.Helper()
	t.settled()
	clear(t.past)
	t.crash()
	t.forget()
	t.agree()
}

// crashSuddenly fails the power at once: an outcome of just now may be undone, each
// delivery for itself, and nothing else. The model then follows the store.
func (t *trial) crashSuddenly() {
	t.Helper()
	t.crash()
	for id, rows := range t.past {
		now := t.m.rows[id]
		if now == nil {
			continue // retention took it
		}
		rows = append(rows, *now)
		rec, as, err := t.s.Delivery(t.ctx, id)
		t.must("delivery", err)
		was := slices.IndexFunc(rows, func(row modelRow) bool { return sameRow(row, rec, as) })
		if was < 0 {
			t.Fatalf("after a power failure %v is %+v with attempts %+v, and was never that since it was durable: %+v", id, rec, as, rows)
		}
		*now = rows[was]
	}
	clear(t.past)
	t.forget()
	t.agree()
}

func sameRow(row modelRow, rec store.DeliveryRecord, as []store.Attempt) bool {
	want := slices.Clone(row.attempts)
	slices.SortStableFunc(want, byAge)
	return deliveryText(row.record()).text() == deliveryText(rec).text() && slices.Equal(want, as)
}

// forget drops the items offered before a crash, as a process does that ends, and reads them again.
func (t *trial) forget() {
	t.Helper()
	t.items = nil
	clear(t.done)
	heads, err := t.s.Queues(t.ctx)
	t.must("queues", err)
	for _, q := range sortedQueues(heads) {
		want, _, _ := t.m.Due(t.ctx, q, store.Position{}, 1<<62, 5)
		got, _, err := t.s.Due(t.ctx, q, store.Position{}, 1<<62, 5)
		t.must("due", err)
		if len(got) != len(want) {
			t.Fatalf("queue %v offers %d items, want %d", q, len(got), len(want))
		}
		for i := range got {
			t.offer(got[i], want[i])
		}
	}
}
