package pebblestore

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A store of format 1 is taken over as it is, and once it is, a program of that
// time says what to do instead of calling a row unreadable.
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
	if err := s.SetState(ctx, ids[0], held); err != nil {
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
	if err := s.SetState(ctx, ids[0], failing); err != nil {
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

// What rows look like belongs to the format number: whoever changes one so that
// older programs cannot read it raises the number, says in steps how to get
// there, and writes the new bytes here.
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
		{"event", appendEvent(nil, &e)},
		{"event of a trace", appendEvent(nil, &traced)},
		{"attempt", appendAttempt(nil, &store.Attempt{At: 1, Took: 2, Class: "transient", Code: 503, Answer: "a", Address: "b", Counted: true})},
		{"destination", appendDestination(nil, &d)},
		{"destination that fails", appendDestination(nil, &failing)},
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
