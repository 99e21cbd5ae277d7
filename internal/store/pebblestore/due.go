package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Due reads pending deliveries of q in the order of (Due, ID): see store.Queue.
func (s *Store) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) (items []store.Item, next int64, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	s.change.Lock() // implied deliveries get their rows under it: none is seen twice
	implied, next, err := s.impliedDue(q, from, until, limit)
	if err != nil {
		s.change.Unlock()
		return nil, 0, fmt.Errorf("read queue: %w", err)
	}
	it, err := s.view().NewIter(&pebble.IterOptions{LowerBound: dueKey(nil, q, from), UpperBound: after(queuePrefix(nil, q))})
	s.change.Unlock()
	if err != nil {
		return nil, 0, fmt.Errorf("read queue: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		_, p, ok := parseDueKey(it.Key())
		if !ok {
			return nil, 0, fmt.Errorf("read queue: %w", errRow)
		}
		if p.Due > until || len(items) >= limit {
			next = sooner(next, p.Due)
			break
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return nil, 0, fmt.Errorf("read queue: %w", err)
		}
		item, err := readDue(it.Key(), v)
		if err != nil {
			return nil, 0, fmt.Errorf("read queue: %w", err)
		}
		items = append(items, item)
	}
	if err := it.Error(); err != nil {
		return nil, 0, fmt.Errorf("read queue: %w", err)
	}
	if len(implied) == 0 {
		return items, next, nil
	}
	items = append(items, implied...)
	slices.SortFunc(items, func(a, b store.Item) int {
		return comparePositions(a.Position(), b.Position())
	})
	if len(items) > limit {
		items, next = items[:limit], sooner(next, items[limit].Due)
	}
	return items, next, nil
}

func comparePositions(a, b store.Position) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), bytes.Compare(a.Event[:], b.Event[:]), cmp.Compare(a.Replay, b.Replay))
}

// sooner returns the earlier of two times of which 0 is none.
func sooner(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Queues lists what has something pending, one seek for each queue.
func (s *Store) Queues(ctx context.Context) ([]store.Head, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	implied, err := s.impliedQueues() // before the rows: a delivery that leaves the implied ones meanwhile has a row by then
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	heads, err := s.queues()
	if err != nil {
		return nil, err
	}
	heads = append(heads, implied...)
	slices.SortFunc(heads, func(a, b store.Head) int {
		return cmp.Or(cmp.Compare(a.Queue.Dest, b.Queue.Dest), cmp.Compare(a.Queue.Settings, b.Queue.Settings), comparePositions(a.From, b.From))
	})
	return slices.CompactFunc(heads, func(a, b store.Head) bool { return a.Queue == b.Queue }), nil
}

func (s *Store) queues() ([]store.Head, error) {
	it, err := s.view().NewIter(&pebble.IterOptions{LowerBound: []byte{kindDue}, UpperBound: []byte{kindDue + 1}})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	defer it.Close()
	var heads []store.Head
	for ok := it.First(); ok; {
		q, from, good := parseDueKey(it.Key())
		if !good {
			return nil, fmt.Errorf("list queues: %w", errRow)
		}
		heads = append(heads, store.Head{Queue: q, From: from})
		next := after(queuePrefix(nil, q))
		ok = next != nil && it.SeekGE(next)
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return heads, nil
}
