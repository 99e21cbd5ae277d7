package pebblestore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A store of format 1 is taken over as it is. From then on a program of that format says what
// to do instead of calling a row unreadable.
func TestFormatOne(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "store")
	one := format{number: 1}
	open1 := func() (*Store, error) { return open(at, Options{Log: quiet()}, one) }
	s, err := open1()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	held := store.DestinationState{Held: true, Reason: "its bucket is missing", Since: day0}
	if _, _, err := s.ChangeState(ctx, ids[0], func(s *store.DestinationState) { *s = held }); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup")
	if err := s.Backup(ctx, backup); err != nil {
		t.Fatal(err)
	}
	s.Close()

	is := func(dir string) *Store {
		t.Helper()
		s := mustOpen(t, dir, Options{})
		if ds, err := s.Destinations(ctx); err != nil || len(ds) != 1 || ds[0].State != held {
			t.Fatalf("migrated: %+v, %v", ds, err)
		}
		return s
	}
	s = is(at)
	failing := held
	failing.Failing = store.Failing{Since: day0, Lasted: time.Hour, Attempts: 12}
	if _, _, err := s.ChangeState(ctx, ids[0], func(s *store.DestinationState) { *s = failing }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := open1(); err == nil || !strings.Contains(err.Error(), "it has format 5 and this program knows formats up to 1: run the newer program") {
		t.Errorf("the older program: %v", err)
	}
	at += ".format-1"
	if s, err = open1(); err != nil {
		t.Fatalf("what was kept: %v", err)
	}
	s.Close()

	restored := filepath.Join(dir, "restored")
	if err := Restore(backup, restored); err != nil {
		t.Fatal(err)
	}
	is(restored)
	if found, err := filepath.Glob(restored + "*"); err != nil || len(found) != 1 {
		t.Errorf("a restore leaves %v, %v: the backup is the copy", found, err)
	}
	if _, err := os.Stat(backup); err != nil {
		t.Error(err)
	}
}

// The encoding of rows belongs to the format number. Whoever changes a row so that older
// programs cannot read it raises the number, says in steps how to get there, and writes the
// new bytes here.
func TestEncodingsBelongToTheFormat(t *testing.T) {
	id := event.ID{0: 1, 6: 0x70, 8: 0x80, 15: 2}
	e := eventRow{key: &idemHash{3}, EventRecord: store.EventRecord{Size: 5, To: []uint32{1, 300}, Event: event.Event{
		ID: id, Developer: "acme", Reference: "r", Ordering: day0}}}
	e.Event.Type, e.Event.Version, e.Event.Versioned, e.Event.UserID = "sleep", "v", true, "u"
	traced := e
	traced.Event.Trace = &event.Trace{Sent: event.TraceContext{Parent: "p", State: "s"}, Span: "q"}
	r := row{State: store.Pending, Attempts: 2, Version: 3, Size: 300, Due: 5, Ordering: 6, Changed: 7, Settings: 8, Reason: "why"}
	again := r
	again.Round = 300
	only := row{State: store.Delivered, Attempts: 1, Version: 2, Size: 300, Ordering: 6, Changed: 70,
		first: &store.Attempt{At: 7, Took: 60, Class: "delivered", Code: 200, Answer: "a", Address: "b", Counted: true}}
	implies := e
	implies.at = day0.UnixNano() + 5
	d := store.Destination{ID: 1, DestinationKey: store.DestinationKey{Developer: "acme", Name: "app", Kind: "webhook"},
		State: store.DestinationState{Paused: true, Reason: "why", Settings: 9, Since: day0}}
	failing := d
	failing.State.Failing = store.Failing{Settings: 9, Since: day0, Lasted: time.Hour, Attempts: 300, Told: 1}
	got := ""
	for _, is := range []struct {
		name string
		b    []byte
	}{
		{"delivery", appendRow(nil, &r)},
		{"due", appendDue(nil, 20000, &r)},
		{"delivery of a later round", appendRow(nil, &again)},
		{"due in a later round", appendDue(nil, 20000, &again)},
		{"delivery with its only attempt", appendRow(nil, &only)},
		{"event", appendEvent(nil, &e)},
		{"event of a trace", appendEvent(nil, &traced)},
		{"event that implies its deliveries", appendEvent(nil, &implies)},
		{"attempt", appendAttempt(nil, &store.Attempt{At: 1, Took: 2, Class: "transient", Code: 503, Answer: "a", Address: "b", Counted: true})},
		{"destination", appendDestination(nil, &d)},
		{"destination that fails", appendDestination(nil, &failing)},
		{"counters", appendCounts(nil, &counts{1, -2, 300, 4, 5, -600, 7, 8})},
		{"document", appendDocument(nil, &store.Document{Developer: "acme", Version: 2, At: day0, By: "b", Text: []byte("t"), Deleted: true})},
		{"act", appendAct(nil, &store.Act{By: "a", Via: "b", From: "c", Call: "d", Developer: "e", Object: "f", Reason: "g", Result: "h", State: "i", Count: 300})},
		{"last answer of a destination", appendLast(nil, &store.Last{Success: 1, Answer: store.Answer{At: 2, Code: 503, Class: "a", Text: "b", Fault: "c"},
			Failed: 300, Settings: 9, Dead: store.Hours{Newest: 4, Counts: [24]uint32{5: 600}}})},
		{"idempotency key", appendIdem(nil, &first{id: id, reference: "r", fanout: 300}, bodyHash{3})},
	} {
		got += is.name + " " + hex.EncodeToString(is.b) + "\n"
	}
	file := fmt.Sprintf("testdata/format-%d", theFormat.number)
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; the rows of format %d are:\n%s", err, theFormat.number, got)
	}
	if got != string(want) {
		t.Errorf("%s has\n%snot\n%s", file, want, got)
	}
}

// The program of format 4 wrote testdata/store-of-format-4. Everything in it still reads the
// same, deliveries go on, and usage is counted. The step may be interrupted.
func TestFormatFour(t *testing.T) {
	at := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(at, os.DirFS("testdata/store-of-format-4")); err != nil {
		t.Fatal(err)
	}
	step := func(s *Store) error { return errors.Join(theFormat.steps[4](s), errDisk) }
	if _, err := open(at, Options{Log: quiet()}, format{number: 5, steps: map[uint64]func(*Store) error{4: step}}); !errors.Is(err, errDisk) {
		t.Fatalf("an interrupted step: %v", err)
	}
	s, err := open(at, Options{Log: quiet(), ReadOnly: true}, format{number: 4})
	if err != nil {
		t.Fatal(err)
	}
	if w, err := readWatermark(s.db); err != nil || w.IsZero() {
		t.Errorf("the step leaves the watermark at %v, %v", w, err)
	}
	s.Close()
	s = mustOpen(t, at, Options{})
	if kept, err := open(at+".format-4", Options{Log: quiet()}, format{number: 4}); err != nil {
		t.Errorf("the old store is not kept: %v", err)
	} else {
		kept.Close()
	}
	var events []event.ID
	for _, text := range []string{"019cd79e-4600-7000-be93-4d2ca61d1878", "019cd79e-49e8-7000-9218-10de5cf04bd1",
		"019cd79e-4dd0-7000-9c15-c4ed7acd2a33", "019cd79e-51b8-7000-a1ba-f01b92544827", "019cd79e-55a0-7000-8236-aa6401daa902"} {
		id, err := event.ParseID(text)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, id)
	}
	first := func(e int, dest uint32) store.DeliveryID {
		return store.DeliveryID{Day: events[e].Day(), Event: events[e], Dest: dest}
	}
	replayed := store.DeliveryID{Day: events[2].Day() + 1, Event: events[2], Dest: 1, Replay: 9}
	for _, want := range []struct {
		id       store.DeliveryID
		state    store.State
		reason   string
		attempts int
	}{
		{first(0, 1), store.Delivered, "", 1}, {first(0, 2), store.Pending, "", 1}, {first(0, 3), store.Dead, "rejected: no", 1},
		{first(1, 1), store.Cancelled, "by hand", 0}, {first(1, 2), store.Pending, "", 1}, {first(1, 3), store.Pending, "", 0},
		{first(2, 1), store.Delivered, "", 1}, {replayed, store.Pending, "", 0}, {first(4, 3), store.Pending, "", 0},
	} {
		if d, as, err := s.Delivery(ctx, want.id); err != nil || d.State != want.state || d.Reason != want.reason || len(as) != want.attempts {
			t.Errorf("%v: %+v with %d attempts, %v; want %+v", want.id, d, len(as), err, want)
		}
	}
	items, _, err := s.Due(ctx, store.QueueID{Dest: 3}, store.Position{}, 1<<62, 9)
	if err != nil || len(items) != 4 {
		t.Errorf("due: %v %v", items, err)
	}
	if frozen, _, err := s.Due(ctx, store.QueueID{Dest: 2, Settings: 77}, store.Position{}, 1<<62, 9); err != nil || len(frozen) != 1 || frozen[0].Version != 2 {
		t.Errorf("frozen: %v %v", frozen, err)
	}
	for _, st := range mustSettle(t, s, day0.Add(time.Hour), delivered(items[0]), delivered(items[1]), delivered(items[2]), delivered(items[3])) {
		if st.State != store.Delivered || st.Stale {
			t.Errorf("settled %+v", st)
		}
	}
	dup := entry("acme", "user-1", `{"n":0}`, 1)
	dup.IdempotencyKey = "key"
	if out := mustAppend(t, s, day0.Add(time.Hour), dup); !out[0].Duplicate || out[0].ID != events[0] {
		t.Errorf("the key of before: %+v", out[0])
	}
	mustAppend(t, s, day0.Add(time.Hour), entry("acme", "user-1", "{}", 1, 2))
	if c := mustBalance(t, s); c[1].Accepted != 7 || c[3].Delivered != 4 {
		t.Errorf("%+v", c)
	}
}

// Every format since the first has a way to this one; the steps before format 4 rewrite nothing.
func TestEveryFormatSinceTheFirstIsTakenOver(t *testing.T) {
	for number := uint64(1); number < theFormat.number; number++ {
		at := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(at, os.DirFS("testdata/store-of-format-4")); err != nil {
			t.Fatal(err)
		}
		s, err := open(at, Options{Log: quiet()}, format{number: 4})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.setFormat(number), s.Close()); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, at, Options{})
		if c := mustBalance(t, s); c[1].Accepted != 6 {
			t.Errorf("format %d: %+v", number, c)
		}
	}
}
