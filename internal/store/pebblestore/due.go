package pebblestore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// Due reads pending deliveries of q in the order of (Due, ID): see store.Queue.
func (s *Store) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) (items []store.Item, next int64, err error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.leave()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: dueKey(nil, q, from), UpperBound: after(queuePrefix(nil, q))})
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
			next = p.Due
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
	return items, next, nil
}

// Queues lists what has something pending, one seek for each queue.
func (s *Store) Queues(ctx context.Context) ([]store.QueueID, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.queues()
}

func (s *Store) queues() ([]store.QueueID, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindDue}, UpperBound: []byte{kindDue + 1}})
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	defer it.Close()
	var qs []store.QueueID
	for ok := it.First(); ok; {
		q, _, good := parseDueKey(it.Key())
		if !good {
			return nil, fmt.Errorf("list queues: %w", errRow)
		}
		qs = append(qs, q)
		next := after(queuePrefix(nil, q))
		ok = next != nil && it.SeekGE(next)
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	return qs, nil
}
