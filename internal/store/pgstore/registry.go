package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
)

// exec runs a statement of the transaction.
func (c *changes) exec(sql string, args ...any) (pgconn.CommandTag, error) {
	return c.tx.Exec(c.ctx, sql, args...)
}

// put runs one statement durably.
func (s *Store) put(ctx context.Context, what, sql string, args ...any) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		_, err := c.exec(sql, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("store %s: %w", what, err)
	}
	return nil
}

// Register returns the ids of the destinations: see store.Registry.
func (s *Store) Register(ctx context.Context, wanted []store.DestinationKey) ([]uint32, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	hashes := make([][]byte, len(wanted))
	for i, k := range wanted {
		h := keys.Hash(k.Developer, k.Name, k.Kind)
		hashes[i] = h[:16]
	}
	known := map[string]uint32{}
	look := func(q query) error {
		return q.each(sqlKnownDestinations, []any{hashes}, func(scan func(...any) error) error {
			var id uint32
			var h []byte
			err := scan(unsigned{&id}, &h)
			known[string(h)] = id
			return err
		})
	}
	if err := s.reading(ctx, look); err != nil {
		return nil, fmt.Errorf("register destinations: %w", err)
	}
	var err error
	for _, h := range hashes {
		if known[string(h)] == 0 {
			err = s.durably(ctx, time.Now(), func(c *changes) error { return c.register(wanted, hashes, known, look) })
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register destinations: %w", err)
	}
	ids := make([]uint32, len(wanted))
	for i, h := range hashes {
		ids[i] = known[string(h)]
	}
	s.failover.given(wanted, ids)
	return ids, nil
}

func (c *changes) register(keys []store.DestinationKey, hashes [][]byte, known map[string]uint32, look func(query) error) error {
	clear(known) // left by a transaction that was undone
	var next int32
	if err := c.one(sqlLockDestinations, nil, &next); err != nil {
		return err
	}
	if err := look(c.query); err != nil {
		return err
	}
	made := int32(0)
	for i, k := range keys {
		h := hashes[i]
		if known[string(h)] != 0 {
			continue
		}
		var stamp int64
		if err := c.one(sqlPutDestination, []any{next + made, h, []byte(k.Developer), []byte(k.Name), []byte(k.Kind)}, &stamp); err != nil {
			return err
		}
		c.s.know(uint32(next+made), stamp)
		known[string(h)] = uint32(next + made)
		made++
	}
	var from int32
	return c.one(sqlNextDestinations, []any{made}, &from)
}

// Destinations lists every destination ever registered, by id.
func (s *Store) Destinations(ctx context.Context) (ds []store.Destination, err error) {
	err = s.read(ctx, func(q query) error {
		ds = nil
		return q.each(sqlDestinations, nil, func(scan func(...any) error) error {
			d, err := scanDestination(scan)
			ds = append(ds, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list destinations: %w", err)
	}
	return ds, nil
}

func scanDestination(scan func(...any) error) (d store.Destination, err error) {
	var state, last []byte
	err = scan(unsigned{&d.ID}, text{&d.Developer}, text{&d.Name}, text{&d.Kind}, &state, &last, &d.Version)
	if err == nil {
		d.State, err = readState(state)
	}
	d.Last = readLast(last)
	return d, err
}

// state is a store.DestinationState as it is stored. Texts are bytes, because JSON would
// replace what is not UTF-8.
type state struct {
	Paused, Held    bool
	Reason          []byte
	Settings        uint64
	Since           int64 // ns; 0: never
	FailingSettings uint64
	FailingSince    int64
	Lasted          time.Duration
	Attempts, Told  int
}

func appendState(s *store.DestinationState) []byte {
	b, _ := json.Marshal(state{s.Paused, s.Held, []byte(s.Reason), s.Settings, nanos(s.Since),
		s.Failing.Settings, nanos(s.Failing.Since), s.Failing.Lasted, s.Failing.Attempts, s.Failing.Told})
	return b
}

func readState(b []byte) (d store.DestinationState, err error) {
	if len(b) == 0 {
		return d, nil
	}
	var s state
	if json.Unmarshal(b, &s) != nil {
		return d, errRow
	}
	d = store.DestinationState{Paused: s.Paused, Held: s.Held, Reason: string(s.Reason), Settings: s.Settings, Since: moment(s.Since)}
	d.Failing = store.Failing{Settings: s.FailingSettings, Since: moment(s.FailingSince), Lasted: s.Lasted, Attempts: s.Attempts, Told: s.Told}
	return d, nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) (t time.Time) {
	if ns != 0 {
		t = time.Unix(0, ns).UTC()
	}
	return t
}

// ChangeState changes the state of a destination: see store.Registry.
func (s *Store) ChangeState(ctx context.Context, id uint32, change func(*store.DestinationState)) (st store.DestinationState, version uint64, err error) {
	if err := s.enter(); err != nil {
		return st, 0, err
	}
	defer s.leave()
	var stamp int64
	err = s.durably(ctx, time.Now(), func(c *changes) (err error) {
		var stored []byte
		if err := c.one(sqlLockState, []any{int32(id)}, &stored); err != nil {
			return err
		}
		if st, err = readState(stored); err != nil {
			return err
		}
		change(&st)
		return c.one(sqlPutState, []any{int32(id), appendState(&st)}, &version, &stamp)
	})
	if err != nil {
		return st, 0, fmt.Errorf("store state of destination %d: %w", id, err)
	}
	s.know(id, stamp)
	return st, version, nil
}

// update changes a destination, which must be there.
func (c *changes) update(sql string, id uint32, value []byte) error {
	tag, err := c.exec(sql, int32(id), value)
	if err == nil && tag.RowsAffected() == 0 {
		err = store.ErrNotFound
	}
	return err
}

// SetLast stores what the last attempts of destinations came to: see store.Registry.
func (s *Store) SetLast(ctx context.Context, last map[uint32]store.Last) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if len(last) == 0 {
		return nil
	}
	err := s.durably(ctx, time.Now(), func(c *changes) error {
		for _, id := range sortedIDs(last) {
			l := last[id]
			if err := c.update(sqlPutLast, id, appendLast(&l)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the last answers of destinations: %w", err)
	}
	return nil
}
