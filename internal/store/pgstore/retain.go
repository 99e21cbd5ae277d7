package pgstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// kept says what retention has kept.
type kept struct {
	bodies atomic.Int64 // the first day whose bodies are there
	newest event.ID     // the newest that was removed
}

// forever comes after every day.
const forever = math.MaxInt32

func (s *Store) loadKept(ctx context.Context) error {
	var bodies int64
	err := s.reading(ctx, func(q query) error { return q.one(sqlKept, nil, &bodies, (*[16]byte)(&s.kept.newest)) })
	if err != nil {
		return fmt.Errorf("read what is kept: %w", err)
	}
	s.kept.bodies.Store(bodies)
	return nil
}

// Retain removes days that are older than r allows: see store.Keeper. A day goes when
// all of it is too old. It may be interrupted and called again.
func (s *Store) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (rep store.RetainReport, err error) {
	gone := map[event.Day]bool{}
	err = s.retain(ctx, now, r, expired, gone, &rep)
	rep.Days = len(gone)
	return rep, err
}

func (s *Store) retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved), gone map[event.Day]bool, rep *store.RetainReport) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if r.Events > 0 {
		if err := s.retainBodies(ctx, now, firstKept(now, r.Events), expired, gone, rep); err != nil {
			return fmt.Errorf("retain bodies: %w", err)
		}
		if r.Attempts > 0 {
			if err := s.retainRows(ctx, firstKept(now, max(r.Attempts, r.Events)), gone); err != nil {
				return fmt.Errorf("retain deliveries: %w", err)
			}
		}
	}
	if r.Acts > 0 {
		before := firstKept(now, r.Acts).Start().UnixMilli() << actBits
		if err := s.each(ctx, sqlDropActs, before); err != nil {
			return fmt.Errorf("retain acts: %w", err)
		}
	}
	if r.Idempotency > 0 {
		if err := s.retainKeys(ctx, firstKept(now, r.Idempotency)); err != nil {
			return fmt.Errorf("retain idempotency keys: %w", err)
		}
	}
	return nil
}

// firstKept is the day of what was accepted age ago: every earlier day is older than that.
func firstKept(now time.Time, age time.Duration) event.Day {
	return event.Day(min(max(now.Add(-age).Unix()/86400, 0), math.MaxUint16))
}

func (s *Store) retainBodies(ctx context.Context, now time.Time, kept event.Day, expired func([]store.Moved), gone map[event.Day]bool, rep *store.RetainReport) error {
	if int64(kept) > s.kept.bodies.Load() {
		// From here on nothing of those days can be retried: what is expired stays expired.
		err := s.durably(ctx, now, func(c *changes) error {
			_, err := c.exec(sqlKeepBodies, int32(kept))
			return err
		})
		if err != nil {
			return err
		}
	}
	days, err := s.freshDays(ctx)
	if err != nil {
		return err
	}
	for _, day := range slices.Backward(days) {
		if day >= kept {
			break
		}
		n, err := s.expireDay(ctx, now, day, expired)
		rep.Expired += n
		if err != nil {
			return err
		}
	}
	s.kept.bodies.Store(max(s.kept.bodies.Load(), int64(kept)))
	return s.dropBefore(ctx, kept, gone, "body")
}

// expireDay makes every pending delivery of day dead, in chunks.
func (s *Store) expireDay(ctx context.Context, now time.Time, day event.Day, expired func([]store.Moved)) (total int, err error) {
	from, dest := firstID(day), int32(math.MinInt32)
	for {
		var ids []store.DeliveryID
		args := []any{int32(day), from, dest, firstID(day), [16]byte(lastOf(day)), moveChunk}
		err := s.reading(ctx, func(q query) error {
			ids = nil
			return q.each(sqlPendingOf, args, func(scan func(...any) error) error {
				id, err := scanID(scan)
				ids = append(ids, id)
				return err
			})
		})
		if err != nil || len(ids) == 0 {
			return total, err
		}
		for chunk := range slices.Chunk(ids, moveChunk) {
			ms, err := s.moveChunk(ctx, now, store.Expire, reasonExpired, chunk)
			if err == nil {
				err = s.barrier(ctx)
			}
			if err != nil {
				return total, err
			}
			ms = slices.DeleteFunc(ms, func(m store.Moved) bool { return m.Err != nil }) // settled meanwhile
			total += len(ms)
			if expired != nil && len(ms) > 0 {
				expired(ms)
			}
		}
		for _, id := range ids {
			if id.Replay == 0 {
				from, dest = id.Event, int32(id.Dest)
			}
		}
		if err := s.interrupted(ctx); err != nil {
			return total, err
		}
	}
}

// retainRows takes whole days of events, deliveries, attempts and counters.
func (s *Store) retainRows(ctx context.Context, kept event.Day, gone map[event.Day]bool) error {
	if some, err := s.anyBefore(ctx, kept); err != nil || !some {
		return err
	}
	s.groups.mu.Lock()
	newest := s.groups.ids.Newest() // outlives the event, so that ids never run backward
	s.groups.mu.Unlock()
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		sums, err := s.sums(c.query, int64(kept))
		for at, n := range sums { // subtracted: what they counted goes
			for i, v := range n {
				c.sum.of(at.day, at.dest)[i] -= v
			}
		}
		if err == nil {
			_, err = c.exec(sqlKeepNewest, [16]byte(newest))
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.dropBefore(ctx, kept, gone, partitioned[:]...)
}

// anyBefore tells whether any partition of an earlier day is left: who was cut short may have dropped that of one
// table and not of the next.
func (s *Store) anyBefore(ctx context.Context, kept event.Day) (bool, error) {
	for _, table := range partitioned {
		days, err := s.daysOf(ctx, sqlTables, table)
		if err != nil || len(days) > 0 && days[0] < kept {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *Store) retainKeys(ctx context.Context, kept event.Day) error {
	return s.each(ctx, sqlDropKeys, int32(kept))
}

// each deletes by a statement until nothing is left for it.
func (s *Store) each(ctx context.Context, sql string, args ...any) error {
	for {
		bounded, cancel := context.WithTimeout(ctx, 2*readTimeout)
		tag, err := s.pool.Exec(bounded, sql, args...)
		cancel()
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if err := s.interrupted(ctx); err != nil {
			return err
		}
	}
}

// dropBefore drops the partitions of earlier days, and notes the days that had any rows.
func (s *Store) dropBefore(ctx context.Context, kept event.Day, gone map[event.Day]bool, tables ...string) error {
	for _, table := range tables {
		days, err := s.daysOf(ctx, sqlTables, table)
		if err != nil {
			return err
		}
		for _, day := range days {
			if day >= kept {
				break
			}
			some, err := s.filled(ctx, table, day)
			if err == nil {
				if table == partitioned[0] {
					s.days.note(day, false)
				}
				err = s.drop(table, day)
			}
			if err != nil {
				return err
			}
			if some {
				gone[day] = true
			}
			if err := s.interrupted(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}
