package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A log may end in the middle of a record, because a part of what was never synced may reach
// the disk. That is normal after a crash and worth one warning. A damaged record with intact
// ones behind it, or in a log that was closed, is corruption: events that were acknowledged
// to producers may be gone, and a person has to decide.

// logScan is what can be read of a log.
type logScan struct {
	number wal.NumWAL
	name   string
	size   int64
	good   int64     // bytes up to the end of the last whole record
	newest time.Time // acceptance of the newest event in them; zero: none
	err    error     // io.EOF after a clean end
	when   time.Time // last written
}

// logs lists the logs in order.
func (s *Store) logs() ([]logScan, error) {
	names, err := s.opts.FS.List(s.dir)
	if err != nil {
		return nil, err
	}
	var ls []logScan
	for _, n := range names {
		if num, _, ok := wal.ParseLogFilename(n); ok {
			ls = append(ls, logScan{number: num, name: n})
		}
	}
	slices.SortFunc(ls, func(a, b logScan) int { return int(a.number) - int(b.number) })
	return ls, nil
}

func (s *Store) readLog(l *logScan) error {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, l.name))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	l.size, l.when = st.Size(), st.ModTime()
	r := newReader(record.NewReader, f, l.number)
	for {
		rec, err := r.Next()
		var b []byte
		if err == nil {
			b, err = io.ReadAll(rec)
		}
		if err != nil {
			l.err = err
			return nil
		}
		l.good = r.Offset()
		if t := newestIn(b); t.After(l.newest) {
			l.newest = t
		}
	}
}

// newReader exists to name the type of the log's number, which is internal to Pebble.
func newReader[N ~uint64](make func(io.Reader, N) *record.Reader, r io.Reader, n wal.NumWAL) *record.Reader {
	return make(r, N(n))
}

// newestIn returns when the newest event of a batch was accepted.
func newestIn(batch []byte) (newest time.Time) {
	if len(batch) < batchrepr.HeaderLen {
		return newest
	}
	defer func() { _ = recover() }() // Pebble's reader trusts a record's checksum and panics on one that ends early
	for r := batchrepr.Read(batch); ; {
		_, k, _, ok, err := r.Next()
		if !ok || err != nil {
			return newest
		}
		if len(k) == lenEventKey && k[0] == kindEvent {
			if t := event.ID(k[3:]).Time(); t.After(newest) {
				newest = t
			}
		}
	}
}

// checkLogs warns once when the last log has no clean end. It returns the log's number when
// that end is not where the last sync was, which proves damage. Pebble looks for such proof in
// later blocks only and would take the damage for a torn tail.
func (s *Store) checkLogs() (damaged wal.NumWAL, proven bool, err error) {
	ls, err := s.logs()
	if err != nil {
		if s.opts.ReadOnly {
			return 0, false, fmt.Errorf("open store: %w", err)
		}
		return 0, false, fmt.Errorf("open store %s: %w", s.dir, err)
	}
	if len(ls) == 0 {
		return 0, false, nil
	}
	last := &ls[len(ls)-1]
	if err := s.readLog(last); err != nil {
		return 0, false, fmt.Errorf("open store %s: read log: %w", s.dir, err)
	}
	if errors.Is(last.err, record.ErrUnexpectedEOF) {
		proven, err := s.syncedBehind(last)
		if err != nil || proven {
			return last.number, proven, err
		}
		s.log.Warn("store: the log has no clean end: the last run was killed or lost power. What was acknowledged is there; the outcomes of its last 100 ms may be tried again",
			"log", last.name, "whole", last.good)
	}
	return 0, false, nil
}

var replaying = regexp.MustCompile(`replaying wal (\d+)`)

// damagedLog returns the number of the log that err, of opening the database, is about.
func damagedLog(err error) (wal.NumWAL, bool) {
	if !pebble.IsCorruptionError(err) {
		return 0, false
	}
	m := replaying.FindStringSubmatch(fmt.Sprintf("%+v", err))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 63)
	return wal.NumWAL(n), err == nil
}

// openRecovering opens the database. After proven corruption of the log it starts only when
// the operator accepts the loss. Then it moves the damaged log and every later one aside and
// keeps the whole records before the damage. Later logs are not replayed behind a gap: they
// would bring outcomes without their events and counters without their deliveries.
func (s *Store) openRecovering(number wal.NumWAL, proven bool) error {
	err := errDamage
	if !proven {
		if s.db, err = s.openDB(); err == nil {
			return nil
		}
		s.db = nil
		number, proven = damagedLog(err)
	}
	if !proven {
		if pebble.IsCorruptionError(err) {
			return fmt.Errorf("open store %s: %w: its files are damaged: restore a backup with `fantail restore`", s.dir, err)
		}
		return fmt.Errorf("open store %s: %w", s.dir, err)
	}
	if !s.opts.AcceptLoss || s.opts.ReadOnly {
		return fmt.Errorf("open store %s: log %06d is damaged, so events that were acknowledged may be lost: %w. "+
			"Restore a backup, or start with what can be read by `fantail serve --accept-loss`, which moves the damaged log aside", s.dir, number, err)
	}
	if err := s.setAside(number); err != nil {
		return fmt.Errorf("open store %s: move the damaged log aside: %w", s.dir, err)
	}
	if s.db, err = s.openDB(); err != nil {
		s.db = nil
		return fmt.Errorf("open store %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) setAside(damaged wal.NumWAL) error {
	fs := s.opts.FS
	ls, err := s.logs()
	if err != nil {
		return err
	}
	aside := fs.PathJoin(s.dir, fmt.Sprintf("damaged-%06d", damaged))
	for i := 1; ; i++ {
		if _, err := fs.Stat(aside); err != nil {
			break
		}
		aside = fs.PathJoin(s.dir, fmt.Sprintf("damaged-%06d-%d", damaged, i))
	}
	if err := mkdir(fs, aside); err != nil {
		return err
	}
	var from, to time.Time
	var lost int64
	for i := range ls {
		l := &ls[i]
		if err := s.readLog(l); err != nil {
			return err
		}
		switch {
		case l.number < damaged:
			from = later(from, l.newest)
			continue
		case l.number == damaged:
			from = later(from, l.newest)
			lost += l.size - l.good
		default:
			lost += l.size
		}
		to = later(to, l.when)
		if err := fs.Rename(fs.PathJoin(s.dir, l.name), fs.PathJoin(aside, l.name)); err != nil {
			return err
		}
		if l.number == damaged {
			if err := copyPrefix(fs, fs.PathJoin(aside, l.name), fs.PathJoin(s.dir, l.name), l.good); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(syncDir(fs, aside), syncDir(fs, s.dir)); err != nil {
		return err
	}
	s.log.Error("store: started behind a damaged log: what was written in this range may be gone; the log was moved aside",
		"from", from.UTC(), "to", to.UTC(), "bytes", lost, "kept", aside)
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// copyPrefix writes the first n bytes of a log under its own name.
func copyPrefix(fs vfs.FS, from, to string, n int64) (err error) {
	in, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, io.LimitReader(in, n)); err != nil {
		return err
	}
	return out.Sync()
}
