package pebblestore

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// cutFS calls back before everything that changes the disk.
type cutFS struct {
	vfs.FS
	before func(op, name string) error
}

func (c *cutFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &cutFile{f, c, name}, nil
}

func (c *cutFS) Create(n string, k vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.before("create", n); err != nil {
		return nil, err
	}
	f, err := c.FS.Create(n, k)
	return c.wrap(n, f, err)
}

func (c *cutFS) OpenReadWrite(n string, k vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(n, k, o...)
	return c.wrap(n, f, err)
}

func (c *cutFS) OpenDir(n string) (vfs.File, error) {
	f, err := c.FS.OpenDir(n)
	return c.wrap(n, f, err)
}

func (c *cutFS) Link(a, b string) error {
	if err := c.before("link", b); err != nil {
		return err
	}
	return c.FS.Link(a, b)
}

func (c *cutFS) Rename(a, b string) error {
	if err := c.before("rename", b); err != nil {
		return err
	}
	return c.FS.Rename(a, b)
}

func (c *cutFS) Unwrap() vfs.FS { return c.FS }

type cutFile struct {
	vfs.File
	fs   *cutFS
	name string
}

func (f *cutFile) Write(p []byte) (int, error) {
	if err := f.fs.before("write", f.name); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *cutFile) Sync() error {
	if err := f.fs.before("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *cutFile) SyncData() error {
	if err := f.fs.before("sync", f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

// diskOfFormat4 holds the store of testdata as "db".
func diskOfFormat4(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	if _, err := vfs.Clone(vfs.Default, disk, "testdata/store-of-format-4", "db", vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	root, err := disk.OpenDir("")
	if err == nil {
		err = root.Sync()
	}
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// TestMigrationUnderPowerFailures: the power fails at every step of the migration of a store
// of format 4. The next start finishes it and loses nothing, and the copy that is kept is whole.
func TestMigrationUnderPowerFailures(t *testing.T) {
	disk := diskOfFormat4(t)
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(1, 5))
	var cuts []*vfs.MemFS
	var at []string
	cut := &cutFS{FS: disk, before: func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		for _, percent := range []int{0, 100} {
			cuts = append(cuts, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r}))
			at = append(at, op+" "+name)
		}
		return nil
	}}
	s, err := Open("db", Options{FS: cut, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	steps := strings.Join(at, "\n")
	for _, op := range []string{"link db.format-4.part/", "rename db.format-4\n", "sync db.format-4.part"} {
		if !strings.Contains(steps, op) {
			t.Fatalf("no cut at %q in\n%s", op, steps)
		}
	}
	for i, disk := range cuts {
		s, err := Open("db", Options{FS: disk, Log: quiet()})
		if err != nil {
			t.Fatalf("cut before %s: %v", at[i], err)
		}
		if c := mustBalance(t, s); c[1].Accepted != 6 || c[3].Pending != 4 {
			t.Errorf("cut before %s: %+v", at[i], c)
		}
		it := mustAppend(t, s, day0, entry("acme", "u", "{}", 9))[0].Items[0]
		if s.left() != 1 || string(it.ID.Event[:]) < string(s.implied.watermark[:]) {
			t.Errorf("cut before %s: %v comes before %v", at[i], it.ID.Event, s.implied.watermark)
		}
		s.Close()
		kept, err := open("db.format-4", Options{FS: disk, Log: quiet()}, format{number: 4})
		if err != nil {
			t.Errorf("cut before %s: what was kept: %v", at[i], err)
			continue
		}
		if c := mustBalance(t, kept); c[1].Accepted != 6 || c[3].Pending != 4 {
			t.Errorf("cut before %s: what was kept: %+v", at[i], c)
		}
		kept.Close()
		if _, err := disk.Stat("db.format-4.part"); err == nil {
			t.Errorf("cut before %s: a half of a copy stays", at[i])
		}
	}
	t.Logf("%d cuts", len(cuts))
}

// TestMigrationOnAFullDisk: the error says what the space is needed for, and the migration
// goes on once there is room.
func TestMigrationOnAFullDisk(t *testing.T) {
	for name, want := range map[string]string{
		"copy": "keep a copy of format 4 before it is migrated, which takes space where db.format-4 is on another file system than the store: no space",
		"step": "migrate format 4: store failed: ",
	} {
		disk := diskOfFormat4(t)
		var kept atomic.Bool
		fault := &cutFS{FS: disk, before: func(op, at string) error {
			if op == "rename" && at == "db.format-4" {
				kept.Store(true)
			}
			if op == "write" && (name == "copy" && strings.HasPrefix(at, "db.format-4") || name == "step" && kept.Load()) {
				return syscall.ENOSPC
			}
			return nil
		}}
		_, err := Open("db", Options{FS: fault, Log: quiet()})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "no space left on device") {
			t.Errorf("%s: %v", name, err)
		}
		s := mustOpen(t, "db", Options{FS: disk, Log: quiet()})
		if c := mustBalance(t, s); c[1].Accepted != 6 || c[3].Pending != 4 {
			t.Errorf("%s: %+v", name, c)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
