package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// operations counts what was written to the store so far: Pebble numbers it.
func (s *Store) operations(t testing.TB) uint64 {
	n := s.db.NewBatch()
	defer n.Close()
	if err := errors.Join(n.Set([]byte("zz"), nil, nil), s.db.Apply(n, pebble.NoSync)); err != nil {
		t.Fatal(err)
	}
	return uint64(n.SeqNum())
}

// left is how many deliveries are implied.
func (s *Store) left() int {
	s.implied.mu.Lock()
	defer s.implied.mu.Unlock()
	return s.implied.n
}

// rowsOf counts the keys of a kind.
func (s *Store) rowsOf(t *testing.T, kind byte) (n int) {
	t.Helper()
	if err := scan(s.db, []byte{kind}, []byte{kind + 1}, func(_, _ []byte) (bool, error) { n++; return true, nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// An event that goes well costs four rows, and each of its deliveries two more.
func TestWhatGoesWellIsWrittenOnce(t *testing.T) {
	s := memStore(t)
	before := s.operations(t)
	const events = 20
	var es []*store.Entry
	for range events {
		es = append(es, entry("acme", "u", "{}", 1, 2, 3))
	}
	var os []store.Outcome
	for _, a := range mustAppend(t, s, day0, es...) {
		for _, it := range a.Items {
			os = append(os, delivered(it))
		}
	}
	mustSettle(t, s, day0, os...)
	// Besides these: counters of three destinations, twice, the watermark, and what this test
	// itself writes to count.
	if n := s.operations(t) - before; n > events*(4+3*2)+2*3+2 {
		t.Errorf("%d operations for %d events with three deliveries", n, events)
	}
	if s.left() != 0 || len(s.implied.events) != 0 || len(s.implied.queues) != 0 {
		t.Errorf("left in memory: %d deliveries, %d events, %d queues", s.left(), len(s.implied.events), len(s.implied.queues))
	}
	if s.rowsOf(t, kindAttempt)+s.rowsOf(t, kindDue) != 0 {
		t.Error("attempts or places in queues were written")
	}
	mustBalance(t, s)
}

// Deliveries that are not settled for long get rows, written by the next caller, and the
// watermark follows. A start after a crash then reads only the last seconds.
func TestNothingIsImpliedForLong(t *testing.T) {
	for _, by := range []string{"append", "settle"} {
		s := memStore(t)
		a := mustAppend(t, s, day0, entry("acme", "u", "{}", 1, 2), entry("acme", "u", "{}", 2))
		mustSettle(t, s, day0, delivered(a[0].Items[0]))
		later := day0.Add(3 * time.Second)
		if by == "append" {
			b := mustAppend(t, s, later, entry("acme", "u", "{}", 3))
			if s.left() != 1 || s.implied.watermark != b[0].ID {
				t.Errorf("%d implied, the watermark is at %v, want %v", s.left(), s.implied.watermark, b[0].ID)
			}
			mustSettle(t, s, later, delivered(b[0].Items[0]))
		} else {
			mustSettle(t, s, later)
		}
		if n := s.rowsOf(t, kindDelivery); s.left() != 0 || s.rowsOf(t, kindDue) != 2 {
			t.Errorf("%s: %d rows, %d places, %d implied", by, n, s.rowsOf(t, kindDue), s.left())
		}
		for i, it := range []store.Item{a[0].Items[1], a[1].Items[0]} {
			if st := mustSettle(t, s, later, delivered(it))[0]; st.State != store.Delivered || st.Stale {
				t.Errorf("%s: %d: %+v", by, i, st)
			}
		}
		mustBalance(t, s)
	}
}

// A clock that was set back by much does not keep deliveries implied.
func TestClockSetBackWritesOut(t *testing.T) {
	s := memStore(t)
	mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	mustSettle(t, s, day0)
	mustSettle(t, s, day0.Add(-time.Hour))
	if s.left() != 0 {
		t.Errorf("%d deliveries are implied", s.left())
	}
}

// Memory is bounded: above the bound new deliveries get rows at once, and half of the implied
// ones are written out.
func TestImpliedIsBounded(t *testing.T) {
	s := memStore(t)
	const n = mostImplied + 100
	var items []store.Item
	for len(items) < n {
		var es []*store.Entry
		for range 1000 {
			es = append(es, entry("acme", "u", "{}", 1))
		}
		for _, a := range mustAppend(t, s, day0, es...) {
			items = append(items, a.Items...)
		}
	}
	if s.left() != mostImplied {
		t.Fatalf("%d are implied, want %d", s.left(), mostImplied)
	}
	wide := make([]uint32, widestImplied+1)
	for i := range wide {
		wide[i] = uint32(i + 1)
	}
	rows := s.rowsOf(t, kindDelivery)
	mustAppend(t, s, day0, entry("acme", "u", "{}", wide...))
	if now := s.rowsOf(t, kindDelivery); now != rows+len(wide) {
		t.Errorf("a wide event has %d rows of %d", now-rows, len(wide))
	}
	mustSettle(t, s, day0, delivered(items[0]))
	if s.left() > mostImplied/2 {
		t.Errorf("%d are implied after one was settled", s.left())
	}
	for len(items) > 1 {
		var os []store.Outcome
		for _, it := range items[1:min(1001, len(items))] {
			os = append(os, delivered(it))
		}
		mustSettle(t, s, day0, os...)
		items = items[len(os):]
	}
	if c := mustBalance(t, s)[1]; c.Pending != 1 {
		t.Errorf("%+v", c)
	}
}

// aftermath is a store that was killed when some deliveries were implied beside others
// that had rows, and the items that are pending in it.
func aftermath(t *testing.T) (*vfs.MemFS, []store.Item) {
	t.Helper()
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, "db", Options{FS: disk})
	now := day0.Add(123456789 * time.Nanosecond)
	carried := mustAppend(t, s, now, entry("acme", "u", "{}", 3))[0]
	mustSettle(t, s, now, delivered(carried.Items[0]))
	if _, err := s.Replay(ctx, now.AddDate(0, 0, 1), 1, []store.Want{{Event: carried.ID, Day: carried.ID.Day(), Dest: 4}}); err != nil {
		t.Fatal(err)
	}
	a := mustAppend(t, s, now, entry("acme", "u", "{}", 1, 2, 3), entry("acme", "u", "{}", 1, 2), entry("acme", "u", "{}", 2))
	st := mustSettle(t, s, now, delivered(a[0].Items[0]), retryAt(a[0].Items[1], now.UnixNano()+5, 77))
	if _, err := s.Move(ctx, now, store.Cancel, []store.DeliveryID{a[1].Items[0].ID}); err != nil {
		t.Fatal(err)
	}
	if s.left() != 3 {
		t.Fatalf("%d are implied: then this proves nothing", s.left())
	}
	return disk.CrashClone(vfs.CrashCloneCfg{}), []store.Item{a[0].Items[2], st[1].Item, a[1].Items[1], a[2].Items[0]}
}

// holds fails unless exactly these deliveries are pending in s, whichever way it is asked.
func holds(t *testing.T, s *Store, want []store.Item) {
	t.Helper()
	mustBalance(t, s)
	for _, it := range want {
		d, _, err := s.Delivery(ctx, it.ID)
		if err != nil || d.State != store.Pending || d.Due != it.Due {
			t.Errorf("%v: %+v %v", it.ID, d, err)
		}
		items, _, err := s.Due(ctx, it.Queue, it.Position(), it.Due, 1)
		if err != nil || len(items) != 1 || items[0] != it {
			t.Errorf("due: %+v %v, want %+v", items, err, it)
		}
		p, err := s.Deliveries(ctx, store.DeliveryQuery{Event: it.ID.Event, Dests: []uint32{it.ID.Dest}, Limit: 9})
		if err != nil || len(p.Items) != 1 || p.Items[0].State != store.Pending {
			t.Errorf("of the event: %+v %v", p.Items, err)
		}
	}
	for name, q := range map[string]store.DeliveryQuery{"of a state": {States: []store.State{store.Pending}}, "of all": {}} {
		q.Limit = 99
		p, err := s.Deliveries(ctx, q)
		n := 0
		for _, d := range p.Items {
			if d.State == store.Pending {
				n++
			}
		}
		if err != nil || n != len(want)+1 { // the replayed one
			t.Errorf("%s: %d pending, %v", name, n, err)
		}
	}
	if qs, err := s.Queues(ctx); err != nil || len(qs) != 4 {
		t.Errorf("queues %v %v", qs, err)
	}
}

// TestImpliedOutlivesACrash: a delivery that had no row when the process was killed is
// pending as it was accepted, also after a second kill. A delivery that had a row is left
// alone.
func TestImpliedOutlivesACrash(t *testing.T) {
	disk, want := aftermath(t)
	for range 2 {
		s := mustOpen(t, "db", Options{FS: disk})
		holds(t, s, want)
		if n := s.rowsOf(t, kindDue); n != 5 {
			t.Errorf("%d places in queues", n)
		}
		disk = disk.CrashClone(vfs.CrashCloneCfg{})
		s.Close()
	}
}

// The watermark stays at the oldest delivery that is implied and never passes it.
func TestTheWatermarkStaysBehind(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := mustOpen(t, "db", Options{FS: disk})
	old := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0]
	mustSettle(t, s, day0, delivered(old.Items[0]))
	later := day0.Add(3 * time.Second / 2)
	young := mustAppend(t, s, later, entry("acme", "u", "{}", 1), entry("acme", "u", "{}", 1))
	mustSettle(t, s, later, delivered(young[1].Items[0])) // moves it
	if s.left() != 1 || s.implied.watermark != young[0].ID {
		t.Fatalf("%d implied, the watermark is at %v", s.left(), s.implied.watermark)
	}
	if err := s.sync(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, "db", Options{FS: disk.CrashClone(vfs.CrashCloneCfg{})})
	if items, _, err := s.Due(ctx, store.QueueID{Dest: 1}, store.Position{}, 1<<62, 9); err != nil || len(items) != 1 || items[0] != young[0].Items[0] {
		t.Errorf("due %v %v", items, err)
	}
	mustBalance(t, s)
}

// A store that is open for reading writes no rows and shows them all the same.
func TestImpliedIsReadOnlyToo(t *testing.T) {
	disk, want := aftermath(t)
	s := mustOpen(t, "db", Options{FS: disk, ReadOnly: true})
	holds(t, s, want)
	if n := s.rowsOf(t, kindDue); n != 2 {
		t.Errorf("%d places in queues were written", n)
	}
}

// Closing a store leaves nothing implied, and a copy of the folder is complete.
func TestCloseWritesOut(t *testing.T) {
	disk := vfs.NewMem()
	s := mustOpen(t, "db", Options{FS: disk})
	a := mustAppend(t, s, day0, entry("acme", "u", "{}", 1, 2))[0]
	if err := s.Backup(ctx, "copy"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = mustOpen(t, "db", Options{FS: disk, ReadOnly: true}) // writes nothing itself
	if at, err := readWatermark(s.db); err != nil || at != following(a.ID) || s.rowsOf(t, kindDelivery) != 2 {
		t.Errorf("closed with %d rows and the watermark at %v, %v", s.rowsOf(t, kindDelivery), at, err)
	}
	s.Close()
	for _, dir := range []string{"db", "copy"} {
		s := mustOpen(t, dir, Options{FS: disk})
		for _, it := range a.Items {
			if st := mustSettle(t, s, day0, delivered(it))[0]; st.Stale || st.State != store.Delivered {
				t.Errorf("%s: %+v", dir, st)
			}
		}
		mustBalance(t, s)
	}
}

// TestImpliedWaitsForItsCommit: a delivery is not shown before its event can be read. A
// delivery whose commit was given up is forgotten.
func TestImpliedWaitsForItsCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faultFS{FS: vfs.NewMem()}
		s := mustOpen(t, "db", Options{FS: disk})
		first := mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1))[0]
		release := disk.stall()
		end := make(chan error, 2)
		call := func(dest uint32) {
			_, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "{}", dest)})
			end <- err
		}
		go call(2) // hangs in its commit: it can be read
		synctest.Wait()
		go call(3) // waits behind it
		synctest.Wait()
		if s.left() != 3 {
			t.Fatalf("%d implied", s.left())
		}
		shown := func() string {
			qs, err := s.Queues(ctx)
			var ids []string
			for dest := range uint32(4) {
				items, _, err := s.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, 1<<62, 9)
				if err != nil {
					t.Error(err)
				}
				for _, it := range items {
					if _, err := s.EventRecord(ctx, it.ID.Event); err != nil {
						t.Errorf("offered without its event: %v", err)
					}
					ids = append(ids, fmt.Sprint(it.ID.Dest))
				}
			}
			return fmt.Sprint(len(qs), " ", strings.Join(ids, ","), err)
		}
		if got := shown(); got != "2 1,2<nil>" {
			t.Errorf("while a commit hangs: %s", got)
		}
		if err := <-end; !unavailable(err) { // the one behind is refused
			t.Errorf("behind a commit that hangs: %v", err)
		}
		release()
		if err := <-end; err != nil {
			t.Error(err)
		}
		if got := shown(); got != "2 1,2<nil>" {
			t.Errorf("after it: %s", got)
		}
		if _, err := s.Deliveries(ctx, store.DeliveryQuery{Limit: 9}); err != nil || s.left() != 0 {
			t.Errorf("%d implied, %v", s.left(), err)
		}
		if n := s.rowsOf(t, kindDelivery); n != 2 {
			t.Errorf("%d rows of two deliveries that were accepted", n)
		}
		if st := mustSettle(t, s, time.Now(), delivered(first.Items[0])); st[0].Stale {
			t.Errorf("%+v", st)
		}
		mustBalance(t, s)
	})
}

// TestTheOnlyAttempt: the only attempt stands in the row of the delivery that it delivered.
// When something else happens to the delivery, it becomes the first of several in the log.
func TestTheOnlyAttempt(t *testing.T) {
	s := memStore(t)
	it := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0]
	o := delivered(it)
	o.Attempt.Answer, o.Attempt.Address, o.Attempt.Took, o.Attempt.Requests = "thanks", "192.0.2.1:443", 5*time.Millisecond, 2
	mustSettle(t, s, day0, o)
	attempts := func(want ...store.Attempt) {
		t.Helper()
		_, as, err := s.Delivery(ctx, it.ID)
		if err != nil || fmt.Sprint(as) != fmt.Sprint(want) {
			t.Errorf("attempts %+v %v, want %+v", as, err, want)
		}
		p, err := s.Deliveries(ctx, store.DeliveryQuery{Limit: 9, Detail: true})
		if err != nil || len(p.Items) != 1 || p.Items[0].Last != want[len(want)-1] {
			t.Errorf("last %+v %v, want %+v", p.Items, err, want)
		}
	}
	attempts(*o.Attempt)
	if n := s.rowsOf(t, kindAttempt); n != 0 {
		t.Errorf("%d attempts have rows", n)
	}
	mustSettle(t, s, day0, o) // twice for one version
	attempts(*o.Attempt)
	ms, err := s.Move(ctx, day0, store.Retry, []store.DeliveryID{it.ID})
	if err != nil || ms[0].Err != nil {
		t.Fatal(ms, err)
	}
	attempts(*o.Attempt)
	again := delivered(ms[0].Item)
	again.Attempt.At++
	mustSettle(t, s, day0, again)
	attempts(*o.Attempt, *again.Attempt)
	mustBalance(t, s)
}

// TestAnsweredErasure: an erasure takes what a far side answered out of the row and the files.
func TestAnsweredErasure(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	const secret = "heart-rate-171-of-ann"
	a := mustAppend(t, s, day0, entry("acme", "ann", "{}", 1), entry("acme", "ann", "{}", 1))
	o, flying := delivered(a[0].Items[0]), delivered(a[1].Items[0])
	o.Attempt.Answer, flying.Attempt.Answer = "you sent "+secret, "you sent "+secret
	mustSettle(t, s, day0, o)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	rep, err := s.Erase(ctx, day0, store.Erasure{Developer: "acme", User: "ann"}, nil)
	if err != nil || rep != (store.ErasureReport{Events: 2, Cancelled: 1}) {
		t.Fatalf("%+v %v", rep, err)
	}
	mustSettle(t, s, day0, flying) // in flight meanwhile
	for _, id := range []store.DeliveryID{a[0].Items[0].ID, a[1].Items[0].ID} {
		if _, as, err := s.Delivery(ctx, id); err != nil || len(as) != 1 || as[0].Answer != "" || as[0].Class != "delivered" {
			t.Errorf("attempts %+v %v", as, err)
		}
	}
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
	held := holding(t, dir, secret)
	for limit := time.Now().Add(10 * time.Second); len(held) > 0 && time.Now().Before(limit); held = holding(t, dir, secret) {
		<-time.After(10 * time.Millisecond) // Pebble removes in the background what is obsolete
	}
	for _, found := range held {
		t.Error(found)
	}
	mustBalance(t, s)
}

// Retention that removes a day removes its implied deliveries too.
func TestRetentionTakesWhatIsImplied(t *testing.T) {
	s := memStore(t)
	a := mustAppend(t, s, day0, entry("acme", "u", "{}", 1, 2))[0]
	rep, err := s.Retain(ctx, day0.AddDate(0, 0, 9), store.Retention{Events: time.Hour, Attempts: time.Hour}, nil)
	if err != nil || rep.Expired != 2 || s.left() != 0 {
		t.Fatalf("%+v, %d implied, %v", rep, s.left(), err)
	}
	late := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0] // of a day that is gone: ids do not run backward
	if err := s.retainRows(late.ID.Day()+1, nil); err != nil {
		t.Fatal(err)
	}
	for _, it := range append(a.Items, late.Items...) {
		if st := mustSettle(t, s, day0, delivered(it))[0]; !st.Stale || st.State != 0 {
			t.Errorf("settled %+v, want that it is gone", st)
		}
	}
	if c := mustBalance(t, s)[1]; c != (store.Counts{}) {
		t.Errorf("%+v", c)
	}
}

// Reading a queue from a position after a delivery does not offer that delivery again.
func TestTheQueueGoesOnBehindWhatIsImplied(t *testing.T) {
	s := memStore(t)
	it := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0]
	from := it.Position()
	from.Replay++
	if items, next, err := s.Due(ctx, it.Queue, from, 1<<62, 9); err != nil || len(items) != 0 || next != 0 {
		t.Errorf("due %v, next %d, %v", items, next, err)
	}
}

// Callers read their clocks before they wait in line, and a producer may name another
// ordering time. Implied deliveries are still offered by due time, each with its own ordering.
func TestTheQueueOfWhatIsImpliedIsSorted(t *testing.T) {
	s := memStore(t)
	own := entry("acme", "u", "{}", 1)
	own.Event.Ordering = day0.Add(-time.Hour)
	late := mustAppend(t, s, day0.Add(5*time.Millisecond), own)[0].Items[0]
	early := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0]
	items, next, err := s.Due(ctx, late.Queue, store.Position{}, 1<<62, 1)
	if err != nil || len(items) != 1 || items[0] != early || next != late.Due {
		t.Errorf("due %+v, next %d, %v", items, next, err)
	}
	if late.Ordering != own.Event.Ordering.UnixNano() {
		t.Errorf("ordering %d", late.Ordering)
	}
}

// The watermark may follow an event that was given an id and never stored. Later events come
// after it, whatever the clock does before the next start: recovery would miss any that came
// before it.
func TestNoEventComesBeforeTheWatermark(t *testing.T) {
	for name, refused := range map[string]time.Duration{"later": 5 * time.Second, "of the same millisecond": 0} {
		disk := vfs.NewCrashableMem()
		s := mustOpen(t, "db", Options{FS: disk})
		mustSettle(t, s, day0, delivered(mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0]))
		s.append.mu.Lock()
		g := &group{writer: writer{b: s.db.NewBatch()}, sum: deltas{}, done: make(chan struct{})}
		for range 3 {
			s.build(g, day0.Add(refused), &fresh{entry: entry("acme", "u", "{}", 1)}, new(store.Appended))
		}
		s.append.mu.Unlock()
		g.b.Close()
		g.end(errDisk)
		s.Close()
		s = mustOpen(t, "db", Options{FS: disk})
		it := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0].Items[0] // the clock was set back
		if s.left() != 1 || bytes.Compare(it.ID.Event[:], s.implied.watermark[:]) < 0 {
			t.Errorf("%s: %d implied, %v comes before the watermark %v", name, s.left(), it.ID.Event, s.implied.watermark)
		}
		s = mustOpen(t, "db", Options{FS: disk.CrashClone(vfs.CrashCloneCfg{})})
		items, _, err := s.Due(ctx, it.Queue, store.Position{}, 1<<62, 9)
		if err != nil || len(items) != 1 || items[0] != it {
			t.Errorf("%s: due %v %v", name, items, err)
		}
		mustBalance(t, s)
	}
}

// The disk may hold up a change of deliveries. Events do not wait for that.
func TestAppendWaitsForNoChange(t *testing.T) {
	s := memStore(t)
	mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	s.change.Lock()
	end := make(chan error, 1)
	go func() {
		_, err := s.Append(ctx, day0.Add(time.Minute), []*store.Entry{entry("acme", "u", "{}", 1)})
		end <- err
	}()
	select {
	case err := <-end:
		if err != nil {
			t.Error(err)
		}
		s.change.Unlock()
	case <-time.After(10 * time.Second):
		t.Error("an event waits for a change of deliveries")
		s.change.Unlock()
		<-end
	}
}
