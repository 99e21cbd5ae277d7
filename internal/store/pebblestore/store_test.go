package pebblestore

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var ctx = context.Background()

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// misuse fails the test when Pebble finds that a single deletion met anything but exactly one
// set. It drops every other line.
type misuse struct {
	slog.Handler
	t testing.TB
}

func (m misuse) Enabled(context.Context, slog.Level) bool { return true }

func (m misuse) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(a.Value.String(), "misuse") {
			m.t.Errorf("%s: %v", r.Message, a)
		}
		return true
	})
	return nil
}

func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(misuse{slog.DiscardHandler, t})
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func memStore(t testing.TB) *Store { return mustOpen(t, "db", Options{FS: vfs.NewMem()}) }

func entry(developer, user, body string, to ...uint32) *store.Entry {
	return &store.Entry{Event: &event.Event{Developer: developer, Reference: "ref-" + user,
		Envelope: event.Envelope{Type: "activity", Version: "2022-03-16", Versioned: true, UserID: user},
		Body:     []byte(body)}, To: to}
}

func mustAppend(t testing.TB, s *Store, now time.Time, es ...*store.Entry) []store.Appended {
	t.Helper()
	out, err := s.Append(ctx, now, es)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustSettle(t testing.TB, s *Store, now time.Time, os ...store.Outcome) []store.Settled {
	t.Helper()
	out, err := s.Settle(ctx, now, os)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func delivered(it store.Item) store.Outcome {
	return store.Outcome{Item: it, State: store.Delivered, Attempts: it.Attempts + 1,
		Attempt: &store.Attempt{At: it.Due, Class: "delivered", Code: 200, Counted: true}}
}

func retryAt(it store.Item, due int64, settings uint64) store.Outcome {
	return store.Outcome{Item: it, State: store.Pending, Due: due, Settings: settings, Attempts: it.Attempts + 1,
		Attempt: &store.Attempt{At: it.Due, Class: "transient", Code: 500, Counted: true}}
}

// mustBalance fails unless memory, stored counters and a recount agree.
func mustBalance(t testing.TB, s *Store) map[uint32]store.Counts {
	t.Helper()
	rows, err := s.Audit(ctx, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[uint32]store.Counts{}
	for _, r := range rows {
		if r.Recounted == nil || *r.Recounted != r.Counts {
			t.Fatalf("destination %d: counted %+v, recounted %+v", r.Dest, r.Counts, r.Recounted)
		}
		if c := r.Counts; c.Accepted != c.Delivered+c.Pending+c.Dead+c.Cancelled {
			t.Fatalf("destination %d does not add up: %+v", r.Dest, c)
		}
		if c := s.Counts(r.Dest); c != r.Counts {
			t.Fatalf("destination %d: in memory %+v, stored %+v", r.Dest, c, r.Counts)
		}
		all[r.Dest] = r.Counts
	}
	return all
}

var day0 = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func TestAppendSettleDue(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	out := mustAppend(t, s, day0, entry("acme", "u1", `{"type":"a"}`, 1, 2, 3, 2))
	if len(out) != 1 || len(out[0].Items) != 3 || out[0].Fanout != 3 {
		t.Fatalf("appended %+v", out)
	}
	heads, err := s.Queues(ctx)
	var qs []store.QueueID
	for _, h := range heads {
		qs = append(qs, h.Queue)
	}
	if err != nil || fmt.Sprint(qs) != "[{1 0} {2 0} {3 0}]" {
		t.Fatalf("queues %v %v", qs, err)
	}
	items, next, err := s.Due(ctx, store.QueueID{Dest: 2}, store.Position{}, day0.UnixNano(), 10)
	if err != nil || next != 0 || len(items) != 1 || items[0] != out[0].Items[1] {
		t.Fatalf("due %+v next %d: %v; appended %+v", items, next, err, out[0].Items[1])
	}
	later := day0.Add(time.Minute)
	st := mustSettle(t, s, day0, delivered(out[0].Items[0]), retryAt(out[0].Items[1], later.UnixNano(), 77))
	if st[0].State != store.Delivered || st[1].State != store.Pending || st[1].Item.Queue.Settings != 77 || st[1].Item.Version != 2 {
		t.Fatalf("settled %+v", st)
	}
	if items, next, _ := s.Due(ctx, store.QueueID{Dest: 2, Settings: 77}, store.Position{}, day0.UnixNano(), 10); len(items) != 0 || next != later.UnixNano() {
		t.Fatalf("due %v next %d", items, next)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	items, _, err = s.Due(ctx, store.QueueID{Dest: 2, Settings: 77}, store.Position{}, later.UnixNano(), 10)
	if err != nil || len(items) != 1 || items[0] != st[1].Item {
		t.Fatalf("after restart: due %+v %v, want %+v", items, err, st[1].Item)
	}
	if c := s.Counts(2); c != (store.Counts{Accepted: 1, Pending: 1, PendingBytes: 12}) {
		t.Fatalf("counts %+v", c)
	}
	e, err := s.Event(ctx, out[0].ID.Day(), out[0].ID)
	if err != nil || string(e.Body) != `{"type":"a"}` || e.Developer != "acme" || !e.Versioned || e.UserID != "u1" {
		t.Fatalf("event %+v %v", e, err)
	}
	again := mustAppend(t, s, day0.Add(-time.Hour), entry("acme", "u1", `{}`, 1))
	if string(again[0].ID[:]) <= string(out[0].ID[:]) {
		t.Fatalf("id %v does not follow %v", again[0].ID, out[0].ID)
	}
}
