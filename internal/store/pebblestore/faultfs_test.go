package pebblestore

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// faultFS makes syncs fail, wait, or take their time.
type faultFS struct {
	vfs.FS
	mu    sync.Mutex
	block chan struct{} // syncs wait for it; nil: they do not
	fail  error
	takes time.Duration // each sync
	only  string        // of files with this in their name; "": all
}

var errDisk = errors.New("the disk is on fire")

func (f *faultFS) stall() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{})
	f.block = c
	return sync.OnceFunc(func() {
		f.mu.Lock()
		f.block = nil
		f.mu.Unlock()
		close(c)
	})
}

func (f *faultFS) break_(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
}

func (f *faultFS) fault(name string) error {
	f.mu.Lock()
	block, err, takes := f.block, f.fail, f.takes
	if !strings.Contains(name, f.only) {
		err = nil
	}
	f.mu.Unlock()
	if block != nil {
		<-block
	}
	if takes > 0 {
		time.Sleep(takes)
	}
	return err
}

func (f *faultFS) wrap(name string) func(vfs.File, error) (vfs.File, error) {
	return func(file vfs.File, err error) (vfs.File, error) {
		if err != nil {
			return nil, err
		}
		return &faultFile{file, f, name}, nil
	}
}

func (f *faultFS) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(n)(f.FS.Create(n, c))
}

func (f *faultFS) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(b)(f.FS.ReuseForWrite(a, b, c))
}

func (f *faultFS) OpenReadWrite(n string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return f.wrap(n)(f.FS.OpenReadWrite(n, c, o...))
}

func (f *faultFS) Unwrap() vfs.FS { return f.FS }

type faultFile struct {
	vfs.File
	fs   *faultFS
	name string
}

func (f *faultFile) Sync() error {
	if err := f.fs.fault(f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultFile) SyncData() error {
	if err := f.fs.fault(f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}
