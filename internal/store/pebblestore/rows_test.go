package pebblestore

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func TestRowsReadBack(t *testing.T) {
	id := event.NewID(day0, 5, 99)
	r := row{State: store.Dead, Attempts: math.MaxUint16, Version: math.MaxUint32, Size: math.MaxUint32,
		Ordering: -1, Changed: math.MinInt64, Reason: "expired", Round: math.MaxUint32}
	if got, err := readRow(appendRow(nil, &r)); err != nil || got != r {
		t.Errorf("row %+v %v", got, err)
	}
	did := store.DeliveryID{Day: 7, Event: id, Dest: math.MaxUint32, Replay: 3}
	r.State, r.Due, r.Settings = store.Pending, math.MaxInt64, math.MaxUint64
	if got, err := readRow(appendRow(nil, &r)); err != nil || got != r {
		t.Errorf("pending row %+v %v", got, err)
	}
	for _, class := range []string{"delivered", "", "else"} {
		r := row{State: store.Delivered, Attempts: 1, Version: 2, Size: 9, Changed: 7, Ordering: 6,
			first: &store.Attempt{At: math.MinInt64, Took: time.Hour, Class: class, Code: -1, Answer: "ok", Address: "::1", Counted: true, Requests: 2}}
		if got, err := readRow(appendRow(nil, &r)); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("row with an attempt of class %q: %+v, %+v %v", class, got, got.first, err)
		}
	}
	want := r.item(did)
	got, err := readDue(dueKey(nil, want.Queue, want.Position()), appendDue(nil, did.Day, &r))
	if err != nil || got != want {
		t.Errorf("due %+v %v", got, err)
	}
	e := eventRow{EventRecord: store.EventRecord{Size: 3, To: []uint32{1, math.MaxUint32}, Gone: "erased",
		Event: event.Event{ID: id, Developer: "acme", Reference: "r", Ordering: day0, Envelope: event.Envelope{Type: "t", UserID: "u"}}},
		key: &idemHash{1, 2}}
	for _, at := range []int64{1, -1, math.MinInt64, math.MaxInt64} {
		e.at = at
		if got, err := readEvent(id, appendEvent(nil, &e)); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("event that implies: %+v %v", got, err)
		}
	}
	e.at = 0
	bare := len(appendEvent(nil, &e))
	if got, err := readEvent(id, appendEvent(nil, &e)); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("event %+v %v", got, err)
	}
	e.Event.Trace = &event.Trace{Sent: event.TraceContext{Parent: "00-p", State: "a=1"}, Span: "00-s"}
	if got, err := readEvent(id, appendEvent(nil, &e)); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("traced event %+v %v", got, err)
	}
	e.Event.Trace = nil
	if got := len(appendEvent(nil, &e)); got != bare || bare != 1+1+16+8+1+5+2+2+1+2+1+1+5 {
		t.Errorf("an event without a trace takes %d bytes", got)
	}
	a := store.Attempt{At: 5, Took: time.Hour, Class: "transient", Code: -1, Answer: "no", Address: "::1", Counted: true, Requests: 2}
	if got, err := readAttempt(appendAttempt(nil, &a)); err != nil || got != a {
		t.Errorf("attempt %+v %v", got, err)
	}
}

// FuzzRows: no value, however damaged, panics, and whatever reads is written the same way again.
func FuzzRows(f *testing.F) {
	r := row{State: store.Pending, Version: 1, Reason: "x", Round: 2}
	e := eventRow{EventRecord: store.EventRecord{To: []uint32{1}}}
	f.Add(appendRow(nil, &r))
	f.Add(appendRow(nil, &row{State: store.Delivered, first: &store.Attempt{Class: "x", Answer: "y"}}))
	f.Add([]byte("\x01\x03\x02\x01\x05" + strings.Repeat("\x00\x00\x00\x00\x00\x00\x00\x07", 3) + "\x08\x01x"))
	f.Add(appendEvent(nil, &e))
	e.Event.Trace = &event.Trace{Sent: event.TraceContext{Parent: "p"}, Span: "s"}
	f.Add(appendEvent(nil, &e))
	f.Add(appendAttempt(nil, &store.Attempt{Class: "x"}))
	f.Add(appendCounts(nil, &counts{1, -1}))
	f.Add(appendVarints(nil, []int64{1, 0, 1, 0, 0, 9}))
	f.Add(appendDestination(nil, &store.Destination{}))
	f.Add(appendLast(nil, &store.Last{Failed: 2, Dead: store.Hours{Newest: 9, Counts: [24]uint32{9: 3}}}))
	f.Add(appendAct(nil, &store.Act{By: "support", Reason: "x", Count: 3}))
	f.Add(appendDocument(nil, &store.Document{Developer: "acme", Version: 2, Text: []byte("t")}))
	f.Add(appendIdem(nil, &first{reference: "r"}, bodyHash{}))
	f.Add(append(appendDue(nil, 1, &r), dueKey(nil, store.QueueID{}, store.Position{})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := readRow(b); err == nil {
			if again, err := readRow(appendRow(nil, &r)); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("row %+v, again %+v %v", r, again, err)
			}
		}
		if l, err := readLast(b); err == nil {
			if again, err := readLast(appendLast(nil, &l)); err != nil || again != l {
				t.Errorf("last %+v, again %+v %v", l, again, err)
			}
			l.Dead.Sum(l.Success)
		}
		if a, err := readAct(7<<16, b); err == nil {
			if again, err := readAct(7<<16, appendAct(nil, &a)); err != nil || again != a {
				t.Errorf("act %+v, again %+v %v", a, again, err)
			}
		}
		if d, err := readDocument(b); err == nil {
			if again, err := readDocument(appendDocument(nil, &d)); err != nil || !reflect.DeepEqual(again, d) {
				t.Errorf("document %+v, again %+v %v", d, again, err)
			}
		}
		readEvent(event.ID{}, b)
		readAttempt(b)
		readCounts(b)
		readDestination(1, b)
		readIdem(b)
		packing.Unpack(b)
		parseStateKey(b)
		parseDeliveryKey(b)
		for i := range b {
			readDue(b[:i], b[i:])
		}
		readCursor(0, string(b))
		newestIn(b)
	})
}

// TestMergerIsAssociative: any grouping and order of operands gives one sum, and
// damaged operands are errors.
func TestMergerIsAssociative(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var ops [][]byte
		var want counts
		for range 1 + r.IntN(6) {
			c := counts{r.Int64(), -r.Int64(), r.Int64N(9) - 4, 0, math.MinInt64, 1}
			want.add(&c)
			ops = append(ops, appendCounts(nil, &c))
		}
		for len(ops) > 1 { // merge neighbours at random, from either side
			i := r.IntN(len(ops) - 1)
			ops = slices.Replace(ops, i, i+2, merge(t, ops[i], ops[i+1], r.IntN(2) == 0))
		}
		if got, err := readCounts(ops[0]); err != nil || got != want {
			t.Fatalf("got %v %v, want %v", got, err, want)
		}
	}
	for _, bad := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 100), append(appendCounts(nil, &counts{}), 0)} {
		if _, err := countersMerger.Merge(nil, bad); err == nil {
			t.Errorf("operand %x was taken", bad)
		}
		m, err := countersMerger.Merge(nil, appendCounts(nil, &counts{}))
		if err != nil || m.MergeNewer(bad) == nil || m.MergeOlder(bad) == nil {
			t.Errorf("operand %x was merged", bad)
		}
	}
}

func merge(t *testing.T, older, newer []byte, fromOld bool) []byte {
	t.Helper()
	var m pebble.ValueMerger
	var err error
	if fromOld {
		if m, err = countersMerger.Merge(nil, older); err == nil {
			err = m.MergeNewer(newer)
		}
	} else if m, err = countersMerger.Merge(nil, newer); err == nil {
		err = m.MergeOlder(older)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := m.Finish(true)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHostileCursors(t *testing.T) {
	s := memStore(t)
	for range 5 {
		mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	}
	p, err := s.Events(ctx, store.EventQuery{Limit: 2})
	if err != nil || p.Next == "" {
		t.Fatal(p, err)
	}
	d, err := s.Deliveries(ctx, store.DeliveryQuery{Limit: 2})
	if err != nil || d.Next == "" {
		t.Fatal(d, err)
	}
	for _, c := range []string{"x", d.Next, p.Next[1:], p.Next + "A", strings.ToUpper(p.Next), strings.Repeat("A", 1<<20), "\x00", "AAAA"} {
		if _, err := s.Events(ctx, store.EventQuery{Limit: 2, Cursor: c}); err != store.ErrCursor {
			t.Errorf("cursor %.60q: %v", c, err)
		}
	}
	if _, err := s.Events(ctx, store.EventQuery{Limit: 2, Cursor: p.Next, Types: []string{"sleep"}}); err != store.ErrCursor {
		t.Errorf("the cursor of another query: %v", err)
	}
	if q, err := s.Events(ctx, store.EventQuery{Limit: 2, Cursor: p.Next, Since: day0.Add(-time.Hour)}); err != nil || len(q.Items) != 2 {
		t.Errorf("the hour before now, a little later: %v %v", q, err)
	}
}
