package pebblestore

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// slowSync is how long a sync takes in these tests: a pause of half of it is below gatherMost.
const slowSync = time.Millisecond

// slowDisk opens a store whose commits take slowSync, and counts them.
func slowDisk(t *testing.T) (s *Store, commits *atomic.Int64) {
	commits = new(atomic.Int64)
	disk := &faultFS{FS: vfs.NewMem()}
	s = mustOpen(t, "db", Options{FS: disk, OnCommit: func(time.Duration) { commits.Add(1) }})
	disk.mu.Lock()
	defer disk.mu.Unlock()
	disk.takes = slowSync
	return s, commits
}

func appendOne(t *testing.T, s *Store) {
	t.Helper()
	if _, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "{}", 1)}); err != nil {
		t.Error(err)
	}
}

// TestALoneCallerIsNotKeptWaiting: a lone caller does not wait when they come back at once,
// when they come back later, or when others were there before.
func TestALoneCallerIsNotKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := slowDisk(t)
		var crowd sync.WaitGroup
		for range 8 {
			crowd.Go(func() { appendOne(t, s) })
		}
		crowd.Wait()
		time.Sleep(slowSync)
		for _, lull := range []time.Duration{0, 0, slowSync / 4, slowSync, time.Second} {
			time.Sleep(lull)
			began := time.Now()
			appendOne(t, s)
			if took := time.Since(began); took != slowSync {
				t.Errorf("%v after the one before: took %v, a sync takes %v", lull, took, slowSync)
			}
		}
	})
}

// TestCallersWhoComeBackShareACommit: callers who need a moment between an answer and their
// next event are not split into those who come during a commit and those who come after it.
func TestCallersWhoComeBackShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, commits := slowDisk(t)
		const callers, rounds = 16, 50
		var crowd sync.WaitGroup
		for i := range callers {
			crowd.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				for range rounds {
					appendOne(t, s)
					time.Sleep(time.Duration(i+1) * 20 * time.Microsecond)
				}
			})
		}
		crowd.Wait()
		if n := commits.Load(); n > rounds*8/5 {
			t.Errorf("%d commits for %d rounds of %d callers", n, rounds, callers)
		}
	})
}

// TestNobodyIsWaitedForLong: who does not come back costs the others half a commit once.
func TestNobodyIsWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := slowDisk(t)
		var crowd sync.WaitGroup
		for range 8 {
			crowd.Go(func() { appendOne(t, s) })
		}
		crowd.Wait() // one alone, then seven
		began := time.Now()
		appendOne(t, s)
		if took := time.Since(began); took != slowSync+slowSync/2 {
			t.Errorf("took %v", took)
		}
		began = time.Now()
		appendOne(t, s)
		if took := time.Since(began); took != slowSync {
			t.Errorf("then %v", took)
		}
	})
}
