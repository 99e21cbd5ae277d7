package pgstore

import (
	"context"
	"fmt"
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
	for {
		select {
		case <-t.C:
		case <-s.quit:
			return
		}
		if s.health.reachable() {
			if err := s.keepOnce(&analyzed); err != nil && s.ending.Err() == nil {
				s.log.Warn("the database could not be kept in order; trying again in a minute", "error", err)
			}
		}
		t.Reset(keepEvery)
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
	for _, c := range append(append([]*committer{s.changes}, s.appends...), s.spare...) {
		if err := s.fold(c); err != nil {
			return fmt.Errorf("fold the counters of slot %d: %w", c.slot, err)
		}
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
	// The server gathers statistics of partitions by itself, but not of partitioned tables.
	for _, table := range append(partitioned[:], "idem", "pending") {
		if err := s.exec(time.Minute, "ANALYZE fantail."+table); err != nil {
			return fmt.Errorf("analyze %s: %w", table, err)
		}
	}
	*analyzed = time.Now()
	return nil
}

// fold adds up the tally of a slot.
func (s *Store) fold(c *committer) error {
	c.mu.Lock()
	to := c.seq // no commit is under way while mu is held
	c.mu.Unlock()
	if to <= c.folded {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ending, 2*readTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, sqlFold, c.slot, c.folded, to); err != nil {
		return err
	}
	c.folded = to
	return nil
}

// measure asks for what Stats and Warnings say.
func (s *Store) measure() error {
	var bytes, age int64
	err := s.reading(s.ending, func(q query) error { return q.one(sqlSize, nil, &bytes, &age) })
	if err != nil {
		return err
	}
	s.health.bytes.Store(bytes)
	s.health.snapshot.Store(age)
	return nil
}
