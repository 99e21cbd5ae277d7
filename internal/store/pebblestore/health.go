package pebblestore

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// stallAfter is how long a commit may run before nothing more is accepted:
	// a producer that is refused keeps its event, one that hangs may lose it.
	stallAfter  = 2 * time.Second
	stallPebble = time.Second / 2 // how long Pebble may hold writes back, which is its way of evening them out
	diskEvery   = time.Second     // how old what is known of the free space may be
	diskBytes   = 16 << 20        // or how much may have been accepted since
)

// health decides about admission before a commit. Once a commit has begun on a disk that does
// not answer, nobody can say whether it was stored.
type health struct {
	failed  chan struct{} // closed when nothing can be written any more
	failure atomic.Pointer[error]
	once    sync.Once

	slow    atomic.Int32 // commits that run longer than stallAfter
	stall   atomic.Int64 // since when Pebble holds writes back, ns; 0: it does not
	flush   atomic.Bool  // the last flush failed
	free    atomic.Int64
	checked atomic.Int64 // when free was read, ns
	since   atomic.Int64 // bytes accepted after that
	used    atomic.Int64 // bytes on disk, approximately
	logged  atomic.Int64 // when a background error was logged last, ns
}

func (h *health) init() {
	h.failed = make(chan struct{})
	h.free.Store(math.MaxInt64)
}

// fail ends all writing. After a fatal error of Pebble nobody knows whether a write has
// arrived, and a second fsync may hide what the first one lost. So no file is written any
// more, and the next start recovers as after a crash.
func (s *Store) fail(cause error) {
	s.health.once.Do(func() {
		s.fs.trip(cause)
		s.health.failure.Store(&cause)
		close(s.health.failed)
		s.log.Error("store failed: nothing can be written any more", "error", cause)
		go s.opts.Fatal(cause) // Pebble calls with its locks held
	})
}

// failure returns nil or the *Unavailable that every change gets after fail.
func (s *Store) failure() error {
	if p := s.health.failure.Load(); p != nil {
		return &store.Unavailable{Reason: fmt.Sprintf("store failed: %v", *p), After: 10 * time.Second}
	}
	return nil
}

// Ready is nil while Append can work, else an *Unavailable or ErrClosed.
func (s *Store) Ready() error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
	}
	if err := s.failure(); err != nil {
		return err
	}
	switch {
	case s.opts.ReadOnly:
		return &store.Unavailable{Reason: "store is open for reading only", After: time.Minute}
	case s.health.slow.Load() > 0:
		return &store.Unavailable{Reason: "store stalled: the disk does not answer", After: stallAfter}
	case s.stalled():
		return &store.Unavailable{Reason: "store stalled: the disk is slower than what is written", After: time.Second}
	case s.health.flush.Load():
		return &store.Unavailable{Reason: "store stalled: writing to the disk fails", After: 5 * time.Second}
	}
	if free := s.diskSpace(); free < s.opts.Reserve {
		return &store.Unavailable{Reason: "disk reserve reached", After: 10 * time.Second}
	}
	return nil
}

func (s *Store) stalled() bool {
	since := s.health.stall.Load()
	return since != 0 && time.Now().UnixNano()-since > int64(stallPebble)
}

// diskSpace returns the free bytes; one caller a second asks the file system.
func (s *Store) diskSpace() int64 {
	h := &s.health
	now := time.Now().UnixNano()
	last := h.checked.Load()
	if (now-last >= int64(diskEvery) || now < last || h.since.Load() > diskBytes) && h.checked.CompareAndSwap(last, now) {
		h.since.Store(0)
		free, err := s.opts.DiskFree()
		if err != nil { // a file system that cannot tell does not limit
			free = math.MaxInt64
		}
		h.free.Store(int64(min(free, math.MaxInt64)))
		if s.gate.TryRLock() { // not enter: callers may be in already, and Close may be waiting for them
			h.used.Store(int64(s.db.Metrics().DiskSpaceUsage()))
			s.gate.RUnlock()
		}
	}
	return h.free.Load()
}

func (s *Store) diskFree() (uint64, error) {
	u, err := s.opts.FS.GetDiskUsage(s.dir)
	return u.AvailBytes, err
}

// Stats returns figures at most a second old. DiskFree is 0 where the file system does not tell.
func (s *Store) Stats() store.Stats {
	free := s.diskSpace()
	if free == math.MaxInt64 {
		free = 0
	}
	return store.Stats{Bytes: s.health.used.Load(), DiskFree: free, Pending: s.counters.pending.Load(), RowsRead: s.asked.Load()}
}

// watch runs f, a commit that waits for the disk. While it takes longer than
// stallAfter nothing is accepted, and what waits behind it is refused.
func (s *Store) watch(f func() error) error {
	var mu sync.Mutex
	var slow, over bool
	t := time.AfterFunc(stallAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			slow = true
			s.health.slow.Add(1)
			s.append.refuse(&store.Unavailable{Reason: "store stalled: the disk does not answer", After: stallAfter})
		}
	})
	defer func() {
		t.Stop()
		mu.Lock()
		defer mu.Unlock()
		if over = true; slow {
			s.health.slow.Add(-1)
		}
	}()
	return f()
}

// apply commits b. Pebble reports a failed commit to its logger's Fatalf and
// then returns nil, or panics: both become the error here.
func (s *Store) apply(b *pebble.Batch, o *pebble.WriteOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.fail(fmt.Errorf("commit: %v", r))
			err = s.failure()
		}
	}()
	if err := s.failure(); err != nil {
		return err
	}
	if err := s.db.Apply(b, o); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return s.failure()
}

// sync makes durable what was committed before.
func (s *Store) sync() error {
	mark := s.settled.Load()
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.LogData(nil, nil); err != nil {
		return err
	}
	if err := s.watch(func() error { return s.apply(b, pebble.Sync) }); err != nil {
		return err
	}
	s.synced(mark)
	return nil
}

// synced notes that the first mark unsynced commits are durable.
func (s *Store) synced(mark uint64) {
	for {
		old := s.durable.Load()
		if mark <= old || s.durable.CompareAndSwap(old, mark) {
			return
		}
	}
}

// pebbleLog takes what Pebble has to say. Its chatter is of no use to an operator.
type pebbleLog struct{ s *Store }

func (*pebbleLog) Infof(string, ...any) {}

func (l *pebbleLog) Errorf(format string, args ...any) {
	l.s.background(fmt.Errorf(format, args...))
}

func (l *pebbleLog) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf(format, args...))
}

// background logs errors of flushes and compactions, which are tried again at
// once and for ever: one line in ten seconds.
func (s *Store) background(err error) {
	now := time.Now().UnixNano()
	last := s.health.logged.Load()
	if now-last < int64(10*time.Second) && last != 0 || !s.health.logged.CompareAndSwap(last, now) {
		return
	}
	s.log.Error("store: background work failed", "error", err)
}

func (s *Store) listener() *pebble.EventListener {
	l := &pebble.EventListener{
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { s.health.stall.Store(time.Now().UnixNano()) },
		WriteStallEnd:   func() { s.health.stall.Store(0) },
		FlushEnd: func(i pebble.FlushInfo) {
			// A flush that leaves nothing over reports an error too, and does not export it.
			s.health.flush.Store(i.Err != nil && !errors.Is(i.Err, pebble.ErrCancelledCompaction) && i.Err.Error() != "pebble: empty table")
		},
		BackgroundError: s.background,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.background(errors.New(i.String()))
		},
		PossibleAPIMisuse: func(i pebble.PossibleAPIMisuseInfo) {
			s.background(errors.New(i.String()))
		},
	}
	return l
}
