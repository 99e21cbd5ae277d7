package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// uuid is the text of one.
func uuid(id [16]byte) string { return pgtype.UUID{Bytes: id, Valid: true}.String() }

// Share says that this daemon is number i of n: see store.Shared.
func (s *Store) Share() (i, n int) {
	v := s.share.Load()
	return v[0], v[1]
}

// Daemons lists who works on the store, and who ended lately without leaving it.
func (s *Store) Daemons(ctx context.Context) (all []store.Daemon, err error) {
	err = s.read(ctx, func(q query) error {
		all = nil
		return q.each(sqlDaemons, nil, func(scan func(...any) error) error {
			var d store.Daemon
			var id [16]byte
			var started int64
			var slots []int16
			err := scan(&id, text{&d.Name}, text{&d.API}, text{&d.Version}, text{&d.Key}, text{&d.Files}, &started, &d.Seen, (*int64)(&d.Offset), &d.Alive, &slots)
			d.ID, d.Self, d.Started, d.Seen = uuid(id), id == s.owner, time.Unix(0, started).UTC(), d.Seen.UTC()
			for _, slot := range slots {
				d.Slots = append(d.Slots, int(slot))
			}
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list daemons: %w", err)
	}
	return all, nil
}

// Announce stores what this daemon says of itself.
func (s *Store) Announce(ctx context.Context, d store.Daemon) error {
	args := []any{s.owner, []byte(d.Name), []byte(d.API), []byte(d.Version), []byte(d.Key), []byte(d.Files)}
	if err := s.read(ctx, func(q query) error { return q.one(sqlAnnounce, args, nil) }); err != nil {
		return fmt.Errorf("say what this daemon is: %w", err)
	}
	return nil
}

// duties are those of this daemon.
type duties struct {
	mu   sync.Mutex
	mine map[string]bool
}

// Duty tells whether this daemon has to do what one alone may do: see store.Shared. The row of
// the duty goes with the slots of its owner, so that nobody who was not replaced loses one.
func (s *Store) Duty(ctx context.Context, name string) (bool, error) {
	if !s.Owned() {
		return false, s.open()
	}
	s.duties.mu.Lock()
	mine := s.duties.mine[name]
	s.duties.mu.Unlock()
	if mine {
		return true, s.open()
	}
	var owner [16]byte
	err := s.read(ctx, func(q query) error { return q.one(sqlTakeDuty, []any{[]byte(name), s.owner}, &owner) })
	if errors.Is(err, store.ErrNotFound) { // another took it at the same moment
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take the duty of %s: %w", name, err)
	}
	if owner != s.owner {
		return false, nil
	}
	s.duties.mu.Lock()
	defer s.duties.mu.Unlock()
	s.duties.mine[name] = true
	return true, nil
}

// lookDuties reads them anew: a crash of the database may have taken one back.
func (s *Store) lookDuties(q query) error {
	s.duties.mu.Lock()
	asked := len(s.duties.mine) > 0
	s.duties.mu.Unlock()
	if !asked {
		return nil
	}
	names, err := column[[]byte](q, sqlDuties, s.owner)
	if err != nil {
		return err
	}
	s.duties.mu.Lock()
	defer s.duties.mu.Unlock()
	clear(s.duties.mine)
	for _, name := range names {
		s.duties.mine[string(name)] = true
	}
	return nil
}

// Number gives out the next number of a sequence: greater than above, and than every one before
// that it gave to any daemon.
func (s *Store) Number(ctx context.Context, name string, above uint32) (n uint32, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	err = s.durably(ctx, s.now(), func(c *changes) error {
		return c.one(sqlNextNumber, []any{[]byte(name), int64(above)}, &n)
	})
	if err != nil {
		return 0, fmt.Errorf("give out a number: %w", err)
	}
	return n, nil
}
