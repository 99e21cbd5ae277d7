package pgstore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// longLease has nobody adopt anything, however slow the machine is.
func longLease(o *Options) { o.Lease = 30 * time.Second }

// heard are the queues that a follower was told of.
type heard struct {
	mu   sync.Mutex
	dest map[uint32]int
}

func (h *heard) Pending(heads []store.Head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range heads {
		h.dest[heads[i].Queue.Dest]++
	}
}

func (h *heard) Changed([]store.Destination) {}

func (h *heard) of(dest uint32) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dest[dest]
}

// TestWhatACrashOfTheDatabaseLosesIsTriedAgain: an outcome that nothing had made durable is gone
// after a crash. The delivery is pending, the engine is told so, and the counters of all daemons say it.
func TestWhatACrashOfTheDatabaseLosesIsTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	exec(t, f.direct, "ALTER SYSTEM SET wal_writer_delay = '10s'", "ALTER SYSTEM SET wal_writer_flush_after = 0", "SELECT pg_reload_conf()")
	a, b := openAt(t, f.direct, longLease), openAt(t, f.direct, longLease)
	dest := register(t, a)
	told := &heard{dest: map[uint32]int{}}
	a.Follow(told)
	for try := 1; ; try++ {
		it := appendOne(t, a, entryTo(`{"n":1}`, dest)).Items[0]
		before := a.Counts(dest)
		eventually(t, "the other daemon has read of the event", func() bool { return b.Counts(dest) == before })
		n := told.of(dest)
		if _, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1}}); err != nil {
			t.Fatal(err)
		}
		f.server.Kill()
		f.server.Start()
		if ask[int](t, f.direct, "SELECT count(*)::int FROM fantail.pending") == 0 { // it was durable all the same
			if try == 20 {
				t.Fatal("no crash has lost anything")
			}
			continue
		}
		eventually(t, "the engine is told of what is pending again", func() bool { return told.of(dest) > n })
		eventually(t, "both count it", func() bool { return a.Counts(dest) == before && b.Counts(dest) == before })
		if _, err := a.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Delivered, Attempts: 1}}); err != nil {
			t.Fatal(err)
		}
		if c := a.Counts(dest); c.Pending != 0 || c.Delivered != before.Delivered+1 {
			t.Errorf("after it was delivered again: %+v, before %+v", c, before)
		}
		return
	}
}

// TestALostCommitIsFoundBehindALaterOne: after a crash, a commit may come before anybody looks. That it is there
// says nothing of those that were made before the crash.
func TestALostCommitIsFoundBehindALaterOne(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	s := openAt(t, url, longLease)
	dest := register(t, s)
	told := &heard{dest: map[uint32]int{}}
	s.Follow(told)
	now := time.Now()
	settle := func(it store.Item) {
		t.Helper()
		if _, err := s.Settle(ctx, now, []store.Outcome{{Item: it, State: store.Pending, Due: now.Add(time.Hour).UnixNano(), Attempts: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	lost, later := appendOne(t, s, entryTo(`{"n":1}`, dest)).Items[0], appendOne(t, s, entryTo(`{"n":2}`, dest)).Items[0]
	locker, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer locker.Close(ctx)
	tx, err := locker.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "LOCK TABLE fantail.destination"); err != nil { // the end of a look waits for it
		t.Fatal(err)
	}
	eventually(t, "a look has begun that will find nothing", func() bool { return ask[int](t, url, "SELECT count(*)::int FROM pg_locks WHERE NOT granted") > 0 })
	settle(lost)
	exec(t, url, fmt.Sprintf("DELETE FROM fantail.tally WHERE slot = %d AND seq = (SELECT max(seq) FROM fantail.tally WHERE slot = %[1]d)", s.changes.slot))
	settle(later)
	n := told.of(dest)
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine is told", func() bool { return told.of(dest) > n })
}

// TestTheLastCommitStaysInTheTally: folding takes what tells that nothing is lost at the very last.
func TestTheLastCommitStaysInTheTally(t *testing.T) {
	t.Parallel()
	s := openAt(t, freshDatabase(t), longLease)
	dest := register(t, s)
	told := &heard{dest: map[uint32]int{}}
	s.Follow(told)
	it := appendOne(t, s, entryTo(`{"n":1}`, dest)).Items[0]
	if _, err := s.Settle(ctx, time.Now(), []store.Outcome{{Item: it, State: store.Pending, Due: time.Now().Add(time.Hour).UnixNano(), Attempts: 1}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.folds.mu.Lock()
		s.folds.at = time.Time{}
		s.folds.mu.Unlock()
		if err := s.foldAll(); err != nil {
			t.Fatal(err)
		}
	}
	s.counters.tailing.Lock()
	read := s.counters.tail.read
	s.counters.tailing.Unlock()
	eventually(t, "somebody has looked", func() bool {
		s.counters.tailing.Lock()
		defer s.counters.tailing.Unlock()
		return s.counters.tail.read.After(read.Add(time.Second))
	})
	if n := told.of(dest); n > 0 {
		t.Errorf("the engine was told %d times of what was never lost", n)
	}
}

// TestAnErasureReachesWhatAnotherDaemonTookLast: the daemon that is asked to erase may have taken no
// event for hours.
func TestAnErasureReachesWhatAnotherDaemonTookLast(t *testing.T) {
	t.Parallel()
	url := freshDatabase(t)
	idle, busy := openAt(t, url, longLease), openAt(t, url, longLease)
	dest := register(t, busy)
	e := entryTo(`{"n":1}`, dest)
	e.Event.UserID = "user-1"
	appendOne(t, busy, e)
	rep, err := idle.Erase(ctx, time.Now(), store.Erasure{Developer: "acme", User: "user-1", By: "test"}, nil)
	if err != nil || rep.Events != 1 || rep.Cancelled != 1 {
		t.Errorf("erased %+v, %v", rep, err)
	}
}
