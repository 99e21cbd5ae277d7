package pgstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// eraseChunk is how many events are erased in one transaction.
const eraseChunk = 64

// Erase removes the bodies of a user's events, their names and the excerpts of answers: see
// store.Keeper. What was erased is gone from every read on return. Erase does not reach the
// other places in which the database keeps rows: dead rows until they are vacuumed, its log,
// standbys until they have replayed the log, and backups.
func (s *Store) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (rep store.ErasureReport, err error) {
	if err := s.enter(); err != nil {
		return rep, err
	}
	defer s.leave()
	newest, err := s.newest(ctx) // of all daemons: what one of them took last counts
	if err != nil {
		return rep, fmt.Errorf("erase: %w", err)
	}
	s.groups.mu.Lock()
	until := s.groups.ids.Newest() // events that come later stay
	s.groups.mu.Unlock()
	if older(until, newest) {
		until = newest
	}
	for i := range 8 {
		until[8+i] = 0xff
	}
	for more := req.User != "" || req.Whole; more; {
		var ms []store.Moved
		n := 0
		err := s.durably(ctx, now, func(c *changes) (err error) {
			n, ms, err = c.erase(req, until)
			return err
		})
		if err == nil && n > 0 {
			err = s.interrupted(ctx)
		}
		rep.Events += n
		rep.Cancelled += len(ms)
		if cancelled != nil && len(ms) > 0 {
			cancelled(ms)
		}
		if err != nil {
			return rep, fmt.Errorf("erase: %w", err)
		}
		more = n > 0
	}
	err = s.durably(ctx, now, func(c *changes) error {
		if err := c.eraseActs(req); err != nil {
			return err
		}
		if err := c.eraseLast(req.Developer); err != nil {
			return err
		}
		// The record names the user by a hash. Who knows the name can prove what was done and to
		// whom; nobody else learns it.
		user := keys.Hash(req.Developer, req.User)
		_, err := c.exec(sqlPutErasure, now.UnixNano(), []byte(req.Developer), user[:16], []byte(req.By), int64(rep.Events), int64(rep.Cancelled))
		return err
	})
	if err != nil {
		return rep, fmt.Errorf("record the erasure: %w", err)
	}
	s.log.Info("user's data erased", "developer", req.Developer, "by", req.By, "events", rep.Events, "cancelled", rep.Cancelled)
	return rep, nil
}

// erase takes a few events, with the copies that replays carried to other days.
func (c *changes) erase(req store.Erasure, until event.ID) (int, []store.Moved, error) {
	var ids [][16]byte
	sql, args := sqlErasable, []any{who(req.Developer, req.User), []byte(req.Developer), []byte(req.User), [16]byte(until), eraseChunk}
	if req.Whole {
		sql, args = sqlErasableWhole, []any{[]byte(req.Developer), [16]byte(until), eraseChunk}
	}
	err := c.each(sql, args, func(scan func(...any) error) error {
		var id [16]byte
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil || len(ids) == 0 {
		return 0, nil, err
	}
	// Bodies go first. A retry that has found a body keeps a lock on it, so that this waits, and
	// what the retry made pending is seen afterwards.
	for _, sql := range [...]string{sqlEraseBodies, sqlEraseKeys, sqlEraseEvents} {
		if _, err := c.exec(sql, ids); err != nil {
			return 0, nil, err
		}
	}
	places := make([]dayEvent, len(ids))
	for i, id := range ids {
		places[i] = dayEvent{event.ID(id).Day(), id}
	}
	families, err := c.families(places)
	if err != nil {
		return 0, nil, err
	}
	ending := mover{changes: c, change: store.Cancel, reason: reasonErased}
	var moved []store.Moved
	for _, family := range families {
		for _, id := range family {
			r := c.rows[id]
			if r.State == store.Pending {
				moved = append(moved, ending.move(id))
			} else if word, quote, _ := strings.Cut(r.Reason, ": "); quote != "" {
				r.Reason = word
				c.put(id, r)
			}
		}
	}
	_, err = c.exec(sqlEraseAnswers, ids)
	return len(ids), moved, err
}

// eraseLast empties the last answers of the developer's destinations, which may quote
// what is erased.
func (c *changes) eraseLast(developer string) error {
	mute := map[uint32]store.Last{}
	err := c.each(sqlLastsOf, []any{[]byte(developer)}, func(scan func(...any) error) error {
		var id uint32
		var b []byte
		if err := scan(unsigned{&id}, &b); err != nil {
			return err
		}
		l := readLast(b)
		if l.Answer.Text != "" || l.Answer.Fault != "" {
			l.Answer.Text, l.Answer.Fault = "", ""
			mute[id] = l
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range sortedIDs(mute) {
		l := mute[id]
		if err := c.update(sqlPutLast, id, appendLast(&l)); err != nil {
			return err
		}
	}
	return nil
}
