package pgstore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// While somebody holds a snapshot, rows of what has ended stay in pending and its indexes, and
// whoever reads a queue from its beginning passes over all of them. So the lease of a slot says
// before when nothing is due in it (head_low), and reading begins there. A value that is too low
// costs time; one that is too high hides deliveries. It holds at each moment, and after a crash at
// each end of the log, since
//
//   - the owner alone raises it, in one statement that looks what is pending, and never to what the
//     last two minutes have made;
//   - what a commit under way makes is not raised over;
//   - whoever makes something that is due earlier, as after a clock was set back, lowers it first, to
//     a value that it did not have: a raise names the value that it knows;
//   - a program of schema 1, which knows nothing of it, leaves 0 to whoever adopts its slots;
//   - into the slots of serial destinations every daemon makes something: there it stays 0.

// lowMargin is how far behind the database's clock head_low stays.
const lowMargin = 2 * time.Minute

// lows is what the committers and who raises head_low have to know of each other.
type lows struct {
	mu     sync.Mutex
	high   map[int16]int64         // of slots of this daemon: head_low is not above it, whatever a crash brings back
	flying map[*committer]earliest // what commits under way make pending
}

// earliest is when the first of something is due, by slot.
type earliest map[int16]int64

func (e earliest) add(slot int16, due int64) {
	if first, some := e[slot]; !some || due < first {
		e[slot] = due
	}
}

// learn takes in slots that are this daemon's.
func (h *lows) learn(rows []slotRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	high := make(map[int16]int64, len(rows))
	for _, r := range rows {
		at, known := h.high[r.id]
		if !known {
			at = r.headLow
		}
		high[r.id] = max(at, r.headLow)
	}
	h.high = high
}

// begin notes what a commit of c makes pending, and returns where head_low may be later than that.
func (h *lows) begin(c *committer, made earliest) (lower earliest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flying[c] = made
	for slot, due := range made {
		if high, mine := h.high[slot]; mine && due < high {
			if lower == nil {
				lower = earliest{}
			}
			lower[slot] = due
		}
	}
	return lower
}

// end notes that what became of the commit is known.
func (h *lows) end(c *committer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.flying, c)
}

// plan returns how far head_low of a slot may be raised, most at the most.
func (h *lows) plan(slot int16, most int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, made := range h.flying {
		if due, some := made[slot]; some {
			most = min(most, due)
		}
	}
	h.high[slot] = max(h.high[slot], most)
	return most
}

// executor is a connection or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// underLows has head_low of slots be no later than what a commit of c is about to make pending there.
func (s *Store) underLows(ctx context.Context, on executor, c *committer, made earliest) error {
	lower := s.lows.begin(c, made)
	for _, slot := range slices.Sorted(maps.Keys(lower)) {
		if _, err := on.Exec(ctx, sqlLower, slot, lower[slot]); err != nil {
			return err
		}
	}
	return nil
}

// everywhere is made pending in a slot of this daemon that is not known.
func (s *Store) everywhere(due int64) earliest {
	made := earliest{}
	for _, slot := range s.owned.now.Load().plain {
		made[slot] = due
	}
	return made
}

// raiseLows raises head_low of the slots of this daemon, to what is still pending there, and no
// further than most. Slots go one by one: the renewal of the lease locks the same rows.
func (s *Store) raiseLows(most int64) error {
	was := map[int16]int64{}
	err := s.reading(s.ending, func(q query) error {
		clear(was)
		return q.each(sqlLows, []any{s.owned.now.Load().plain}, func(scan func(...any) error) error {
			var slot int16
			var low int64
			err := scan(&slot, &low)
			was[slot] = low
			return err
		})
	})
	if err != nil {
		return err
	}
	for slot, low := range was { // what is begun from here on knows of it
		to := s.lows.plan(slot, most)
		if to <= low {
			continue
		}
		ctx, cancel := context.WithTimeout(s.ending, 2*readTimeout)
		_, err := s.pool.Exec(ctx, sqlRaise, slot, s.owner, low, to)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// settledLow is how far head_low may be raised now.
func (s *Store) settledLow() int64 {
	return s.now().Add(s.lease.clocks.offset() - lowMargin).UnixNano()
}
