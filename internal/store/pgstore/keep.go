package pgstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	keepEvery    = time.Minute
	analyzeEvery = 6 * time.Hour
	// oldSnapshot is how old the oldest snapshot that a session holds may be, in transactions.
	oldSnapshot = 5_000_000
)

// keepLoop keeps the database in order. It makes partitions before their days come, folds
// counters, has the server gather statistics that it would not gather itself, and reads the
// figures for Stats.
func (s *Store) keepLoop() {
	t := time.NewTimer(0)
	defer t.Stop()
	var analyzed time.Time
	raised := time.Now()
	for {
		select {
		case <-t.C:
		case <-s.counters.wake:
		case <-s.quit:
			return
		}
		if s.health.reachable() {
			if err := s.keepOnce(&analyzed); err != nil && s.ending.Err() == nil {
				s.log.Warn("the database could not be kept in order; trying again in a minute", "error", err)
			}
			if time.Since(raised) >= keepEvery {
				raised = time.Now()
				if err := s.raiseLows(s.settledLow()); err != nil && s.ending.Err() == nil {
					s.log.Warn("where reading of slots begins could not be moved on; trying again in a minute", "error", err)
				}
			}
		}
		if s.counters.stale.Load() { // the database cannot be reached yet, or failed again
			t.Reset(time.Second)
		} else {
			t.Reset(keepEvery)
		}
	}
}

func (s *Store) keepOnce(analyzed *time.Time) error {
	today := event.DayOf(time.Now())
	days := make([]int32, 0, ahead+1)
	for d := range int32(ahead + 1) {
		days = append(days, int32(today)+d)
	}
	if err := s.days.make(s, days); err != nil {
		return err
	}
	if err := s.foldAll(); err != nil {
		return err
	}
	if _, err := s.freshDays(s.ending); err != nil {
		return err
	}
	if err := s.loadKept(s.ending); err != nil {
		return err
	}
	if s.counters.stale.Load() {
		if err := s.recount(s.ending); err != nil {
			return fmt.Errorf("sum the counters: %w", err)
		}
	}
	if err := s.countOwn(); err != nil {
		return fmt.Errorf("count what is pending here: %w", err)
	}
	if err := s.each(s.ending, sqlForgetDaemons); err != nil {
		return fmt.Errorf("forget daemons: %w", err)
	}
	if err := s.each(s.ending, sqlDropCounters); err != nil {
		return fmt.Errorf("drop counters: %w", err)
	}
	if err := s.measure(); err != nil {
		return fmt.Errorf("measure the database: %w", err)
	}
	if time.Since(*analyzed) < analyzeEvery {
		return nil
	}
	if err := s.analyze(); err != nil {
		return err
	}
	*analyzed = time.Now()
	return nil
}

// analyze has the server gather statistics. It does so of partitions by itself, but not of
// partitioned tables.
func (s *Store) analyze() error {
	for _, table := range append(partitioned[:], "idem", "pending") {
		if err := s.exec(time.Minute, "ANALYZE fantail."+table); err != nil {
			return fmt.Errorf("analyze %s: %w", table, err)
		}
	}
	return nil
}

// folds is how far the tally of slots is folded.
type folds struct {
	mu    sync.Mutex
	at    time.Time       // of the last fold
	done  map[int16]int64 // the last commit that is folded
	known map[int16]int64 // the last commit at the time of the last fold
}

// foldAll adds up the tally of the slots of this daemon: what was there at the last call, so
// that other daemons have read it.
func (s *Store) foldAll() error {
	f := &s.folds
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.at) < 2*tailLasts {
		return nil
	}
	f.at = time.Now()
	known := map[int16]int64{}
	for _, slot := range s.owned.all() {
		c := s.writer(slot)
		if c == nil {
			known[slot] = math.MaxInt64 // nobody writes for it
			if f.known[slot] > 0 {
				if err := s.fold(slot, 0, math.MaxInt64); err != nil {
					return err
				}
			}
			continue
		}
		known[slot] = max(c.base, c.fresh.first()-1) // the last one that somebody looked for stays: see lookLost
		if to := f.known[slot]; to > f.done[slot] {
			if err := s.fold(slot, f.done[slot], to); err != nil {
				return err
			}
			f.done[slot] = to
		}
	}
	f.known = known
	return nil
}

func (s *Store) fold(slot int16, from, to int64) error {
	ctx, cancel := context.WithTimeout(s.ending, 2*readTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, sqlFold, slot, from, to); err != nil {
		return fmt.Errorf("fold the counters of slot %d: %w", slot, err)
	}
	return nil
}

// measure asks for what Stats and Warnings say.
func (s *Store) measure() error {
	var bytes int64
	var oldest snapshot
	err := s.reading(s.ending, func(q query) error {
		return q.one(sqlSize, nil, &bytes, &oldest.age, &oldest.kind, &oldest.pid, &oldest.name)
	})
	if err != nil {
		return err
	}
	s.health.bytes.Store(bytes)
	s.health.snapshot.Store(&oldest)
	var version, commit, fsync, pages, standbys string
	if err := s.reading(s.ending, func(q query) error { return q.one(sqlServer, nil, &version, &commit, &fsync, &pages, &standbys) }); err != nil {
		return err
	}
	mode := durabilityOf(commit, fsync, standbys)
	s.health.mode.Store(&mode)
	return nil
}
