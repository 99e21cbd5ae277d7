package simulation

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a disk in memory that can lose its power in the middle of a write.
type disk struct {
	vfs.FS              // *vfs.MemFS
	left   atomic.Int64 // writes and syncs until snap is called
	snap   atomic.Pointer[func()]
}

func newDisk() *disk { return &disk{FS: vfs.NewCrashableMem()} }

// arm has f called after n more writes or syncs have begun.
func (d *disk) arm(n int, f func()) {
	d.snap.Store(&f)
	d.left.Store(int64(n))
}

// step comes before every write and every sync.
func (d *disk) step() {
	if d.left.Load() > 0 && d.left.Add(-1) == 0 {
		if f := d.snap.Swap(nil); f != nil {
			(*f)()
		}
	}
}

// after is the disk as a crash leaves it now.
func (d *disk) after(c vfs.CrashCloneCfg) *disk {
	return &disk{FS: d.FS.(*vfs.MemFS).CrashClone(c)}
}

func (d *disk) file(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

// inOrder comes before a change of one of Pebble's markers. Pebble makes a manifest, then the marker that
// names it, removes the old marker, and syncs the directory once for all of that. It relies on a directory
// that loses only the end of its changes, as those of journalling file systems do. The disk in memory loses
// each change by chance.
func (d *disk) inOrder(name string) error {
	if !strings.HasPrefix(d.PathBase(name), "marker.") {
		return nil
	}
	dir, err := d.FS.OpenDir(d.PathDir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.step()
	if err := d.inOrder(name); err != nil {
		return nil, err
	}
	return d.file(d.FS.Create(name, c))
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.file(d.FS.OpenReadWrite(name, c, o...))
}

func (d *disk) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	d.step()
	return d.file(d.FS.ReuseForWrite(old, name, c))
}

func (d *disk) OpenDir(name string) (vfs.File, error) { return d.file(d.FS.OpenDir(name)) }

func (d *disk) Rename(old, name string) error {
	d.step()
	return d.FS.Rename(old, name)
}

func (d *disk) Remove(name string) error {
	d.step()
	if err := d.inOrder(name); err != nil {
		return err
	}
	return d.FS.Remove(name)
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

type diskFile struct {
	vfs.File
	disk *disk
}

func (f *diskFile) Write(p []byte) (int, error) {
	f.disk.step()
	return f.File.Write(p)
}

func (f *diskFile) Sync() error {
	f.disk.step()
	return f.File.Sync()
}

func (f *diskFile) SyncData() error {
	f.disk.step()
	return f.File.SyncData()
}

func (f *diskFile) SyncTo(n int64) (bool, error) {
	f.disk.step()
	return f.File.SyncTo(n)
}
