package pebblestore

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// counts is a vector of changes: first to store.Counts, in the order of its fields, then to
// the counters that only days have.
type counts [8]int64

const (
	nAccepted = iota
	nDelivered
	nPending
	nDead
	nCancelled
	nPendingBytes
	nAttempts // those logged
	nBytes    // of the bodies of all deliveries

	nSums = nAttempts // the counters before it have their sums in memory
)

var stateCounter = [...]int{store.Pending: nPending, store.Delivered: nDelivered, store.Dead: nDead, store.Cancelled: nCancelled}

func (c *counts) add(o *counts) {
	for i := range c {
		c[i] += o[i]
	}
}

// count adds n deliveries of that state and size.
func (c *counts) count(s store.State, size uint32, n int64) {
	c[stateCounter[s]] += n
	if s == store.Pending {
		c[nPendingBytes] += n * int64(size)
	}
}

func (c *counts) export() store.Counts {
	return store.Counts{Accepted: c[nAccepted], Delivered: c[nDelivered], Pending: c[nPending],
		Dead: c[nDead], Cancelled: c[nCancelled], PendingBytes: c[nPendingBytes]}
}

func appendCounts(b []byte, c *counts) []byte { return appendVarints(b, c[:]) }

func appendVarints(b []byte, ns []int64) []byte {
	for _, n := range ns {
		b = binary.AppendVarint(b, n)
	}
	return b
}

func readCounts(v []byte) (counts, error) {
	c, _, err := readDay(v)
	return c, err
}

// readDay reads the counters of a day. Before format 5 neither attempts nor bytes were
// counted. A value from then ends early; it is partial, and so is every sum that includes it.
func readDay(v []byte) (c counts, partial bool, err error) {
	d := decoder{b: v}
	for i := range c {
		if partial = i == nSums && len(d.b) == 0; partial {
			break
		}
		c[i] = d.varint()
	}
	return c, partial, d.end()
}

// countersMerger adds vectors. Sums wrap as integers do, so the order and the
// grouping of operands never matter.
var countersMerger = &pebble.Merger{
	Name: "fantail.counters.1",
	Merge: func(key, value []byte) (pebble.ValueMerger, error) {
		m := &countsSum{}
		return m, m.MergeNewer(value)
	},
}

type countsSum struct {
	sum     counts
	partial bool
}

func (m *countsSum) MergeNewer(value []byte) error {
	c, partial, err := readDay(value)
	if err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	m.sum.add(&c)
	m.partial = m.partial || partial
	return nil
}

func (m *countsSum) MergeOlder(value []byte) error { return m.MergeNewer(value) }

func (m *countsSum) Finish(bool) ([]byte, io.Closer, error) {
	if m.partial {
		return appendVarints(nil, m.sum[:nSums]), nil, nil
	}
	return appendCounts(nil, &m.sum), nil, nil
}

type dayDest struct {
	day  event.Day
	dest uint32
}

// deltas collects what one commit changes, one operand per day and destination.
type deltas map[dayDest]*counts

func (d deltas) of(day event.Day, dest uint32) *counts {
	c := d[dayDest{day, dest}]
	if c == nil {
		c = new(counts)
		d[dayDest{day, dest}] = c
	}
	return c
}

// write merges the deltas into the batch of w.
func (d deltas) write(w *writer) {
	for at, c := range d {
		if *c != (counts{}) {
			w.k, w.v = countersKey(w.k[:0], at.day, at.dest), appendCounts(w.v[:0], c)
			w.merge()
		}
	}
}

// counters are the sums of all days, in memory.
type counters struct {
	mu      sync.RWMutex
	dests   map[uint32]*[nSums]atomic.Int64
	pending atomic.Int64
}

func (c *counters) dest(id uint32, make bool) *[nSums]atomic.Int64 {
	c.mu.RLock()
	d := c.dests[id]
	c.mu.RUnlock()
	if d == nil && make {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d = c.dests[id]; d == nil {
			d = new([nSums]atomic.Int64)
			c.dests[id] = d
		}
	}
	return d
}

// add applies deltas that a commit makes, sign -1 takes them back.
func (c *counters) add(ds deltas, sign int64) {
	for at, n := range ds {
		d := c.dest(at.dest, true)
		for i, v := range n[:nSums] {
			if v != 0 {
				d[i].Add(sign * v)
			}
		}
		c.pending.Add(sign * n[nPending])
	}
}

func (c *counters) get(id uint32) (n counts) {
	if d := c.dest(id, false); d != nil {
		for i := range d {
			n[i] = d[i].Load()
		}
	}
	return n
}

// Counts returns the counters of dest: the sums of all days kept.
func (s *Store) Counts(dest uint32) store.Counts {
	n := s.counters.get(dest)
	return n.export()
}

// loadCounters sums what is stored.
func (s *Store) loadCounters() error {
	s.counters.dests = map[uint32]*[nSums]atomic.Int64{}
	return scan(s.db, []byte{kindCounters}, []byte{kindCounters + 1}, func(k, v []byte) (bool, error) {
		c, err := readCounts(v)
		if err != nil || len(k) != lenCountersKey {
			return false, fmt.Errorf("counters: %w", errRow)
		}
		s.counters.add(deltas{dayDest{dest: be.Uint32(k[3:])}: &c}, 1)
		return true, nil
	})
}

// scan calls f for every pair of [lower, upper) until it returns false.
func scan(r pebble.Reader, lower, upper []byte, f func(k, v []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err != nil {
			it.Close()
			return err
		}
		if more, err := f(it.Key(), v); err != nil || !more {
			it.Close()
			return err
		}
	}
	return it.Close()
}

// list returns every destination that has counters.
func (c *counters) list() []uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids := make([]uint32, 0, len(c.dests))
	for id := range c.dests {
		ids = append(ids, id)
	}
	return ids
}
