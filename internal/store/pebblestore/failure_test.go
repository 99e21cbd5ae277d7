package pebblestore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func unavailable(err error) bool {
	var u *store.Unavailable
	return errors.As(err, &u) && u.After > 0
}

// TestFailingSync: when the log cannot be synced every append that waits gets an
// error, Fatal is called once, nothing is acknowledged any more, and what was
// acknowledged before is there after a restart.
func TestFailingSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		disk := &faultFS{FS: mem}
		var fatal atomic.Int32
		s := mustOpen(t, "db", Options{FS: disk, Fatal: func(err error) { fatal.Add(1) }})
		first := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0]
		disk.break_(errDisk)
		var wg sync.WaitGroup
		var failed atomic.Int32
		for range 32 {
			wg.Go(func() {
				if _, err := s.Append(ctx, day0, []*store.Entry{entry("acme", "u", "{}", 1)}); unavailable(err) {
					failed.Add(1)
				} else {
					t.Errorf("append on a broken disk: %v", err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		disk.break_(nil) // the next sync would succeed and hide the loss
		if n := fatal.Load(); n != 1 || failed.Load() != 32 {
			t.Errorf("fatal called %d times, %d of 32 refused", n, failed.Load())
		}
		for name, err := range map[string]error{
			"ready":  s.Ready(),
			"append": second(s.Append(ctx, day0, []*store.Entry{entry("acme", "u", "{}", 1)})),
			"settle": second(s.Settle(ctx, day0, []store.Outcome{delivered(first.Items[0])})),
			"move":   second(s.Move(ctx, day0, store.Cancel, []store.DeliveryID{first.Items[0].ID})),
			"put":    s.Put(ctx, "k", nil),
		} {
			if !unavailable(err) {
				t.Errorf("%s after the failure: %v", name, err)
			}
		}
		if c := s.Counts(1); c.Accepted != 1 {
			t.Errorf("counted %+v of one accepted event", c)
		}
		if _, err := s.Event(ctx, first.ID.Day(), first.ID); err != nil {
			t.Errorf("reading goes on: %v", err)
		}
		if err := s.Close(); !unavailable(err) {
			t.Errorf("close: %v", err)
		}
		again := mustOpen(t, "db", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		if _, err := again.Event(ctx, first.ID.Day(), first.ID); err != nil {
			t.Errorf("acknowledged before: %v", err)
		}
		mustBalance(t, again)
	})
}

// TestFailingManifest: after a failure elsewhere than in the log nothing more is
// written either, because nobody knows which files count.
func TestFailingManifest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewCrashableMem()
		disk := &faultFS{FS: mem, only: "MANIFEST"}
		fatal := make(chan error, 9)
		s := mustOpen(t, "db", Options{FS: disk, Fatal: func(err error) { fatal <- err }})
		first := mustAppend(t, s, day0, entry("acme", "u", "{}", 1))[0]
		disk.break_(errDisk)
		s.db.AsyncFlush()
		if err := <-fatal; !strings.Contains(err.Error(), "MANIFEST") {
			t.Errorf("fatal: %v", err)
		}
		disk.break_(nil)
		if _, err := s.fs.Create("db/x", vfs.WriteCategoryUnspecified); err == nil {
			t.Error("files can still be written")
		}
		if _, err := s.Append(ctx, day0, []*store.Entry{entry("acme", "u", "{}", 1)}); !unavailable(err) {
			t.Errorf("append: %v", err)
		}
		if err := s.Close(); !unavailable(err) || len(fatal) > 0 {
			t.Errorf("close: %v; fatal called %d times more", err, len(fatal))
		}
		again := mustOpen(t, "db", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
		if _, err := again.Event(ctx, first.ID.Day(), first.ID); err != nil {
			t.Errorf("acknowledged before: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestBlockedSync: while a sync hangs, the store refuses new events before it commits them.
// A caller who waits behind the hanging commit is told that nothing was stored. A caller
// within that commit waits, but not for ever.
func TestBlockedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &faultFS{FS: vfs.NewMem()}
		s := mustOpen(t, "db", Options{FS: disk})
		mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1))
		release := disk.stall()
		start := time.Now()
		type end struct {
			err   error
			after time.Duration
		}
		call := func(ctx context.Context) chan end {
			c := make(chan end, 1)
			go func() {
				_, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "{}", 1)})
				c <- end{err, time.Since(start)}
			}()
			synctest.Wait()
			return c
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		gone, waits := call(short), call(ctx) // the first is in the commit, the second behind it
		if e := <-waits; !unavailable(e.err) || e.after != stallAfter {
			t.Errorf("behind a hanging commit: %v after %v", e.err, e.after)
		}
		if err := s.Ready(); !unavailable(err) {
			t.Errorf("ready while a commit hangs: %v", err)
		}
		if e := <-call(ctx); !unavailable(e.err) || e.after != stallAfter {
			t.Errorf("a later caller: %v after %v", e.err, e.after)
		}
		if e := <-gone; !unavailable(e.err) || e.after != 5*time.Second+hangAfter || !strings.Contains(e.err.Error(), "not known") {
			t.Errorf("in the hanging commit, its caller gone: %v after %v", e.err, e.after)
		}
		s.Stats()
		release()
		synctest.Wait()
		if err := s.Ready(); err != nil {
			t.Errorf("after the disk answers again: %v", err)
		}
		mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1))
		if c := s.Counts(1); c.Accepted != 3 { // the one that hung did arrive
			t.Errorf("%+v", c)
		}
		mustBalance(t, s)
	})
}

// TestDiskReserve: below the reserve nothing is accepted while outcomes are.
func TestDiskReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free, asked atomic.Int64
		free.Store(10 << 20)
		s := mustOpen(t, "db", Options{FS: vfs.NewMem(), Reserve: 1 << 20, DiskFree: func() (uint64, error) {
			asked.Add(1)
			return uint64(free.Load()), nil
		}})
		its := mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1, 2))[0].Items
		free.Store(1<<20 - 1)
		for range 100 {
			s.Ready()
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("the file system was asked %d times within a second", n)
		}
		time.Sleep(time.Second)
		_, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "{}", 1)})
		if !unavailable(err) || !strings.Contains(err.Error(), "reserve") {
			t.Errorf("append below the reserve: %v", err)
		}
		mustSettle(t, s, time.Now(), delivered(its[0]))
		if ms, err := s.Move(ctx, time.Now(), store.Expire, []store.DeliveryID{its[1].ID}); err != nil || ms[0].Err != nil {
			t.Errorf("expire below the reserve: %v %v", ms, err)
		}
		if n := s.Stats().DiskFree; n != 1<<20-1 {
			t.Errorf("disk free %d", n)
		}
		free.Store(10 << 20)
		time.Sleep(time.Second)
		mustAppend(t, s, time.Now(), entry("acme", "u", "{}", 1))
	})
}

// TestCloseEndsCallers: who appends while the store closes gets ErrClosed or a durable event.
func TestCloseEndsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s := mustOpen(t, "db", Options{FS: mem})
		var wg sync.WaitGroup
		var ok atomic.Int64
		enough := make(chan struct{})
		for range 16 {
			wg.Go(func() {
				for {
					_, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "{}", 1)})
					if errors.Is(err, store.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					if ok.Add(1) == 200 {
						close(enough)
					}
				}
			})
		}
		<-enough
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		again := mustOpen(t, "db", Options{FS: mem})
		if c := again.Counts(1); c.Accepted != ok.Load() {
			t.Errorf("%d acknowledged, %d there", ok.Load(), c.Accepted)
		}
	})
}
