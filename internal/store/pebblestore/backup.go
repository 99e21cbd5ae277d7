package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// occupied is a store.ErrConflict whose text says what to do.
type occupied string

func (o occupied) Error() string { return string(o) }

func (occupied) Is(target error) bool { return target == store.ErrConflict }

// Backup writes a copy of the store as it is now to dir, which must not exist.
// On one file system it costs next to no space at first: files are linked.
func (s *Store) Backup(_ context.Context, dir string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	// A checkpoint that fails removes everything in dir, which would include what another
	// backup to the same place has written.
	s.backup.Lock()
	defer s.backup.Unlock()
	if _, err := s.opts.FS.Stat(dir); err == nil {
		return occupied("back up to " + dir + ": it is there already: name a folder that does not exist")
	}
	if err := s.checkpoint(dir); err != nil {
		return fmt.Errorf("back up to %s: %w", dir, err)
	}
	return nil
}

func (s *Store) checkpoint(dir string) error {
	if err := mkdir(s.opts.FS, s.opts.FS.PathDir(dir)); err != nil {
		return err
	}
	// Pebble copies its manifest up to where this run has written it. A start that finds no log
	// writes nothing, and the copy of the manifest would be empty. A flush begins a new manifest,
	// and it needs something to write.
	format, err := s.get([]byte{kindFormat})
	if err != nil {
		return err
	}
	err = s.write(func(w *writer) {
		w.k, w.v = []byte{kindFormat}, append(w.v[:0], format...)
		w.set()
	})
	if err == nil {
		err = s.db.Flush()
	}
	if err != nil {
		return err
	}
	return s.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// Restore copies a backup to dir, which must be missing or empty, and opens the copy once to
// prove that it is a whole store of a format that is known here. It writes acts to the trail
// of the copy, because no daemon runs there that could. After an error dir is as it was.
func Restore(backupDir, dir string, acts ...store.Act) (err error) {
	if names, err := os.ReadDir(dir); err == nil && len(names) > 0 {
		return fmt.Errorf("restore to %s: it is not empty: stop the daemon, and move what is there aside", dir)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o700); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	part := filepath.Clean(dir) + ".restoring"
	if err := os.Mkdir(part, 0o700); err != nil {
		return fmt.Errorf("restore: %w (left by a restore that was interrupted? then remove it)", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(part)
		}
	}()
	names, err := os.ReadDir(backupDir)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	manifest := false
	for _, n := range names {
		if n.IsDir() || n.Name() == "LOCK" {
			continue
		}
		manifest = manifest || strings.HasPrefix(n.Name(), "MANIFEST-")
		if err := copyFile(filepath.Join(backupDir, n.Name()), filepath.Join(part, n.Name())); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	if !manifest {
		return fmt.Errorf("restore: %s is not a backup", backupDir)
	}
	f := theFormat
	f.copied = true // the backup
	s, err := open(part, Options{Log: slog.New(slog.DiscardHandler)}, f)
	if err != nil {
		return fmt.Errorf("restore: the backup does not open: %w", err)
	}
	if err := errors.Join(s.Note(context.Background(), time.Now(), acts), s.Close()); err != nil {
		return fmt.Errorf("restore: the backup does not open: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) { // it is empty
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(part, dir); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	d, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// copyFile copies, never links: a restored store must not share files with its backup.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}
