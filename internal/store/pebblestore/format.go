package pebblestore

import (
	"encoding/binary"
	"fmt"
)

// format is the number of the layout of keys and values, and how to get there. steps[n]
// brings a store from number n to n+1; it may be interrupted and begun again. An encoding
// that an older program cannot read needs a new number, even if it only adds a field. Without
// a new number the older program would call the store damaged.
type format struct {
	number uint64
	steps  map[uint64]func(*Store) error
	copied bool // the old store is kept elsewhere: no checkpoint is needed
}

var theFormat = format{number: 5, steps: map[uint64]func(*Store) error{
	1: func(*Store) error { return nil }, // destinations may say since when they fail; those that do not read as before
	2: func(*Store) error { return nil }, // bodies may be compressed; those that are not read as before
	3: func(*Store) error { return nil }, // deliveries may be of a later round; those of the first read as before
	4: (*Store).placeWatermark,           // deliveries may be implied; every one of before has a row, so nothing is rewritten
}}

// checkFormat refuses what is newer than this program and migrates what is
// older, after a checkpoint beside the store.
func (s *Store) checkFormat(f format) error {
	v, err := s.get([]byte{kindFormat})
	if err != nil {
		return err
	}
	have, n := binary.Uvarint(v)
	switch {
	case v == nil && s.opts.ReadOnly:
		return fmt.Errorf("it has no format number: not a store, or one that was never opened for writing")
	case v == nil:
		if err := s.setFormat(f.number); err != nil {
			return err
		}
		// Pebble begins the log of a new store before it settles on its format version. The chunks
		// of that log do not say what was synced, so damage in it looks like a torn tail. A flush
		// begins the next log, whose chunks do say it.
		return s.db.Flush()
	case n != len(v):
		return fmt.Errorf("format number: %w", errRow)
	case have > f.number:
		return fmt.Errorf("it has format %d and this program knows formats up to %d: run the newer program that wrote it", have, f.number)
	case have == f.number:
		return nil
	case s.opts.ReadOnly:
		return fmt.Errorf("it has the older format %d: open it for writing once to migrate it", have)
	}
	if !f.copied {
		kept := fmt.Sprintf("%s.format-%d", s.dir, have)
		if err := s.opts.FS.RemoveAll(kept + ".part"); err != nil {
			return fmt.Errorf("remove a copy that was interrupted: %w", err)
		}
		if _, err := s.opts.FS.Stat(kept); err != nil {
			if err := s.keep(kept); err != nil {
				return fmt.Errorf("keep a copy of format %d before it is migrated, which takes space where %s is on another file system than the store: %w",
					have, kept, err)
			}
		}
		s.log.Warn("store: migrating to a newer format; the old one is kept", "from", have, "to", f.number, "kept", kept)
	}
	for ; have < f.number; have++ {
		step := f.steps[have]
		if step == nil {
			return fmt.Errorf("nothing migrates format %d: use a program that does, or restore a backup", have)
		}
		if err := step(s); err != nil {
			return fmt.Errorf("migrate format %d: %w", have, err)
		}
		if err := s.setFormat(have + 1); err != nil {
			return err
		}
	}
	return nil
}

// keep makes a checkpoint. If dir exists afterwards it is whole, even when the power failed
// meanwhile.
func (s *Store) keep(dir string) error {
	fs, part := s.opts.FS, dir+".part"
	if err := s.checkpoint(part); err != nil {
		return err
	}
	if err := fs.Rename(part, dir); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(dir))
}

func (s *Store) setFormat(n uint64) error {
	return s.write(func(w *writer) {
		w.k, w.v = []byte{kindFormat}, binary.AppendUvarint(nil, n)
		w.set()
	})
}
