package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// changeTimeout bounds the statements of a transaction, its commit excepted.
const changeTimeout = 20 * time.Second

// row is a delivery, pending or done.
type row struct {
	State    store.State
	Attempts uint16
	Version  uint32
	Round    uint32
	Size     uint32
	Due      int64
	Ordering int64
	Changed  int64
	Settings uint64
	Reason   string
	slot     int16
}

func (r *row) queue(dest uint32) store.QueueID {
	return store.QueueID{Dest: dest, Settings: r.Settings}
}

// item is the delivery as its queue offers it.
func (r *row) item(id store.DeliveryID) store.Item {
	return store.Item{ID: id, Queue: r.queue(id.Dest), Due: r.Due, Ordering: r.Ordering,
		Size: r.Size, Version: r.Version, Attempts: r.Attempts, Round: r.Round}
}

func (r *row) record(id store.DeliveryID) store.DeliveryRecord {
	return store.DeliveryRecord{ID: id, State: r.State, Reason: r.Reason, Due: r.Due, Settings: r.Settings,
		Attempts: r.Attempts, Changed: r.Changed}
}

// changes is one transaction that reads rows in order to change them.
type changes struct {
	query
	commit
	s    *Store
	tx   pgx.Tx
	now  int64
	old  map[store.DeliveryID]row // as they were found
	rows map[store.DeliveryID]row // as they are to be
	log  []logged
	sum  deltas
	born born
}

// born names the destinations for which a commit makes something pending in a slot that another
// daemon may own: the tally tells it.
type born struct {
	dests map[int32]bool
	since int64 // when the first of it is due
}

func (b *born) add(dest uint32, due int64) {
	if len(b.dests) == 0 {
		b.dests, b.since = map[int32]bool{}, due
	}
	b.dests[int32(dest)] = true
	b.since = min(b.since, due)
}

func (b *born) args() []int32 {
	return append([]int32{}, slices.Sorted(maps.Keys(b.dests))...) // nil would be NULL
}

// offer is the delivery for the engine; nothing where another daemon goes on with it.
func (c *changes) offer(id store.DeliveryID, r *row) (it store.Item) {
	if c.s.owned.has(r.slot) {
		it = r.item(id)
	}
	return it
}

// logged is an attempt to log, under the version it was made for.
type logged struct {
	id      store.DeliveryID
	version uint32
	store.Attempt
}

// changing runs do in a transaction of the slot that changes deliveries, writes what do has
// changed, and commits without waiting for the disk: barrier makes it durable. changing runs
// do again when another daemon was in the way, so do must begin anew each time.
func (s *Store) changing(ctx context.Context, now time.Time, do func(*changes) error) error {
	for try := 0; ; try++ {
		var made born
		_, err := s.changes.write(func(w commit) (deltas, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
			defer cancel()
			tx, err := w.Begin(ctx)
			if err != nil {
				return nil, err
			}
			c := &changes{query: query{ctx, tx}, commit: w, s: s, tx: tx, now: now.UnixNano(),
				old: map[store.DeliveryID]row{}, rows: map[store.DeliveryID]row{}, sum: deltas{}}
			if err := c.run(do); err != nil {
				return nil, errors.Join(err, tx.Rollback(ctx))
			}
			made = c.born
			return c.sum, tx.Commit(context.Background()) // never cancelled: see connectLink
		})
		if is(err, deadlockDetected, serialization, uniqueViolation, lockNotAvailable) && try < 5 {
			continue
		}
		if err != nil {
			return err
		}
		s.settled.Add(1)
		select {
		case s.dirty <- struct{}{}:
		default:
		}
		s.look.born(&made)
		return nil
	}
}

func (c *changes) run(do func(*changes) error) error {
	var id int16
	err := c.one(sqlBegin, []any{c.slot, c.owner, c.epoch}, &id, nil, nil)
	if errors.Is(err, store.ErrNotFound) {
		return c.s.fenced()
	}
	if err == nil {
		err = do(c)
	}
	if err == nil {
		err = c.flush()
	}
	return err
}

// durably runs changing and waits until its commit is durable.
func (s *Store) durably(ctx context.Context, now time.Time, do func(*changes) error) error {
	if err := s.changing(ctx, now, do); err != nil {
		return err
	}
	return s.barrier(ctx)
}

// barrier makes a commit that waits for the disk: it covers all commits before it.
func (s *Store) barrier(ctx context.Context) error {
	return s.commit(ctx, &call{barrier: true})
}

// load reads and locks deliveries that are not read yet.
func (c *changes) load(ids []store.DeliveryID) error {
	// While we wait for a row, another daemon may move it to the other table. Then the snapshot
	// of this statement shows it in neither table; a second look shows it.
	for range 2 {
		var missing []store.DeliveryID
		for _, id := range ids {
			if _, ok := c.rows[id]; !ok {
				missing = append(missing, id)
			}
		}
		if len(missing) == 0 {
			return nil
		}
		for _, sql := range [...]string{sqlLockPending, sqlLockDone} {
			err := c.each(sql, keysOf(missing), func(scan func(...any) error) error {
				id, r, err := scanRow(scan)
				if err == nil {
					c.rows[id], c.old[id] = r, r
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("read deliveries: %w", err)
			}
		}
	}
	return nil
}

func scanRow(scan func(...any) error) (id store.DeliveryID, r row, err error) {
	var state int16
	err = scan(dayOf{&id.Day}, (*[16]byte)(&id.Event), unsigned{&id.Dest}, unsigned{&id.Replay}, &r.slot, &state, hash{&r.Settings}, &r.Due, &r.Ordering, &r.Changed,
		unsigned{&r.Version}, unsigned{&r.Round}, &r.Attempts, unsigned{&r.Size}, text{&r.Reason})
	if r.State = store.State(state); err == nil && (r.State < store.Pending || r.State > store.Cancelled) {
		err = errRow
	}
	return id, r, err
}

// keysOf are ids as columns: days, events, destinations, replays.
func keysOf(ids []store.DeliveryID) []any {
	n := len(ids)
	days, events, dests, replays := make([]int32, n), make([][16]byte, n), make([]int32, n), make([]int64, n)
	for i, id := range ids {
		days[i], events[i], dests[i], replays[i] = int32(id.Day), id.Event, int32(id.Dest), int64(id.Replay)
	}
	return []any{days, events, dests, replays}
}

// put turns the row of id into r with the next version, and moves counters.
func (c *changes) put(id store.DeliveryID, r row) row {
	old := c.rows[id]
	r.Version = old.Version + 1
	if r.State != store.Pending {
		r.Due, r.Settings = 0, 0
	} else {
		r.Due = max(r.Due, 0)
	}
	if r.State != old.State || r.Due != old.Due || r.Settings != old.Settings {
		r.Changed = c.now
	}
	if r.State == store.Pending && !c.s.owned.has(r.slot) {
		c.born.add(id.Dest, r.Due)
	}
	if r.State != old.State {
		n := c.sum.of(id.Day, id.Dest)
		n.count(old.State, old.Size, -1)
		n.count(r.State, r.Size, 1)
	}
	c.rows[id] = r
	return r
}

// make adds a delivery that is pending.
func (c *changes) make(id store.DeliveryID, r row) {
	n := c.sum.of(id.Day, id.Dest)
	n[nAccepted]++
	n[nSizes] += int64(r.Size)
	n.count(store.Pending, r.Size, 1)
	if !c.s.owned.has(r.slot) {
		c.born.add(id.Dest, r.Due)
	}
	c.rows[id] = r
}

// attempt logs what was tried for version n.
func (c *changes) attempt(id store.DeliveryID, n uint32, a store.Attempt) {
	c.log = append(c.log, logged{id, n, a})
}

// erased returns which of the events have been erased.
func (c *changes) erased(ids []store.DeliveryID) (map[event.ID]bool, error) {
	gone := map[event.ID]bool{}
	keys := keysOf(ids)
	err := c.each(sqlErased, keys[:2], func(scan func(...any) error) error {
		var id event.ID
		err := scan((*[16]byte)(&id))
		gone[id] = true
		return err
	})
	return gone, err
}
