package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// holding says which files of a folder hold one of texts.
func holding(t *testing.T, dir string, texts ...string) (found []string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(b, []byte(text)) {
				found = append(found, fmt.Sprintf("%s holds %q", n.Name(), text))
			}
		}
	}
	return found
}

// TestErasedBodiesLeaveTheFiles: after an erasure and the rewriting that follows
// it, neither tables nor logs in use hold the body or the name.
func TestErasedBodiesLeaveTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	const secret, name = "heart-rate-171-of-ann", "user-ann-4711"
	e := entry("acme", name, strings.Repeat(secret, 50), 1)
	e.IdempotencyKey = "key"
	a := mustAppend(t, s, day0, e, entry("acme", "bob", "bob's", 1))
	mustSettle(t, s, day0, store.Outcome{Item: a[0].Items[0], State: store.Pending, Due: 1,
		Attempt: &store.Attempt{Class: "transient", Answer: "you sent " + secret}})
	for range 3 { // into tables, several of them
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, day0, entry("acme", "carol", "carol's", 1))
	}
	rep, err := s.Erase(ctx, day0, store.Erasure{Developer: "acme", User: name, By: "root"}, nil)
	if err != nil || rep.Events != 1 || rep.Cancelled != 1 {
		t.Fatalf("%+v %v", rep, err)
	}
	// The list of days to rewrite empties when it is done.
	prefix := registryKey(regPurge, "")
	for left := 1; left > 0; {
		left = 0
		if err := scan(s.db, prefix, after(bytes.Clone(prefix)), func(_, _ []byte) (bool, error) { left++; return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{}) // removes logs that are no longer needed
	defer s.Close()
	held := holding(t, dir, secret, name, "ref-"+name)
	for limit := time.Now().Add(10 * time.Second); len(held) > 0 && time.Now().Before(limit); held = holding(t, dir, secret, name, "ref-"+name) {
		<-time.After(10 * time.Millisecond) // Pebble removes in the background what is obsolete
	}
	for _, found := range held {
		t.Error(found)
	}
	if e, err := s.Event(ctx, a[1].ID.Day(), a[1].ID); err != nil || string(e.Body) != "bob's" {
		t.Errorf("somebody else's event: %+v %v", e, err)
	}
	mustBalance(t, s)
}

// TestReplayedCopies: a delivery and a body that a replay carried to a later day
// age with that day, and an erasure finds them.
func TestReplayedCopies(t *testing.T) {
	for _, erase := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := memStore(t)
			a := mustAppend(t, s, day0, entry("acme", "ann", "body", 1))[0]
			mustSettle(t, s, day0, delivered(a.Items[0]))
			later := a.ID.Day() + 5
			did := store.DeliveryID{Day: later, Event: a.ID, Dest: 1, Replay: 1}
			want := store.Want{Event: a.ID, Day: a.ID.Day(), Dest: 1}
			if ms, err := s.Replay(ctx, later.Start(), 1, []store.Want{want}); err != nil || ms[0].ID != did || ms[0].Err != nil {
				t.Fatal(ms, err)
			}
			if c := mustBalance(t, s)[1]; c.Accepted != 2 || c.Pending != 1 {
				t.Fatalf("%+v", c)
			}
			if p, err := s.Events(ctx, store.EventQuery{Limit: 10}); err != nil || len(p.Items) != 1 {
				t.Errorf("the copy is listed as an event: %v %v", p, err)
			}
			if p, err := s.Deliveries(ctx, store.DeliveryQuery{Event: a.ID, Limit: 10}); err != nil || len(p.Items) != 2 || p.Items[0].ID != did {
				t.Errorf("deliveries of the event: %v %v", p, err)
			}
			if erase {
				rep, err := s.Erase(ctx, day0, store.Erasure{Developer: "acme", User: "ann"}, nil)
				if err != nil || rep != (store.ErasureReport{Events: 1, Cancelled: 1}) {
					t.Errorf("%+v %v", rep, err)
				}
				if _, err := s.Event(ctx, later, a.ID); err != store.ErrNotFound {
					t.Errorf("the copy after the erasure: %v", err)
				}
				mustBalance(t, s)
				return
			}
			keep := store.Retention{Events: 48 * time.Hour, Attempts: 72 * time.Hour}
			if _, err := s.Retain(ctx, (a.ID.Day() + 4).Start(), keep, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := s.EventRecord(ctx, a.ID); err != store.ErrNotFound {
				t.Errorf("the event itself: %v", err)
			}
			if e, err := s.Event(ctx, later, a.ID); err != nil || string(e.Body) != "body" || e.Developer != "acme" {
				t.Errorf("the copy: %+v %v", e, err)
			}
			if c := mustBalance(t, s)[1]; c.Accepted != 1 || c.Pending != 1 {
				t.Errorf("%+v", c)
			}
			rep, err := s.Retain(ctx, (later + 9).Start(), keep, nil)
			if err != nil || rep.Expired != 1 {
				t.Errorf("%+v %v", rep, err)
			}
			if c := mustBalance(t, s)[1]; c.Accepted != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestRetentionFreesTheDisk: days are whole files, so that they go without being rewritten.
func TestRetentionFreesTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	r := rand.New(rand.NewPCG(1, 1))
	now := day0
	for range 3 {
		for range 200 {
			mustAppend(t, s, now, entry("acme", "u", string(noise(r, 20<<10)), 1))
		}
		now = now.AddDate(0, 0, 1)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	live := func() uint64 { return s.db.Metrics().Table.Local.LiveSize }
	before := live()
	rep, err := s.Retain(ctx, now.AddDate(0, 0, 2), store.Retention{Events: time.Hour, Attempts: 2 * time.Hour}, nil)
	if err != nil || rep.Days != 3 || rep.Expired != 600 {
		t.Fatalf("%+v %v", rep, err)
	}
	if err := s.db.Compact(ctx, []byte{kindBody}, []byte{kindBody + 1}, false); err != nil {
		t.Fatal(err)
	}
	if after := live(); after > before/2 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
	mustBalance(t, s)
}

// TestIDsOutliveEvents: retention has taken every event and the clock is set
// back over a restart; ids still go forward.
func TestIDsOutliveEvents(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "db", Options{FS: fs})
	a := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0]
	if _, err := s.Retain(ctx, day0.AddDate(1, 0, 0), store.Retention{Events: time.Hour, Attempts: time.Hour}, nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = mustOpen(t, "db", Options{FS: fs})
	b := mustAppend(t, s, day0.AddDate(0, 0, -3), entry("acme", "u", "{}", 1))[0]
	if string(b.ID[:]) <= string(a.ID[:]) {
		t.Errorf("%v after %v", b.ID, a.ID)
	}
}

// BenchmarkSearch lists from many deliveries, most of them delivered, a few
// dead: every page must come within 50 ms, whatever is asked.
func BenchmarkSearch(b *testing.B) {
	s := mustOpen(b, b.TempDir(), Options{})
	const events = 100_000
	now := day0
	for n := 0; n < events; n += 500 {
		es := make([]*store.Entry, 500)
		for i := range es {
			es[i] = entry(fmt.Sprintf("dev-%d", (n+i)%50), fmt.Sprintf("user-%d", (n+i)%5000), "{}", uint32((n+i)%50+1), uint32((n+i)%50+101), 200)
		}
		now = now.Add(10 * time.Minute)
		out := mustAppend(b, s, now, es...)
		var os []store.Outcome
		for i, a := range out {
			for _, it := range a.Items {
				o := delivered(it)
				if (n+i)%20_000 == 7 {
					o.State, o.Reason = store.Dead, "used up"
				}
				os = append(os, o)
			}
		}
		mustSettle(b, s, now, os...)
	}
	old, mid := day0.AddDate(0, 0, 0), now.Add(-12*time.Hour)
	one := event.ID{}
	if p, err := s.Events(ctx, store.EventQuery{Limit: 1, Until: mid}); err == nil && len(p.Items) == 1 {
		one = p.Items[0].Event.ID
	}
	page := func(n int, next string, err error) (int, string) {
		if err != nil {
			b.Fatal(err)
		}
		return n, next
	}
	ev := func(q store.EventQuery) func(string) (int, string) {
		return func(c string) (int, string) {
			q.Limit, q.Cursor = 100, c
			p, err := s.Events(ctx, q)
			return page(len(p.Items), p.Next, err)
		}
	}
	de := func(q store.DeliveryQuery) func(string) (int, string) {
		return func(c string) (int, string) {
			q.Limit, q.Cursor = 100, c
			p, err := s.Deliveries(ctx, q)
			return page(len(p.Items), p.Next, err)
		}
	}
	for _, c := range []struct {
		name string
		list func(string) (int, string)
	}{
		{"events", ev(store.EventQuery{})},
		{"events-of-developer", ev(store.EventQuery{Developers: []string{"dev-7", "dev-8"}})},
		{"events-of-user", ev(store.EventQuery{Developers: []string{"dev-7"}, User: "user-4007"})},
		{"events-of-user-of-anybody", ev(store.EventQuery{User: "user-4007"})},
		{"events-unmatched", ev(store.EventQuery{Unmatched: true})},
		{"events-of-a-type-nobody-has", ev(store.EventQuery{Types: []string{"none"}})},
		{"events-before", ev(store.EventQuery{Since: old, Until: mid})},
		{"deliveries", de(store.DeliveryQuery{})},
		{"deliveries-dead", de(store.DeliveryQuery{States: []store.State{store.Dead}})},
		{"deliveries-delivered", de(store.DeliveryQuery{States: []store.State{store.Delivered}})},
		{"deliveries-dead-of-destination", de(store.DeliveryQuery{Dests: []uint32{200}, States: []store.State{store.Dead}})},
		{"deliveries-of-destination", de(store.DeliveryQuery{Dests: []uint32{200}})},
		{"deliveries-of-ten", de(store.DeliveryQuery{Dests: []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}})},
		{"deliveries-of-event", de(store.DeliveryQuery{Event: one})},
	} {
		b.Run(c.name, func(b *testing.B) {
			worst, items, pages, cursor := time.Duration(0), 0, 0, ""
			for b.Loop() {
				start := time.Now()
				var n int
				n, cursor = c.list(cursor)
				worst = max(worst, time.Since(start))
				items, pages = items+n, pages+1
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
			b.ReportMetric(float64(items)/float64(pages), "items/page")
		})
	}
}

// A delivery and its attempts are read at one moment, even while outcomes are stored.
func TestADeliveryIsReadWhole(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for range 300 {
		it := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0]
		done := make(chan error, 1)
		go func() {
			_, err := s.Settle(ctx, day0, []store.Outcome{delivered(it)})
			done <- err
		}()
		for over := false; !over; {
			select {
			case err := <-done:
				if over = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
			d, as, err := s.Delivery(ctx, it.ID)
			if err != nil || (d.State == store.Delivered) != (len(as) == 1) {
				t.Fatalf("%v with %d attempts, %v", d.State, len(as), err)
			}
		}
	}
}
