package pebblestore

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func usageOf(t *testing.T, s *Store) (rows []store.UsageRow) {
	t.Helper()
	if err := s.Usage(ctx, store.UsageQuery{}, func(u *store.UsageRow) { rows = append(rows, *u) }); err != nil {
		t.Fatal(err)
	}
	return rows
}

// A program before format 5 counted neither attempts nor bytes. Its counters are read as they
// are. What was counted since is not shown as the whole: no figure is better than a wrong one.
func TestUsageOfAnOlderStoreIsPartial(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, "db", Options{FS: fs})
	ids, err := s.Register(ctx, []store.DestinationKey{{Developer: "acme", Name: "app", Kind: "webhook"}})
	if err != nil {
		t.Fatal(err)
	}
	d := ids[0]
	out, err := s.Append(ctx, day0, []*store.Entry{entry("acme", "u", "body", d)})
	if err != nil {
		t.Fatal(err)
	}
	// As it stood there: the first six counters.
	older := appendVarints(nil, []int64{1, 0, 1, 0, 0, 4})
	err = s.write(func(w *writer) {
		w.k, w.v = countersKey(nil, event.DayOf(day0), d), older
		w.set()
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = mustOpen(t, "db", Options{FS: fs})
	it := out[0].Items[0]
	o := store.Outcome{Item: it, State: store.Delivered, Attempts: 1, Attempt: &store.Attempt{At: day0.UnixNano(), Class: "delivered", Counted: true}}
	if _, err := s.Settle(ctx, day0, []store.Outcome{o}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(ctx, day0.Add(24*time.Hour), []*store.Entry{entry("acme", "u", "body two", d)}); err != nil {
		t.Fatal(err)
	}
	want := []store.UsageRow{
		{Day: event.DayOf(day0), Dest: d, Counts: store.Counts{Accepted: 1, Delivered: 1}, Partial: true},
		{Day: event.DayOf(day0) + 1, Dest: d, Counts: store.Counts{Accepted: 1, Pending: 1, PendingBytes: 8}, Bytes: 8},
	}
	for range 2 {
		got := usageOf(t, s)
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("usage %+v, want %+v", got, want)
		}
		rows, err := s.Audit(ctx, true, nil)
		if err != nil || len(rows) != 1 || rows[0].Counts != *rows[0].Recounted || rows[0].Counts.Accepted != 2 {
			t.Errorf("audit %+v, %v", rows, err)
		}
		s.Close()
		s = mustOpen(t, "db", Options{FS: fs})
		if err := s.db.Compact(ctx, []byte{kindCounters}, []byte{kindCounters + 1}, false); err != nil { // merges for good
			t.Fatal(err)
		}
	}
}

// A partial operand makes every sum partial, wherever it stands.
func TestPartialCountersMerge(t *testing.T) {
	whole, partial := appendCounts(nil, &counts{1, 0, 1, 0, 0, 9, 3, 9}), appendVarints(nil, []int64{1, 0, 1, 0, 0, 9})
	for _, ops := range [][3][]byte{{partial, whole, whole}, {whole, partial, whole}, {whole, whole, partial}} {
		for _, fromOld := range []bool{true, false} {
			sum, isPartial, err := readDay(merge(t, merge(t, ops[0], ops[1], fromOld), ops[2], fromOld))
			if err != nil || !isPartial || sum != (counts{3, 0, 3, 0, 0, 27}) {
				t.Errorf("sum %v, partial %v, %v", sum, isPartial, err)
			}
		}
	}
	for _, bad := range [][]byte{appendVarints(nil, []int64{1, 2, 3, 4, 5}), appendVarints(nil, []int64{1, 2, 3, 4, 5, 6, 7})} {
		if _, _, err := readDay(bad); err == nil {
			t.Errorf("counters %x were read", bad)
		}
	}
}

// Damage ends the answer with an error and never passes for no usage.
func TestDamagedUsage(t *testing.T) {
	s := memStore(t)
	set := func(k, v []byte) {
		t.Helper()
		if err := s.db.Set(k, v, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ k, v []byte }{
		{countersKey(nil, 20000, 1), []byte{1}},
		{append(countersKey(nil, 20000, 1), 7), appendCounts(nil, &counts{1})},
	} {
		set(c.k, c.v)
		err := s.Usage(ctx, store.UsageQuery{}, func(*store.UsageRow) {})
		if !errors.Is(err, errRow) {
			t.Errorf("counters %x %x: %v", c.k, c.v, err)
		}
		if err := s.db.Delete(c.k, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}
