package pebblestore

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// TestRowsReadForAnswersAreCounted: each call of the log, usage and the trail counts about what it returns, and
// what the engine reads on the way of an event counts for nothing.
func TestRowsReadForAnswersAreCounted(t *testing.T) {
	s := memStore(t)
	now := time.Now()
	dests, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	var es []*store.Entry
	for i := range 200 {
		user := "u"
		if i < 10 {
			user = "rare" // and old: 190 deliveries are newer
		}
		es = append(es, entry("acme", user, "{}", dests[0]))
	}
	mustAppend(t, s, now, es...)
	items, _, err := s.Due(ctx, store.QueueID{Dest: dests[0]}, store.Position{}, now.Add(time.Hour).UnixNano(), 300)
	if err != nil || len(items) != 200 {
		t.Fatalf("%d due, %v", len(items), err)
	}
	for _, it := range items {
		mustSettle(t, s, now, retryAt(it, now.Add(time.Hour).UnixNano(), 0))
	}
	if n := s.Stats().RowsRead; n != 0 {
		t.Errorf("the way of events counts as %d rows", n)
	}
	if err := s.Note(ctx, now, []store.Act{{By: "local", Call: "reload", Result: "ok", Count: 1}}); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]struct {
		do          func() error
		least, most int64
	}{
		"10 events": {func() error { _, err := s.Events(ctx, store.EventQuery{Limit: 10}); return err }, 10, 20},
		"10 of a user": {func() error {
			_, err := s.Events(ctx, store.EventQuery{Developers: []string{"acme"}, User: "u", Limit: 10})
			return err
		}, 20, 40},
		"10 deliveries": {func() error { _, err := s.Deliveries(ctx, store.DeliveryQuery{Limit: 10}); return err }, 10, 20},
		"10 in detail":  {func() error { _, err := s.Deliveries(ctx, store.DeliveryQuery{Limit: 10, Detail: true}); return err }, 30, 60},
		"10 deliveries of a user": {func() error {
			_, err := s.Deliveries(ctx, store.DeliveryQuery{Developers: []string{"acme"}, User: "rare", Limit: 10})
			return err
		}, 30, 80},
		"those of one": {func() error {
			_, err := s.Deliveries(ctx, store.DeliveryQuery{Event: es[0].Event.ID, Limit: 10})
			return err
		}, 1, 10},
		"a delivery":     {func() error { _, _, err := s.Delivery(ctx, items[0].ID); return err }, 2, 2},
		"an event":       {func() error { _, err := s.EventRecord(ctx, es[0].Event.ID); return err }, 1, 1},
		"its body":       {func() error { _, err := s.Event(ctx, es[0].Event.ID.Day(), es[0].Event.ID); return err }, 2, 2},
		"the audit":      {func() error { _, err := s.Audit(ctx, false, nil); return err }, 1, 3},
		"the deep audit": {func() error { _, err := s.Audit(ctx, true, nil); return err }, 400, 410},
		"usage":          {func() error { return s.Usage(ctx, store.UsageQuery{}, func(*store.UsageRow) {}) }, 1, 4},
		"acts":           {func() error { _, err := s.Acts(ctx, store.ActQuery{Limit: 10}); return err }, 1, 5},
	} {
		before := s.Stats().RowsRead
		if err := call.do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.Stats().RowsRead - before; n < call.least || n > call.most {
			t.Errorf("%s: %d rows, want %d to %d", name, n, call.least, call.most)
		}
	}
}
