package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

const (
	// fewDests is the most destinations that are looked up one by one; for more, reading the
	// whole day is cheaper.
	fewDests = 64
	// usageRows is how many rows are read between two looks whether to end.
	usageRows = 1 << 12
)

// Usage tells what was used on which day: see store.Usage.
func (s *Store) Usage(ctx context.Context, q store.UsageQuery, each func(*store.UsageRow)) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	dests := slices.Compact(slices.Sorted(slices.Values(q.Dests)))
	if q.Dests != nil && len(dests) == 0 {
		return nil
	}
	snap := s.db.NewSnapshot()
	defer snap.Close()
	o := &pebble.IterOptions{LowerBound: dayKey(nil, kindCounters, q.Since), UpperBound: []byte{kindCounters + 1}}
	if q.Until != 0 {
		o.UpperBound = dayKey(nil, kindCounters, q.Until)
	}
	it, err := snap.NewIter(o)
	if err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	var row store.UsageRow
	err = s.eachDay(ctx, it, dests, &row, each)
	s.countRows(it)
	if err := errors.Join(err, it.Close()); err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	return nil
}

// eachDay goes through what it holds; dests is sorted, empty for all.
func (s *Store) eachDay(ctx context.Context, it *pebble.Iterator, dests []uint32, row *store.UsageRow, each func(*store.UsageRow)) error {
	steps := 0
	for ok := it.First(); ok; steps++ {
		if steps%usageRows == 0 {
			if err := s.interrupted(ctx); err != nil {
				return err
			}
		}
		k := it.Key()
		if len(k) != lenCountersKey {
			return errRow
		}
		row.Day, row.Dest = event.Day(be.Uint16(k[1:])), be.Uint32(k[3:])
		at, wanted := slices.BinarySearchFunc(dests, row.Dest, cmp.Compare)
		if wanted || len(dests) == 0 {
			v, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			c, partial, err := readDay(v)
			if err != nil {
				return err
			}
			row.Counts, row.Attempts, row.Bytes, row.Partial = c.export(), c[nAttempts], c[nBytes], partial
			each(row)
			at++
		}
		switch {
		case len(dests) == 0 || len(dests) > fewDests:
			ok = it.Next()
		case at < len(dests):
			ok = it.SeekGE(countersKey(nil, row.Day, dests[at]))
		case row.Day == 1<<16-1:
			ok = false
		default:
			ok = it.SeekGE(countersKey(nil, row.Day+1, dests[0]))
		}
	}
	return it.Error()
}

// countAttempt counts an attempt that is about to be logged for version n. A stale outcome
// may repeat an earlier one: then the log has its attempt, and it is not counted again.
func (c *changes) countAttempt(id store.DeliveryID, n uint32, a *store.Attempt, stale bool) error {
	if a.Class == reasonExpired {
		return nil
	}
	if stale {
		known, err := c.logged(attemptKey(nil, id, n, a.At))
		if known || err != nil {
			return err
		}
	}
	c.sum.of(id.Day, id.Dest)[nAttempts]++
	return nil
}

// logged tells whether the log has that attempt, be it only by this batch.
func (c *changes) logged(key []byte) (bool, error) {
	if v, err := c.s.get(key); err != nil || v != nil {
		return v != nil, err
	}
	for r := c.b.Reader(); ; {
		_, k, _, ok, err := r.Next()
		if err != nil || !ok {
			return false, err
		}
		if bytes.Equal(k, key) {
			return true, nil
		}
	}
}
