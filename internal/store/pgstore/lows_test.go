package pgstore

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// pages is how many pages a statement looks at.
func pages(t testing.TB, url, sql string, args ...any) (n int) {
	t.Helper()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for range 2 { // the first time, the catalogue's pages count as well
		rows, err := c.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) "+sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		n = 0
		for _, l := range lines {
			if _, after, ok := strings.Cut(l, "shared hit="); ok {
				fmt.Sscan(after, &n)
				break
			}
		}
	}
	return n
}

// ended appends n events that are due at a moment, and settles all as delivered.
func ended(t testing.TB, s *Store, at time.Time, n int, dests ...uint32) {
	t.Helper()
	for ; n > 0; n -= 500 {
		batch := make([]*store.Entry, min(n, 500))
		for i := range batch {
			batch[i] = entryTo(`{}`, dests...)
		}
		out, err := s.Append(ctx, at, batch)
		if err != nil {
			t.Fatal(err)
		}
		var outcomes []store.Outcome
		for _, a := range out {
			for _, it := range a.Items {
				outcomes = append(outcomes, store.Outcome{Item: it, State: store.Delivered, Attempt: &store.Attempt{At: 1, Class: "delivered"}})
			}
		}
		if _, err := s.Settle(ctx, time.Now(), outcomes); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReadingBeginsBehindWhatIsDead (T11): while a session holds a snapshot, rows of what was delivered
// are not removed. Recovery, adoption and the watchdog pass over next to none of them.
func TestReadingBeginsBehindWhatIsDead(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	var keys []store.DestinationKey
	for i := range 10 {
		keys = append(keys, store.DestinationKey{Developer: "acme", Name: fmt.Sprint(i), Kind: "webhook"})
	}
	dests, err := s.Register(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	dest := dests[0]
	appendOne(t, s, entryTo(`{}`, dest))
	holder, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(ctx)
	if _, err := holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM fantail.pending"); err != nil {
		t.Fatal(err)
	}
	ended(t, s, time.Now().Add(-time.Hour), 1000, dests...)
	slots := s.owned.all()
	asked := map[string]func() int{
		"due": func() int {
			return pages(t, url, sqlDue, s.owned.of(dest), int32(dest), int64(0), int64(0), [16]byte{}, int64(0), 65, s.owner)
		},
		"queues": func() int { return pages(t, url, sqlQueues, slots, s.owner) },
		"idle": func() int {
			return pages(t, url, sqlIdle, s.changes.slot) + pages(t, url, sqlIdle, s.appends[0].slot) + pages(t, url, sqlIdle, s.appends[1].slot)
		},
	}
	before := map[string]int{}
	for name, ask := range asked {
		before[name] = ask()
	}
	if err := s.raiseLows(s.settledLow()); err != nil {
		t.Fatal(err)
	}
	for name, ask := range asked {
		most := before[name] / 2 // no statement knows which queues there are: entries of the index are passed, and no rows
		if name == "due" {
			most = 40
		}
		if after := ask(); before[name] < 100 || after > most {
			t.Errorf("%s looks at %d pages, and at %d when it began where nothing is due before; want %d at the most", name, before[name], after, most)
		} else {
			t.Logf("%s looks at %d pages, and then at %d", name, before[name], after)
		}
	}
	// Who adopts the slots begins there, too.
	for _, slot := range slots {
		if low := ask[int64](t, url, "SELECT head_low FROM fantail.lease WHERE slot = $1", slot); slot < firstSerial && low < time.Now().Add(-10*time.Minute).UnixNano() {
			t.Errorf("nothing is pending in slot %d that is an hour old, and it begins at %d", slot, low)
		}
	}
}

// TestWhatIsDueEarlierIsFound: what is due before the moment from which slots are read lowers it, so that the
// daemon and whoever comes after it find it.
func TestWhatIsDueEarlierIsFound(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	kept := appendOne(t, s, entryTo(`{"n":1}`, dest)).Items[0]
	long := time.Now().Add(-48 * time.Hour)
	want := map[store.DeliveryID]bool{kept.ID: true}
	raise := func() {
		t.Helper()
		if err := s.raiseLows(s.settledLow()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(s *Store, when string) {
		t.Helper()
		heads, err := s.Queues(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, h := range heads {
			items, _, err := s.Due(ctx, h.Queue, store.Position{}, math.MaxInt64, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range items {
				n++
				if !want[it.ID] || h.From.Due > it.Due {
					t.Errorf("%s: %v is due at %d, its queue begins at %d", when, it.ID, it.Due, h.From.Due)
				}
			}
		}
		if n != len(want) {
			t.Errorf("%s: %d deliveries are found, want %d", when, n, len(want))
		}
	}
	raise()
	check(s, "at first")
	for i := range 3 { // accepted by a clock that was set back
		a, err := s.Append(ctx, long.Add(-time.Duration(i)*time.Minute), []*store.Entry{entryTo(`{"n":2}`, dest)})
		if err != nil {
			t.Fatal(err)
		}
		want[a[0].Items[0].ID] = true
		check(s, "accepted with an earlier time")
		raise()
		check(s, "and raised after that")
	}
	// Scheduled for a moment that is over, frozen to settings.
	moved, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: kept, State: store.Pending, Due: 5, Settings: 9, Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	check(s, "scheduled earlier")
	raise()
	check(s, "and raised after that")
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: moved[0].Item, State: store.Pending, Due: time.Now().UnixNano(), Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	raise()
	// Retried and replayed as of a time that is over.
	if _, err := s.Move(ctx, time.Unix(1, 0), store.Retry, []store.DeliveryID{kept.ID}); err != nil {
		t.Fatal(err)
	}
	check(s, "retried with an earlier time")
	raise()
	gone := appendOne(t, s, entryTo(`{"n":3}`, dest)).Items[0]
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: gone, State: store.Delivered}}); err != nil {
		t.Fatal(err)
	}
	again, err := s.Replay(ctx, time.Now(), 7, []store.Want{{Event: gone.ID.Event, Day: gone.ID.Day, Dest: dest, Due: 3}})
	if err != nil || again[0].Err != nil {
		t.Fatal(again, err)
	}
	want[again[0].ID] = true
	check(s, "replayed with an earlier time")
	raise()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(openAt(t, url), "by the next owner")
}

// TestNothingIsRaisedOverWhatIsUnderWay: a commit that has begun may be done long after, and appears with the
// time at which it was accepted.
func TestNothingIsRaisedOverWhatIsUnderWay(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	dest := register(t, s)
	appendOne(t, s, entryTo(`{"n":1}`, dest)) // makes the partitions
	holder, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(ctx)
	tx, err := holder.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT FROM fantail.slot WHERE id < 10001 FOR NO KEY UPDATE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	var out []store.Appended
	go func() {
		var err error
		out, err = s.Append(ctx, time.Now().Add(-time.Hour), []*store.Entry{entryTo(`{"n":2}`, dest)})
		done <- err
	}()
	eventually(t, "the commit waits for its fence", func() bool {
		return ask[int](t, url, "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
	if err := s.raiseLows(s.settledLow()); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	items, _, err := s.Due(ctx, store.QueueID{Dest: dest}, store.Position{}, math.MaxInt64, 10)
	if err != nil || len(items) != 2 || items[0].ID != out[0].Items[0].ID {
		t.Errorf("found %+v, %v; want both", items, err)
	}
}

// TestARaiseThatComesLateIsNone: its connection was given up, and meanwhile something earlier was made pending.
func TestARaiseThatComesLateIsNone(t *testing.T) {
	url := freshDatabase(t)
	s := openAt(t, url)
	slot := s.changes.slot
	now := time.Now().UnixNano()
	if err := s.raiseLows(now); err != nil {
		t.Fatal(err)
	}
	stored := func() int64 { return ask[int64](t, url, "SELECT head_low FROM fantail.lease WHERE slot = $1", slot) }
	if stored() != now {
		t.Fatalf("raised to %d, want %d", stored(), now)
	}
	raise := func(owner [16]byte, was, to int64) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sqlRaise, slot, owner, was, to); err != nil {
			t.Fatal(err)
		}
	}
	raise([16]byte{1}, now, now+1)
	if stored() != now {
		t.Errorf("who does not own the slot has raised it")
	}
	for _, due := range []int64{now + 5, now - 5} { // also where nothing had to be lowered
		was := stored()
		if _, err := s.pool.Exec(ctx, sqlLower, slot, due); err != nil {
			t.Fatal(err)
		}
		low := stored()
		raise(s.owner, was, was+9)
		if stored() != low || low > due || low == was {
			t.Errorf("lowered from %d to %d for %d, and raised to %d by somebody who did not know", was, low, due, stored())
		}
	}
}

// eager is a store whose slots are read from as late as can be: head_low is raised before every fifth read, and stands
// so high that all that is made pending has to lower it.
type eager struct {
	*placed
	t     testing.TB
	reads atomic.Int64
}

func (e *eager) raise() {
	e.t.Helper()
	if e.reads.Add(1)%5 != 0 {
		return
	}
	if err := e.raiseLows(math.MaxInt64); err != nil && e.health.reachable() {
		e.t.Errorf("raise: %v", err)
	}
}

func (e *eager) Queues(ctx context.Context) ([]store.Head, error) {
	e.raise()
	return e.placed.Queues(ctx)
}

func (e *eager) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	e.raise()
	return e.placed.Due(ctx, q, from, until, limit)
}

// TestConformanceWhereReadingBeginsLate.
func TestConformanceWhereReadingBeginsLate(t *testing.T) {
	only := []string{"random"}
	if long() {
		only = append(only, "move", "replay", "due", "settle", "stale", "concurrency", "retain")
	}
	conforms(t, 1, only, func(t testing.TB, server *servers.Private) storetest.Harness {
		h := harness(server, "", 5)
		open, reopen := h.Open, h.Reopen
		h.Open = func(t testing.TB) store.Store { return &eager{placed: open(t).(*placed), t: t} }
		h.Reopen = func(t testing.TB, s store.Store) store.Store {
			return &eager{placed: reopen(t, s.(*eager).placed).(*placed), t: t}
		}
		h.Stall, h.Crash = nil, nil
		return h
	})
}
