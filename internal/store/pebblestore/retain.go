package pebblestore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// rowKinds age with Retention.Attempts.
var rowKinds = [...]byte{kindEvent, kindDelivery, kindState, kindOwner, kindUser, kindAttempt, kindCounters}

// Retain removes days that are older than r allows: see store.Keeper. A day goes
// when all of it is too old. It may be interrupted and called again.
func (s *Store) Retain(ctx context.Context, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
	var rep store.RetainReport
	if err := s.enter(); err != nil {
		return rep, err
	}
	defer s.leave()
	gone := map[event.Day]bool{}
	if err := s.writeOutAll(); err != nil {
		return rep, err
	}
	if r.Events > 0 {
		if err := s.retainBodies(ctx, now, firstKept(now, r.Events), expired, gone, &rep); err != nil {
			return rep, fmt.Errorf("retain bodies: %w", err)
		}
		if r.Attempts > 0 {
			if err := s.retainRows(firstKept(now, max(r.Attempts, r.Events)), gone); err != nil {
				return rep, fmt.Errorf("retain deliveries: %w", err)
			}
		}
	}
	if r.Idempotency > 0 {
		if err := s.retainKeys(firstKept(now, r.Idempotency)); err != nil {
			return rep, fmt.Errorf("retain idempotency keys: %w", err)
		}
	}
	if r.Acts > 0 {
		if err := s.retainActs(firstKept(now, r.Acts)); err != nil {
			return rep, fmt.Errorf("retain acts: %w", err)
		}
	}
	rep.Days = len(gone)
	return rep, nil
}

// firstKept is the day of what was accepted age ago: every earlier day is older than that.
func firstKept(now time.Time, age time.Duration) event.Day {
	return event.Day(min(max(now.Add(-age).Unix()/86400, 0), math.MaxUint16))
}

func (s *Store) retainBodies(ctx context.Context, now time.Time, kept event.Day, expired func([]store.Moved), gone map[event.Day]bool, rep *store.RetainReport) error {
	if uint32(kept) > s.bodies.Load() {
		// From here on nothing of those days can be retried: what is expired stays expired.
		err := s.write(func(w *writer) {
			w.k, w.v = registryKey(regBodies, ""), be.AppendUint16(nil, uint16(kept))
			w.set()
		})
		if err != nil {
			return err
		}
		// A change that looked before holds the lock until it is visible to what follows.
		s.change.Lock()
		s.bodies.Store(uint32(kept))
		s.change.Unlock()
	}
	days, err := s.days(kindState)
	if err != nil {
		return err
	}
	for _, day := range days {
		if day >= kept {
			break
		}
		n, err := s.expireDay(ctx, now, day, expired)
		rep.Expired += n
		if err != nil {
			return err
		}
	}
	return s.dropDays([]byte{kindBody}, kept, gone, nil)
}

// expireDay makes every pending delivery of day dead, in chunks.
func (s *Store) expireDay(ctx context.Context, now time.Time, day event.Day, expired func([]store.Moved)) (int, error) {
	total := 0
	for from := dayKey(nil, kindState, day); ; {
		ids, next, err := s.pendingOf(day, from, moveChunk)
		if err != nil {
			return total, err
		}
		if len(ids) > 0 {
			ms, err := s.moveChunk(now, store.Expire, reasonExpired, ids)
			if err == nil {
				err = s.sync()
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
		if next == nil {
			return total, nil
		}
		from = next
		if err := s.interrupted(ctx); err != nil {
			return total, err
		}
	}
}

// pendingOf returns pending deliveries of day from a key of the state index on,
// and where the rest begins, nil if there is none.
func (s *Store) pendingOf(day event.Day, from []byte, limit int) (ids []store.DeliveryID, next []byte, err error) {
	end := after(dayKey(nil, kindState, day))
	for len(ids) < limit {
		var skip []byte
		err := scan(s.db, from, end, func(k, _ []byte) (bool, error) {
			id, st, ok := parseStateKey(k)
			if !ok {
				return false, errRow
			}
			if st != store.Pending { // states of a destination are sorted: go to the next destination
				skip = after(dayKeyDest(day, id.Dest))
				return false, nil
			}
			ids = append(ids, id)
			if len(ids) == limit {
				next = append(slices.Clone(k), 0)
				return false, nil
			}
			return true, nil
		})
		if err != nil || skip == nil {
			return ids, next, err
		}
		from = skip
	}
	return ids, next, nil
}

func dayKeyDest(day event.Day, dest uint32) []byte {
	return be.AppendUint32(dayKey(nil, kindState, day), dest)
}

// retainRows takes whole days of events, deliveries, attempts and counters.
func (s *Store) retainRows(kept event.Day, gone map[event.Day]bool) error {
	s.change.Lock()
	defer s.change.Unlock()
	sums := deltas{}
	err := scan(s.db, []byte{kindCounters}, dayKey(nil, kindCounters, kept), func(k, v []byte) (bool, error) {
		c, err := readCounts(v)
		if err != nil || len(k) != lenCountersKey {
			return false, errRow
		}
		sums.of(0, be.Uint32(k[3:])).add(&c)
		return true, nil
	})
	if err != nil {
		return err
	}
	// The newest id outlives the event, so that ids never run backward.
	s.append.mu.Lock()
	newest := s.append.ids.Newest()
	s.append.mu.Unlock()
	err = s.dropDays(rowKinds[:], kept, gone, func(w *writer) {
		w.k, w.v = registryKey(regNewest, ""), append(w.v[:0], newest[:]...)
		w.set()
	})
	if err == nil {
		s.counters.add(sums, -1)
		s.implied.age(kept)
	}
	return err
}

func (s *Store) retainKeys(kept event.Day) error {
	if err := s.dropDays([]byte{kindIdem}, kept, nil, nil); err != nil {
		return err
	}
	if day, err := s.firstDay(kindIdem); err != nil {
		return err
	} else if now := uint32(min(day, kept)); now > s.idem.oldest.Load() {
		s.idem.oldest.Store(now)
	}
	return nil
}

// dropDays deletes every day before kept of the kinds, together with what also writes, and
// adds the days to gone. It writes nothing when no day is that old.
func (s *Store) dropDays(kinds []byte, kept event.Day, gone map[event.Day]bool, also func(*writer)) error {
	var some []byte
	for _, kind := range kinds {
		days, err := s.days(kind)
		if err != nil {
			return err
		}
		if len(days) > 0 && days[0] < kept {
			some = append(some, kind)
		}
		for _, day := range days {
			if day < kept && gone != nil {
				gone[day] = true
			}
		}
	}
	if len(some) == 0 {
		return nil
	}
	return s.write(func(w *writer) {
		for _, kind := range some {
			w.note(w.b.DeleteRange(dayKey(nil, kind, 0), dayKey(nil, kind, kept), nil))
		}
		if also != nil {
			also(w)
		}
	})
}
