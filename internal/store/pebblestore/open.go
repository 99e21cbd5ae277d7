// Package pebblestore is the embedded store: one Pebble database in one folder,
// for one daemon.
//
// What a key looks like stands in keys.go, what a value looks like in rows.go.
// Append makes a group of events durable with one synced commit (append.go, group.go).
// Everything else that changes a delivery runs under one mutex, works on the
// row as it stands, and moves row, indexes and counters in one batch
// (change.go).
package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
)

// MaxOpenFiles is how many files a store keeps open at a time.
const MaxOpenFiles = 1000

// Options of a store. The zero value is a store on the local disk without a reserve.
type Options struct {
	FS         vfs.FS                 // nil: vfs.Default
	Reserve    int64                  // bytes of free disk below which nothing is accepted
	AcceptLoss bool                   // start behind proven corruption of the log, which is moved aside
	Copying    bool                   // for a copy: opens what a copy is made from or to
	ReadOnly   bool                   // nothing is written, not even to recover; changes fail
	Log        *slog.Logger           // nil: slog.Default
	OnCommit   func(time.Duration)    // sees how long each durable commit took
	Fatal      func(error)            // called once when nothing can be written any more: stop and exit non-zero
	Rand       func() uint64          // random bits of event ids; nil: math/rand/v2
	DiskFree   func() (uint64, error) // free bytes; nil: what FS says of the folder
	// Compactions schedules Pebble's compactions. Nil: Pebble's own scheduler,
	// which wakes ten times a second: in simulated time that is all a test does.
	Compactions pebble.CompactionScheduler
}

// Store is a store.Store.
type Store struct {
	db   *pebble.DB
	dir  string
	opts Options
	log  *slog.Logger
	lock *pebble.Lock
	fs   *fuse

	// gate is held for reading by every call that uses db and for writing by Close.
	gate    sync.RWMutex
	closing chan struct{} // closed when Close begins: no new calls
	quit    chan struct{} // closed when no call runs any more: goroutines end
	closed  sync.Once
	err     error // of Close
	wg      sync.WaitGroup

	health   health
	counters counters
	implied  implied
	beside   *pebble.Batch // of a store that is open for reading: rows of what is implied
	append   appender
	packer   packing.Packer
	idem     idempotency
	change   sync.Mutex // serialises everything that reads a row in order to change it
	backup   sync.Mutex // one backup at a time
	registry registry
	acts     acts
	settled  atomic.Uint64 // commits that were not synced
	durable  atomic.Uint64 // how many of them a synced commit has covered
	dirty    chan struct{} // wakes the syncer
	purge    chan struct{} // wakes purgeLoop
	bodies   atomic.Uint32 // the first day whose bodies retention has left
	asked    atomic.Int64  // rows read for answers
}

var _ store.Store = (*Store)(nil)

// Open opens the store in dir, making it if it is missing. The error says what
// to do when the log is damaged, the store is in use, or newer than this program.
func Open(dir string, o Options) (*Store, error) { return open(dir, o, theFormat) }

func open(dir string, o Options, f format) (_ *Store, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	s := &Store{dir: dir, opts: o, log: o.Log, fs: newFuse(o.FS),
		closing: make(chan struct{}), quit: make(chan struct{}), dirty: make(chan struct{}, 1), purge: make(chan struct{}, 1)}
	if o.DiskFree == nil {
		s.opts.DiskFree = s.diskFree
	}
	s.append.init(o.Rand)
	s.implied.init()
	s.packer = packing.New()
	s.idem.flying = map[idemHash]*claim{}
	s.health.init()
	if s.lock, err = lock(o.FS, dir, o.ReadOnly); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			if s.db != nil {
				err = errors.Join(err, s.db.Close())
			}
			s.lock.Close()
		}
	}()
	if o.FS == vfs.Default && !o.ReadOnly {
		if err := closeToOthers(dir); err != nil {
			return nil, fmt.Errorf("open store %s: %w", dir, err)
		}
	}
	damaged, proven, err := s.checkLogs()
	if err != nil {
		return nil, err
	}
	if err := s.openRecovering(damaged, proven); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return s.checkFormat(f) }, s.loadCounters, s.seedIDs, s.loadRegistry, s.loadIdempotency, s.loadActs,
		s.recoverImplied, s.checkCopy,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("open store %s: %w", dir, err)
		}
	}
	if !o.ReadOnly {
		s.wg.Go(s.commitLoop)
		s.wg.Go(s.syncLoop)
		s.wg.Go(s.purgeLoop)
	}
	return s, nil
}

// lock makes dir and takes its LOCK. A folder made here survives a power failure.
func lock(fs vfs.FS, dir string, readOnly bool) (*pebble.Lock, error) {
	if !readOnly {
		if err := mkdir(fs, dir); err != nil {
			return nil, fmt.Errorf("make store folder %s: %w", dir, err)
		}
	}
	l, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		return nil, fmt.Errorf("store %s is in use by another process, or its LOCK cannot be taken: %w", dir, err)
	}
	return l, nil
}

// mkdir makes dir and syncs every folder that got a new entry by it.
func mkdir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := fs.PathDir(dir)
	if parent != dir {
		if err := mkdir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const (
	memTableSize = 32 << 20
	tableSize    = 32 << 20 // tables that are moved down stay as large as a flush made them
	cacheSize    = 64 << 20
)

func (s *Store) openDB() (*pebble.DB, error) {
	o := &pebble.Options{
		FS:                          s.fs,
		Lock:                        s.lock,
		ReadOnly:                    s.opts.ReadOnly,
		Merger:                      countersMerger,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cacheSize,
		MemTableSize:                memTableSize,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       100,
		LBaseMaxBytes:               512 << 20,
		MaxOpenFiles:                MaxOpenFiles,
		Logger:                      &pebbleLog{s},
		EventListener:               s.listener(),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	o.Experimental.CompactionScheduler = s.opts.Compactions
	// Each kind has files of its own. Most kinds are written in the order of their keys: their
	// new files lie beside older ones, not over them, and no compaction rewrites those.
	o.Experimental.SpanPolicyFunc = func(key []byte) (pebble.SpanPolicy, []byte, error) {
		return pebble.SpanPolicy{}, []byte{key[0] + 1}, nil
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = tableSize
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return pebble.Open(s.dir, o)
}

// enter begins a call that uses db; leave ends it.
func (s *Store) enter() error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
	}
	s.gate.RLock()
	select {
	case <-s.closing:
		s.gate.RUnlock()
		return store.ErrClosed
	default:
		return nil
	}
}

// interrupted says why something long must end here, if it must.
func (s *Store) interrupted(ctx context.Context) error {
	select {
	case <-s.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

func (s *Store) leave() { s.gate.RUnlock() }

// Close makes everything durable and ends every goroutine. Calls that run are waited for.
func (s *Store) Close() error {
	s.closed.Do(func() {
		close(s.closing)
		s.gate.Lock()
		defer s.gate.Unlock()
		close(s.quit)
		s.wg.Wait()
		if s.beside != nil {
			s.beside.Close()
		}
		if s.failure() == nil && !s.opts.ReadOnly {
			s.err = errors.Join(s.finish(), s.sync())
		}
		err := s.db.Close()
		if f := s.failure(); f != nil {
			err = f // what Pebble says after it follows from it
		}
		s.err = errors.Join(s.err, err, s.lock.Close())
	})
	return s.err
}

// get returns the value of key, nil if there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	return getFrom(s.db, key)
}

func getFrom(r pebble.Reader, key []byte) ([]byte, error) {
	v, c, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}
