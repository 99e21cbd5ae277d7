package pebblestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
)

// slowFS is a file system on which no sync ends while it is stalled.
type slowFS struct {
	vfs.FS
	mu   sync.Mutex
	gate chan struct{} // closed when syncs may end; nil: they may
}

func (fs *slowFS) stall() (release func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	gate := make(chan struct{})
	fs.gate = gate
	return func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.gate = nil
		close(gate)
	}
}

func (fs *slowFS) wait() {
	fs.mu.Lock()
	gate := fs.gate
	fs.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (fs *slowFS) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &slowFile{f, fs}, nil
}

func (fs *slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file(fs.FS.Create(name, c))
}

func (fs *slowFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.file(fs.FS.OpenReadWrite(name, c, opts...))
}

func (fs *slowFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.file(fs.FS.ReuseForWrite(old, name, c))
}

func (fs *slowFS) OpenDir(name string) (vfs.File, error) { return fs.file(fs.FS.OpenDir(name)) }

type slowFile struct {
	vfs.File
	fs *slowFS
}

func (f *slowFile) Sync() error {
	f.fs.wait()
	return f.File.Sync()
}

func (f *slowFile) SyncData() error {
	f.fs.wait()
	return f.File.SyncData()
}

func (f *slowFile) SyncTo(n int64) (bool, error) {
	f.fs.wait()
	return f.File.SyncTo(n)
}

// memHarness keeps stores on file systems in memory that can lose their power.
func memHarness() storetest.Harness {
	var n uint64
	disk := func(s store.Store) *slowFS { return s.(*Store).opts.FS.(*slowFS) }
	open := func(t testing.TB, fs *slowFS, dir string) store.Store {
		t.Helper()
		return mustOpen(t, dir, Options{FS: fs})
	}
	return storetest.Harness{
		Bubble: true,
		Open: func(t testing.TB) store.Store {
			return open(t, &slowFS{FS: vfs.NewCrashableMem()}, "db")
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("close: %v", err)
			}
			return open(t, disk(s), s.(*Store).dir)
		},
		// By turns nothing, some and all of what was not synced survives.
		Crash: func(t testing.TB, s store.Store) store.Store {
			n++
			mem := disk(s).FS.(*vfs.MemFS)
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(n%3) * 50, RNG: rand.New(rand.NewPCG(n, 2))})
			return open(t, &slowFS{FS: left}, s.(*Store).dir)
		},
		BackupDir: func(testing.TB, store.Store) string {
			n++
			return fmt.Sprintf("copy-%d", n)
		},
		Restore: func(t testing.TB, s store.Store, dir string) store.Store { return open(t, disk(s), dir) },
		Stall:   func(t testing.TB, s store.Store) func() { return disk(s).stall() },
	}
}

// diskHarness keeps stores on the real file system, in real time.
func diskHarness() storetest.Harness {
	open := func(t testing.TB, dir string) store.Store {
		t.Helper()
		return mustOpen(t, dir, Options{})
	}
	return storetest.Harness{
		Open: func(t testing.TB) store.Store { return open(t, filepath.Join(t.TempDir(), "db")) },
		Reopen: func(t testing.TB, s store.Store) store.Store {
			if err := s.Close(); err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("close: %v", err)
			}
			return open(t, s.(*Store).dir)
		},
		BackupDir: func(t testing.TB, s store.Store) string { return filepath.Join(t.TempDir(), "copy") },
		Restore:   func(t testing.TB, s store.Store, dir string) store.Store { return open(t, dir) },
		Seeds:     []uint64{11},
	}
}

func TestConformance(t *testing.T) { storetest.Run(t, memHarness()) }

func TestConformanceOnDisk(t *testing.T) { storetest.Run(t, diskHarness()) }
