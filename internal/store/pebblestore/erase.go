package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// eraseChunk is how many events are erased under one lock.
const eraseChunk = 64

// Erase removes the bodies of a user's events, their names and the excerpts of
// answers: see store.Keeper. What was erased is gone from every read on return;
// the files that still hold it are rewritten in the background, at the next
// start too if need be. Backups made before keep it.
func (s *Store) Erase(ctx context.Context, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
	var rep store.ErasureReport
	if err := s.enter(); err != nil {
		return rep, err
	}
	defer s.leave()
	ranges, err := s.toErase(req)
	if err != nil {
		return rep, fmt.Errorf("erase: %w", err)
	}
	for _, r := range ranges {
		if err := s.eraseRange(ctx, now, r, req, cancelled, &rep); err != nil {
			return rep, fmt.Errorf("erase: %w", err)
		}
	}
	if err := s.eraseLast(req.Developer); err != nil {
		return rep, fmt.Errorf("erase: %w", err)
	}
	if err := s.eraseActs(ctx, req); err != nil {
		return rep, fmt.Errorf("erase: %w", err)
	}
	// The record names the user by a hash. Who knows the name can prove what was done and to
	// whom; nobody else learns it.
	err = s.write(func(w *writer) {
		user := keys.Hash(req.Developer, req.User)
		w.k = be.AppendUint64(registryKey(regErasure, ""), uint64(now.UnixNano()))
		w.k = append(w.k, user[:8]...)
		w.v = appendErasure(w.v[:0], req.Developer, req.By, user[:16], int64(rep.Events), int64(rep.Cancelled))
		w.set()
	})
	if err != nil {
		return rep, fmt.Errorf("record the erasure: %w", err)
	}
	s.log.Info("user's data erased", "developer", req.Developer, "by", req.By, "events", rep.Events, "cancelled", rep.Cancelled)
	select {
	case s.purge <- struct{}{}:
	default:
	}
	return rep, nil
}

// eraseIndex is keys of an index of one day, which name events at a place in them.
type eraseIndex struct {
	day    event.Day
	prefix []byte
	size   int // of a key
	at     int // where the event's id begins
}

// toErase lists the indexes that name what is to be erased. Of a whole developer
// those are their events, and their deliveries, since a replay may have carried a
// body to a day on which it is not listed as an event.
func (s *Store) toErase(req store.Erasure) (all []eraseIndex, err error) {
	add := func(kind byte, index func(event.Day) eraseIndex) {
		days, e := s.days(kind)
		err = errors.Join(err, e)
		for _, day := range days {
			all = append(all, index(day))
		}
	}
	if !req.Whole {
		add(kindUser, func(day event.Day) eraseIndex {
			p := userPrefix(nil, day, req.Developer, req.User)
			return eraseIndex{day, p, lenUserKey, len(p)}
		})
		return all, err
	}
	add(kindOwner, func(day event.Day) eraseIndex {
		p := ownerPrefix(nil, day, req.Developer)
		return eraseIndex{day, p, lenOwnerKey, len(p)}
	})
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	for id, d := range s.registry.dests {
		if d.Developer == req.Developer {
			add(kindState, func(day event.Day) eraseIndex {
				p := be.AppendUint32(dayKey(nil, kindState, day), id)
				return eraseIndex{day, p, lenStateKey, len(p) + 1}
			})
		}
	}
	return all, err
}

func (s *Store) eraseRange(ctx context.Context, now time.Time, r eraseIndex, req store.Erasure, cancelled func([]store.Moved), rep *store.ErasureReport) error {
	day, end := r.day, after(bytes.Clone(r.prefix))
	for from := r.prefix; ; {
		var ids []event.ID
		err := scan(s.db, from, end, func(k, _ []byte) (bool, error) {
			if len(k) != r.size {
				return false, errRow
			}
			ids = append(ids, event.ID(k[r.at:][:16]))
			from = append(slices.Clone(k), 0)
			return len(ids) < eraseChunk, nil
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		n, ms, err := s.eraseChunk(now, day, req, ids)
		if err == nil {
			err = s.sync()
		}
		if err != nil {
			return err
		}
		rep.Events += n
		rep.Cancelled += len(ms)
		if cancelled != nil && len(ms) > 0 {
			cancelled(ms)
		}
		if err := s.interrupted(ctx); err != nil {
			return err
		}
	}
}

func (s *Store) eraseChunk(now time.Time, day event.Day, req store.Erasure, ids []event.ID) (int, []store.Moved, error) {
	s.change.Lock()
	defer s.change.Unlock()
	for _, id := range ids {
		if err := s.writeOutOf(id); err != nil {
			return 0, nil, err
		}
	}
	days, err := s.days(kindDelivery)
	if err != nil {
		return 0, nil, err
	}
	// A replay carries copies to later days. An event that matched no destination has no delivery
	// on its own day, but its body is there.
	days = append([]event.Day{day}, slices.DeleteFunc(days, func(d event.Day) bool { return d <= day })...)
	c := s.begin(now)
	var moved []store.Moved
	n := 0
	for _, id := range ids {
		ok, ms, err := c.erase(days, id, req)
		if err != nil {
			c.b.Close()
			return 0, nil, err
		}
		if ok {
			n++
		}
		moved = append(moved, ms...)
	}
	return n, moved, c.commit()
}

// erase takes one event on days, the first of which is its own.
func (c *changes) erase(days []event.Day, id event.ID, req store.Erasure) (bool, []store.Moved, error) {
	own := days[0]
	if !req.Whole {
		c.k = userKey(c.k[:0], own, req.Developer, req.User, id)
		c.delete()
	}
	r, err := c.s.eventRecord(own, id)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) { // retention was faster
			err = nil
		}
		return false, nil, err
	}
	if r.Event.Developer != req.Developer || !req.Whole && r.Event.UserID != req.User {
		return false, nil, nil
	}
	if req.Whole && r.Gone == reasonErased {
		return false, nil, nil // erased before, with its user or by the call that this one repeats
	}
	var moved []store.Moved
	for _, day := range days {
		ms, err := c.cancel(day, id)
		if err != nil {
			return false, nil, err
		}
		moved = append(moved, ms...)
		copied, err := c.s.get(eventKey(nil, kindEvent, day, id))
		if err != nil {
			return false, nil, err
		}
		if copied == nil {
			continue
		}
		e, err := readEvent(id, copied)
		if err != nil {
			return false, nil, err
		}
		if req.Whole && e.Event.UserID != "" {
			c.k = userKey(c.k[:0], day, req.Developer, e.Event.UserID, id)
			c.delete()
		}
		e.Event.Reference, e.Event.UserID, e.Event.Trace, e.Gone = "", "", nil, reasonErased
		c.k, c.v = eventKey(c.k[:0], kindEvent, day, id), appendEvent(c.v[:0], &e)
		c.set()
		if e.key != nil {
			if err := c.eraseKey(id.Day(), *e.key); err != nil {
				return false, nil, err
			}
		}
		c.k = eventKey(c.k[:0], kindBody, day, id)
		c.delete()
		c.k, c.v = append(registryKey(regPurge, ""), dayKey(nil, 0, day)[1:]...), c.v[:0]
		c.set()
	}
	return true, moved, nil
}

// eraseKey takes the reference to the event out of an idempotency key. The key stays and
// goes on refusing duplicates.
func (c *changes) eraseKey(day event.Day, h idemHash) error {
	k := idemKey(nil, day, h)
	v, err := c.s.get(k)
	if err != nil || v == nil {
		return err
	}
	f, body, err := readIdem(v)
	if err != nil {
		return err
	}
	f.reference = ""
	c.k, c.v = append(c.k[:0], k...), appendIdem(c.v[:0], &f, body)
	c.set()
	return nil
}

// cancel ends what is pending of an event on a day. It empties the excerpts of answers, in
// the reasons of dead deliveries too.
func (c *changes) cancel(day event.Day, id event.ID) (moved []store.Moved, err error) {
	ending := mover{changes: c, change: store.Cancel, reason: reasonErased}
	prefix := eventKey(nil, kindDelivery, day, id)
	err = scan(c.s.db, prefix, after(bytes.Clone(prefix)), func(k, v []byte) (bool, error) {
		did, ok := parseDeliveryKey(k)
		r, err := readRow(v)
		if !ok || err != nil {
			return false, errRow
		}
		if r.State == store.Pending {
			m := store.Moved{}
			if err := ending.move(did, &m); err != nil {
				return false, err
			}
			moved = append(moved, m)
			return true, nil
		}
		mute := r
		if word, quote, _ := strings.Cut(r.Reason, ": "); quote != "" {
			mute.Reason = word
		}
		if r.first != nil && r.first.Answer != "" {
			a := *r.first
			a.Answer = ""
			mute.first = &a
		}
		if mute != r {
			c.put(did, r, mute)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	prefix = eventKey(prefix[:0], kindAttempt, day, id)
	return moved, scan(c.s.db, prefix, after(bytes.Clone(prefix)), func(k, v []byte) (bool, error) {
		a, err := readAttempt(v)
		if err != nil || a.Answer == "" {
			return true, err
		}
		a.Answer = ""
		c.k, c.v = append(c.k[:0], k...), appendAttempt(c.v[:0], &a)
		c.set()
		return true, nil
	})
}

// purgeLoop rewrites the files of days that had something erased. A day stays
// on the list until that is done.
func (s *Store) purgeLoop() {
	ctx, cancel := context.WithCancel(context.Background())
	s.wg.Go(func() {
		<-s.quit
		cancel() // ends a compaction that runs
	})
	for {
		if err := s.purgeDays(ctx); err != nil && ctx.Err() == nil {
			s.background(fmt.Errorf("rewrite files after an erasure: %w", err))
		}
		select {
		case <-s.purge:
		case <-s.quit:
			return
		}
	}
}

func (s *Store) purgeDays(ctx context.Context) error {
	var days []event.Day
	prefix := registryKey(regPurge, "")
	err := scan(s.db, prefix, after(bytes.Clone(prefix)), func(k, _ []byte) (bool, error) {
		if len(k) == len(prefix)+2 {
			days = append(days, event.Day(be.Uint16(k[len(prefix):])))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, day := range days {
		for _, kind := range []byte{kindBody, kindEvent, kindDelivery, kindAttempt, kindUser, kindAct} {
			if err := s.db.Compact(ctx, dayKey(nil, kind, day), after(dayKey(nil, kind, day)), false); err != nil {
				return err
			}
		}
		err := s.write(func(w *writer) {
			w.k = append(registryKey(regPurge, ""), dayKey(nil, 0, day)[1:]...)
			w.delete()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
