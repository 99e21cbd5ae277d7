package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// clockWarning is how far the clock of this machine may be from the database's.
const clockWarning = 100 * time.Millisecond

// claimSlots makes this process the owner of every slot. It waits for the leases of a process
// that has not given them up: that one may have been killed a moment ago. A process that
// renews its leases is alive, and claimSlots returns an error.
func (s *Store) claimSlots(ctx context.Context) error {
	if err := s.each(ctx, sqlMakeSlots, appenders+1); err != nil {
		return fmt.Errorf("make slots: %w", err)
	}
	epochs := map[int16]int64{}
	for until := time.Now().Add(2 * s.opts.Lease); ; {
		var longest time.Duration
		err := s.reading(ctx, func(q query) error {
			s.slots, longest = nil, 0
			return q.each(sqlSlots, nil, func(scan func(...any) error) error {
				var id int16
				var left float64
				err := scan(&id, &left)
				s.slots = append(s.slots, id)
				if _, mine := epochs[id]; !mine {
					longest = max(longest, time.Duration(left*float64(time.Second)))
				}
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("list slots: %w", err)
		}
		for _, id := range s.slots {
			if _, mine := epochs[id]; mine {
				continue
			}
			var epoch int64
			err := s.pool.QueryRow(ctx, sqlAdopt, id, s.owner, s.opts.Lease.Milliseconds()).Scan(&epoch)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return fmt.Errorf("adopt slot %d: %w", id, err)
			}
			if err == nil {
				epochs[id] = epoch
			}
		}
		if len(epochs) == len(s.slots) {
			break
		}
		if time.Now().After(until) {
			s.leaveSlots()
			return errors.New("another daemon works on this database and renews its lease: several daemons on one database come with a later version")
		}
		s.log.Info("waiting for the lease of the daemon that was here before", "left", longest.Round(time.Millisecond))
		select {
		case <-time.After(longest + 10*time.Millisecond):
		case <-ctx.Done():
			s.leaveSlots()
			return context.Cause(ctx)
		}
	}
	for i, id := range s.slots {
		c := &committer{s: s, slot: id, epoch: epochs[id]}
		err := s.reading(ctx, func(q query) error { return q.one(sqlLastSeq, []any{id}, &c.seq) })
		if err != nil {
			return fmt.Errorf("find the last commit of slot %d: %w", id, err)
		}
		switch {
		case i == 0:
			s.changes = c
		case i <= appenders:
			s.appends = append(s.appends, c)
		default:
			s.spare = append(s.spare, c)
		}
	}
	return nil
}

// leaveSlots gives the slots up, so that another daemon can adopt them at once.
func (s *Store) leaveSlots() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, sqlLeave, s.owner); err != nil {
		s.log.Warn("the lease could not be given back: the next start waits for its end", "error", err)
	}
}

// leaseLoop renews the lease, on a connection of its own: nothing slow may make another daemon
// believe that this one is gone. It is also the first to find out that the database can be
// reached again.
func (s *Store) leaseLoop() {
	var c *pgx.Conn
	defer func() {
		if c != nil {
			end(c)
		}
	}()
	wait := s.opts.Lease / 3
	for {
		select {
		case <-time.After(wait):
		case <-s.quit:
			return
		}
		err := s.renew(&c)
		switch {
		case errors.Is(err, store.ErrFenced):
			s.health.gone.Store(true)
			_ = s.fenced()
			return
		case s.ending.Err() != nil: // Close has cut it short
		case err != nil:
			s.unreachable(err)
			if c != nil {
				end(c)
				c = nil
			}
			wait = min(wait, 300*time.Millisecond)
		default:
			s.reached()
			wait = s.opts.Lease / 3
		}
	}
}

func (s *Store) renew(c **pgx.Conn) (err error) {
	ctx, cancel := context.WithTimeout(s.ending, connectTimeout+s.opts.Lease/3)
	defer cancel()
	if *c == nil {
		if *c, err = s.configs.connect(ctx); err != nil {
			return err
		}
	}
	began := time.Now()
	mine := 0
	err = query{ctx, *c}.each(sqlRenew, []any{s.owner, s.opts.Lease.Milliseconds()}, func(scan func(...any) error) error {
		var slot int16
		var theirs time.Time
		err := scan(&slot, &theirs)
		mine++
		took := time.Since(began)
		s.health.clock.Store(int64(theirs.Sub(began.Add(took / 2))))
		return err
	})
	if err == nil && mine < len(s.slots) {
		err = store.ErrFenced
	}
	return err
}
