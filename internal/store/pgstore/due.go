package pgstore

import (
	"context"
	"fmt"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Due reads what is pending in q: see store.Queue.
func (s *Store) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) (items []store.Item, next int64, err error) {
	err = s.read(ctx, func(ask query) error {
		items, next = nil, 0
		args := []any{s.owned.of(q.Dest), int32(q.Dest), int64(q.Settings), from.Due, [16]byte(from.Event), int64(from.Replay), limit + 1, s.owner}
		return ask.each(sqlDue, args, func(scan func(...any) error) error {
			it := store.Item{Queue: q}
			it.ID.Dest = q.Dest
			err := scan(dayOf{&it.ID.Day}, (*[16]byte)(&it.ID.Event), unsigned{&it.ID.Replay}, &it.Due, &it.Ordering,
				unsigned{&it.Version}, unsigned{&it.Round}, &it.Attempts, unsigned{&it.Size})
			switch {
			case err != nil || next != 0:
			case it.Due > until || len(items) == limit:
				next = it.Due
			default:
				items = append(items, it)
			}
			return err
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read what is due: %w", err)
	}
	return items, next, nil
}

// Queues lists every queue that has something pending: see store.Queue.
func (s *Store) Queues(ctx context.Context) (heads []store.Head, err error) {
	err = s.read(ctx, func(ask query) (err error) {
		heads, err = s.heads(ask, s.owned.all())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return heads, nil
}

// heads lists the queues of slots of this daemon.
func (s *Store) heads(ask query, slots []int16) (heads []store.Head, err error) {
	at := map[store.QueueID]int{}
	set := s.owned.now.Load()
	err = ask.each(sqlQueues, []any{slots, s.owner}, func(scan func(...any) error) error {
		var h store.Head
		var slot int16
		err := scan(&slot, unsigned{&h.Queue.Dest}, hash{&h.Queue.Settings}, &h.From.Due, (*[16]byte)(&h.From.Event), unsigned{&h.From.Replay})
		i, seen := at[h.Queue]
		if !seen { // two slots may have it: the first in order comes first
			i = len(heads)
			at[h.Queue] = i
			heads = append(heads, h)
		}
		heads[i].Unclean = max(heads[i].Unclean, set.unclean[slot])
		return err
	})
	return heads, err
}
