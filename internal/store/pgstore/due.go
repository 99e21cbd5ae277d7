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
		args := []any{s.slots, int32(q.Dest), int64(q.Settings), from.Due, [16]byte(from.Event), int64(from.Replay), limit + 1}
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
	err = s.read(ctx, func(ask query) error {
		seen := map[store.QueueID]bool{}
		heads = nil
		return ask.each(sqlQueues, []any{s.slots}, func(scan func(...any) error) error {
			var h store.Head
			err := scan(unsigned{&h.Queue.Dest}, hash{&h.Queue.Settings}, &h.From.Due, (*[16]byte)(&h.From.Event), unsigned{&h.From.Replay})
			if !seen[h.Queue] { // two slots may have it: the first in order comes first
				seen[h.Queue] = true
				heads = append(heads, h)
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return heads, nil
}
