package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fuse is a file system that stops writing for good once it is tripped: see Store.fail.
type fuse struct {
	vfs.FS
	blown atomic.Pointer[error]
}

// private is the mode of files: the owner alone.
const private = 0o600

func newFuse(fs vfs.FS) *fuse { return &fuse{FS: fs} }

func (f *fuse) trip(cause error) {
	err := fmt.Errorf("not written after a failure: %w", cause)
	f.blown.CompareAndSwap(nil, &err)
}

func (f *fuse) err() error {
	if p := f.blown.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *fuse) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	// Pebble makes its files readable for everybody, and they hold bodies.
	if fd := file.Fd(); fd != vfs.InvalidFd {
		if err := syscall.Fchmod(int(fd), private); err != nil {
			return nil, errors.Join(fmt.Errorf("close a file of the store to others: %w", err), file.Close())
		}
	}
	return &fuseFile{File: file, fuse: f}, nil
}

// closeToOthers gives every file of dir the mode that new ones have. Earlier versions left
// files that others may read.
func closeToOthers(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Type().IsRegular() {
			if err := os.Chmod(filepath.Join(dir, f.Name()), private); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fuse) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.Create(name, c))
}

func (f *fuse) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.OpenReadWrite(name, c, o...))
}

func (f *fuse) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.wrap(f.FS.ReuseForWrite(from, to, c))
}

func (f *fuse) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fuseFile{File: dir, fuse: f}, nil
}

func (f *fuse) Link(from, to string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Link(from, to)
}

func (f *fuse) Rename(from, to string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *fuse) Remove(name string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

func (f *fuse) RemoveAll(name string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

// MkdirAll closes folders, those of a backup too, to everybody but the owner, whatever mode
// Pebble asks for.
func (f *fuse) MkdirAll(dir string, perm os.FileMode) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir, perm&0o700)
}

func (f *fuse) Unwrap() vfs.FS { return f.FS }

type fuseFile struct {
	vfs.File
	fuse *fuse
}

func (f *fuseFile) Write(p []byte) (int, error) {
	if err := f.fuse.err(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *fuseFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fuse.err(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *fuseFile) Sync() error {
	if err := f.fuse.err(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *fuseFile) SyncData() error {
	if err := f.fuse.err(); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *fuseFile) SyncTo(n int64) (bool, error) {
	if err := f.fuse.err(); err != nil {
		return false, err
	}
	return f.File.SyncTo(n)
}
