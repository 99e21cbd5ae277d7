package storetest

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// library is events of many kinds over some days, and a model that has them too.
type library struct {
	m     *model
	dests []uint32
	times []time.Time
}

func (r *rig) library(days int) *library {
	r.Helper()
	l := &library{m: newModel(), dests: r.dests(4)}
	for i := range days * 12 {
		e := r.entry()
		for j, d := range l.dests {
			if (i>>j)%3 == 1 {
				e.To = append(e.To, d)
			}
		}
		e.Event.Developer = []string{"acme", "globex", "initech"}[i%3]
		e.Event.Type = []string{"activity", "sleep", "daily", "lab_report.completed"}[i%4]
		e.Event.UserID = []string{"", "ann", "bob", "ann "}[i*7%11%4]
		items := r.append(e)[0].Items
		l.m.keep(r.now, e)
		l.times = append(l.times, r.now)
		for j, it := range items {
			switch (i + j) % 4 {
			case 0:
				l.settle(r, r.delivered(it))
			case 1:
				l.settle(r, r.rejected(it))
			case 2:
				l.settle(r, r.failed(it, time.Hour, uint64(i%2)))
			}
		}
		r.advance(2*time.Hour + 7*time.Millisecond)
	}
	return l
}

func (l *library) settle(r *rig, o store.Outcome) {
	r.settle(o)
	o.Item.Version = l.m.rows[o.Item.ID].Version
	l.m.outcome(r.now, &o)
}

// finds compares what the store lists with what the model lists, in pages of some sizes.
func (r *rig) findsEvents(m *model, q store.EventQuery) {
	r.Helper()
	q.Limit = 1000
	want := eventIDs(r.events(m, q))
	for _, limit := range []int{1, 3, 1000} {
		q.Limit = limit
		if got := eventIDs(r.events(r.s, q)); !slices.Equal(got, want) {
			r.Errorf("events %+v: %d found, want %d", q, len(got), len(want))
		}
	}
}

func (r *rig) findsDeliveries(m *model, q store.DeliveryQuery) {
	r.Helper()
	q.Limit = 1000
	want := deliveryTexts(r.deliveries(m, q))
	for _, limit := range []int{1, 3, 1000} {
		q.Limit = limit
		if got := deliveryTexts(r.deliveries(r.s, q)); !slices.Equal(got, want) {
			r.Errorf("deliveries %+v: %d found, want %d", q, len(got), len(want))
		}
	}
}

func eventIDs(es []store.EventRecord) []event.ID {
	ids := make([]event.ID, len(es))
	for i, e := range es {
		ids[i] = e.Event.ID
	}
	return ids
}

// deliveryTexts are sorted: the order within an event is open.
func deliveryTexts(ds []store.DeliveryRecord) []string {
	texts := make([]string, len(ds))
	for i, d := range ds {
		texts[i] = deliveryText(d).text()
	}
	slices.Sort(texts)
	return texts
}
