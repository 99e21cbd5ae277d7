package pebblestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func TestABackupIsItsOwnersAlone(t *testing.T) {
	root := t.TempDir()
	old := filepath.Join(root, "db", "of-an-earlier-version")
	if err := errors.Join(os.Mkdir(filepath.Dir(old), 0o700), os.WriteFile(old, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, filepath.Join(root, "db"), Options{})
	dir := filepath.Join(root, "backups", "one")
	if err := s.Backup(ctx, dir); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600: it may hold bodies", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil || files < 10 {
		t.Errorf("%d files, %v", files, err)
	}
	for _, d := range []string{filepath.Join(root, "db"), filepath.Dir(dir), dir} {
		info, err := os.Stat(d)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o700 {
			t.Errorf("%s has mode %o, want 700: it holds bodies", d, mode)
		}
	}
}

// Of several backups to one place one succeeds, and the others leave it alone.
func TestBackupsToOnePlace(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, filepath.Join(root, "db"), Options{})
	dir := filepath.Join(root, "copy")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.Backup(ctx, dir) })
	}
	wg.Wait()
	written := 0
	for _, err := range errs {
		if err == nil {
			written++
		} else if !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
	}
	if written != 1 {
		t.Errorf("%d backups succeeded, want 1", written)
	}
	if err := Restore(dir, filepath.Join(root, "restored")); err != nil {
		t.Error(err)
	}
}

// TestBackupUnderLoad: a copy taken while events arrive and are delivered opens,
// balances, and holds all that was acknowledged before.
func TestBackupUnderLoad(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, filepath.Join(root, "db"), Options{})
	before := mustAppend(t, s, time.Now(), entry("acme", "u", "before", 1, 2))[0]
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				out, err := s.Append(ctx, time.Now(), []*store.Entry{entry("acme", "u", "during", 1, 2, 3)})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Settle(ctx, time.Now(), []store.Outcome{delivered(out[0].Items[0])}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	copied := filepath.Join(root, "backups", "one")
	err := s.Backup(ctx, copied)
	close(stop)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(ctx, copied); !errors.Is(err, store.ErrConflict) {
		t.Errorf("over an existing folder: %v", err)
	}
	restored := filepath.Join(root, "restored")
	if err := os.Mkdir(restored, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Restore(copied, restored); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, restored, Options{})
	if e, err := r.Event(ctx, before.ID.Day(), before.ID); err != nil || string(e.Body) != "before" {
		t.Errorf("%+v %v", e, err)
	}
	mustBalance(t, r)
	mustAppend(t, r, time.Now(), entry("acme", "u", "after", 1))
	r.Close()
	if err := Restore(copied, filepath.Join(root, "again")); err != nil {
		t.Errorf("the backup was changed by its restored copy: %v", err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	root := t.TempDir()
	s := mustOpen(t, filepath.Join(root, "db"), Options{})
	mustAppend(t, s, day0, entry("acme", "u", "{}", 1))
	good := filepath.Join(root, "good")
	if err := s.Backup(ctx, good); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(root, "full")
	empty := filepath.Join(root, "empty")
	damaged := filepath.Join(root, "damaged")
	for _, err := range []error{os.Mkdir(full, 0o700), os.WriteFile(filepath.Join(full, "x"), nil, 0o600), os.Mkdir(empty, 0o700),
		os.CopyFS(damaged, os.DirFS(good))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	names, _ := filepath.Glob(filepath.Join(damaged, "MANIFEST-*"))
	if len(names) != 1 {
		t.Fatal(names)
	}
	if err := os.Truncate(names[0], 20); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to string }{
		"to a folder in use":  {good, full},
		"from nothing":        {filepath.Join(root, "none"), filepath.Join(root, "to")},
		"from something else": {empty, filepath.Join(root, "to")},
		"from a damaged copy": {damaged, filepath.Join(root, "to")},
	} {
		if err := Restore(c.from, c.to); err == nil {
			t.Errorf("%s: restored", name)
		}
	}
	for _, left := range []string{"to", "to.restoring", "full.restoring"} {
		if _, err := os.Stat(filepath.Join(root, left)); err == nil {
			t.Errorf("%s was left behind", left)
		}
	}
}
