package storetest

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// moment is a time in the life of the trial, in whole milliseconds, or none.
func (t *trial) moment() time.Time {
	if t.rnd.IntN(2) == 0 {
		return time.Time{}
	}
	return t.now.Add(-time.Duration(t.rnd.Int64N(int64(t.now.Sub(start)/time.Millisecond)+1)) * time.Millisecond)
}

func (t *trial) ask() {
	t.Helper()
	q := store.EventQuery{Since: t.moment(), Until: t.moment(), User: pick(t, "", "", "ann", "bob"), Unmatched: t.rnd.IntN(5) == 0}
	if t.rnd.IntN(2) == 0 {
		q.Developers = []string{pick(t, "acme", "globex", "nobody")}
	}
	if t.rnd.IntN(2) == 0 {
		q.Types = []string{pick(t, "activity", "sleep"), pick(t, "daily", "sleep")}
	}
	t.findsEvents(t.m, q)
	d := store.DeliveryQuery{Since: t.moment(), Until: t.moment()}
	if t.rnd.IntN(2) == 0 {
		d.Dests = []uint32{pick(t, t.dests...), pick(t, t.dests...)}
	}
	if t.rnd.IntN(2) == 0 {
		d.States = []store.State{store.State(1 + t.rnd.IntN(4)), store.State(1 + t.rnd.IntN(4))}
	}
	if t.rnd.IntN(4) == 0 && len(t.ids) > 0 {
		d.Event = pick(t, t.ids...).Event
	}
	t.findsDeliveries(t.m, d)
	// Of one user, too. It draws nothing: what a seed finds stays what it was.
	d.User, d.Developers = []string{"ann", "bob"}[t.asked%2], [][]string{{"acme", "globex"}, {"globex", "globex"}, {"acme"}}[t.asked%3]
	t.asked++
	t.findsDeliveries(t.m, d)
}

func (t *trial) askDue() {
	t.Helper()
	q := store.QueueID{Dest: pick(t, t.dests...), Settings: uint64(t.rnd.IntN(3))}
	from, until := store.Position{}, t.now.UnixNano()
	if len(t.items) > 0 {
		at := pick(t, t.items...).m
		from, until = at.Position(), pick(t, t.items...).m.Due+int64(t.rnd.IntN(3))-1
		switch t.rnd.IntN(4) {
		case 0:
			from = store.Position{}
		case 1:
			from.Replay++
		case 2:
			from.Event = event.ID{}
		}
	}
	limit := 1 + t.rnd.IntN(10)
	got, next, err := t.s.Due(t.ctx, q, from, until, limit)
	t.must("due", err)
	want, wantNext, _ := t.m.Due(t.ctx, q, from, until, limit)
	for i := range min(len(got), len(want)) {
		t.offer(got[i], want[i])
		got[i].Version = want[i].Version
	}
	if !slices.Equal(got, want) || next != wantNext {
		t.Fatalf("due %v from %v until %d limit %d:\ngot  %+v next %d\nwant %+v next %d", q, from, until, limit, got, next, want, wantNext)
	}
}
