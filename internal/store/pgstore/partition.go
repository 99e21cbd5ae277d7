package pgstore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// partitioned are the tables that have a partition for each day.
var partitioned = [...]string{"event", "body", "done", "attempt"}

const (
	duplicateTable = "42P07"
	notInState     = "55000"
	// ahead is how many days have their partitions before they come.
	ahead = 3
	// ddlWait is how long a change of tables waits for a lock. Every statement that comes after it
	// waits as long.
	ddlWait = 2 * time.Second
)

// partitions are the days that can take rows.
type partitions struct {
	mu    sync.RWMutex
	known map[event.Day]bool
	mkdir sync.Mutex // one at a time makes or drops some
}

// partition names the partition of a day.
func partition(table string, day event.Day) string {
	return "fantail." + table + "_" + day.Start().Format("20060102")
}

func (p *partitions) has(day event.Day) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.known[day]
}

func (p *partitions) note(day event.Day, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if is {
		p.known[day] = true
	} else {
		delete(p.known, day)
	}
}

// loadDays finds the partitions that exist, whichever daemon made them.
func (s *Store) loadDays(ctx context.Context) error {
	_, err := s.freshDays(ctx)
	return err
}

// freshDays lists the days that have partitions, newest first, as they are now: another daemon
// may have made some, or dropped some.
func (s *Store) freshDays(ctx context.Context) ([]event.Day, error) {
	days, err := s.daysOf(ctx, sqlPartitions, "event")
	if err != nil {
		return nil, err
	}
	known := map[event.Day]bool{}
	for _, d := range days {
		known[d] = true
	}
	s.days.mu.Lock()
	s.days.known = known
	s.days.mu.Unlock()
	slices.Reverse(days)
	return days, nil
}

// listDays is freshDays for a call that has not begun.
func (s *Store) listDays(ctx context.Context) ([]event.Day, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.freshDays(ctx)
}

// daysOf lists the days that a table has partitions for, oldest first: those that are
// attached, or with sqlTables those that are there.
func (s *Store) daysOf(ctx context.Context, sql, table string) (days []event.Day, err error) {
	err = s.reading(ctx, func(q query) error {
		days = nil
		return q.each(sql, []any{table}, func(scan func(...any) error) error {
			var name string
			if err := scan(&name); err != nil {
				return err
			}
			if t, err := time.Parse("20060102", name[strings.LastIndexByte(name, '_')+1:]); err == nil {
				days = append(days, event.DayOf(t))
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list the partitions of %s: %w", table, err)
	}
	slices.Sort(days)
	return days, nil
}

// make sees to it that the days can take rows.
func (p *partitions) make(s *Store, days []int32) error {
	for i, d := range days {
		day := event.Day(d)
		if i > 0 && days[i-1] == d || p.has(day) {
			continue
		}
		if err := p.makeOne(s, day); err != nil {
			s.log.Error("the partitions of a day cannot be made", "day", day.Start().Format(time.DateOnly), "error", err)
			return &store.Unavailable{Reason: "the database makes no room for the events of a day", After: 5 * time.Second}
		}
	}
	return nil
}

// makeOne makes the partitions of a day in one transaction: several statements in one message
// are one. It creates the tables first and attaches them then, which takes no lock that readers
// or writers of the partitioned table would wait for.
func (p *partitions) makeOne(s *Store, day event.Day) error {
	p.mkdir.Lock()
	defer p.mkdir.Unlock()
	if p.has(day) {
		return nil
	}
	sql := []string{"SELECT pg_advisory_xact_lock(8245937402371)", fmt.Sprintf("SELECT set_config('lock_timeout', '%d', true)", ddlWait.Milliseconds())}
	for _, table := range partitioned {
		sql = append(sql, fmt.Sprintf("CREATE TABLE %s (LIKE fantail.%s INCLUDING DEFAULTS INCLUDING STORAGE)", partition(table, day), table),
			fmt.Sprintf("ALTER TABLE fantail.%s ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)", table, partition(table, day), day, int(day)+1))
	}
	err := s.ddl(strings.Join(sql, ";\n"))
	if is(err, duplicateTable) { // another daemon was faster
		err = nil
	}
	if err == nil {
		p.note(day, true)
	}
	return err
}

// ddl runs statements that change tables. It tries again a few times while another session
// holds a lock.
func (s *Store) ddl(sql string) error {
	for try := 0; ; try++ {
		err := s.exec(2*readTimeout, sql)
		if !is(err, lockNotAvailable, deadlockDetected) || try == 5 {
			return err
		}
	}
}

// exec runs statements in one message. Close ends it.
func (s *Store) exec(within time.Duration, sql string) error {
	ctx, cancel := context.WithTimeout(s.ending, within)
	defer cancel()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	_, err = c.Conn().PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// drop removes the partition of a day. Detaching waits for sessions that read the table, and
// keeps no other waiting. A reader that stays makes it fail, and the next call goes on.
func (s *Store) drop(table string, day event.Day) error {
	s.days.mkdir.Lock()
	defer s.days.mkdir.Unlock()
	name := partition(table, day)
	err := s.exec(2*readTimeout, fmt.Sprintf("ALTER TABLE fantail.%s DETACH PARTITION %s CONCURRENTLY", table, name))
	if is(err, notInState) { // begun by somebody who did not end it
		err = s.exec(2*readTimeout, fmt.Sprintf("ALTER TABLE fantail.%s DETACH PARTITION %s FINALIZE", table, name))
	}
	if err == nil || is(err, undefinedTable) { // it is detached already
		err = s.ddl(fmt.Sprintf("SELECT set_config('lock_timeout', '%d', true); DROP TABLE %s", ddlWait.Milliseconds(), name))
	}
	if err != nil {
		return fmt.Errorf("drop the partition %s: %w", name, err)
	}
	return nil
}

// filled tells whether the partition of a day has any row.
func (s *Store) filled(ctx context.Context, table string, day event.Day) (some bool, err error) {
	err = s.reading(ctx, func(q query) error {
		return q.one("SELECT EXISTS (SELECT FROM "+partition(table, day)+")", nil, &some)
	})
	return some, err
}
