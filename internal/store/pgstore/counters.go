package pgstore

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// counts is a vector of changes to store.Counts, in the order of the columns of the
// tally.
type counts [8]int64

const (
	nAccepted = iota
	nDelivered
	nPending
	nDead
	nCancelled
	nBytes    // of bodies that are pending
	nAttempts // in the log
	nSizes    // of bodies of all deliveries
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
		c[nBytes] += n * int64(size)
	}
}

func (c *counts) export() store.Counts {
	return store.Counts{Accepted: c[nAccepted], Delivered: c[nDelivered], Pending: c[nPending],
		Dead: c[nDead], Cancelled: c[nCancelled], PendingBytes: c[nBytes]}
}

// into returns where to scan the counts of a row.
func (c *counts) into() []any {
	out := make([]any, len(c))
	for i := range c {
		out[i] = &c[i]
	}
	return out
}

type dayDest struct {
	day  event.Day
	dest uint32
}

// into returns where to scan a day and a destination, followed by more.
func (d *dayDest) into(more ...any) []any {
	return append([]any{dayOf{&d.day}, unsigned{&d.dest}}, more...)
}

// deltas collects what one commit changes, by day and destination.
type deltas map[dayDest]*counts

func (d deltas) of(day event.Day, dest uint32) *counts {
	c := d[dayDest{day, dest}]
	if c == nil {
		c = new(counts)
		d[dayDest{day, dest}] = c
	}
	return c
}

// args are the columns of a row of the tally, in a fixed order.
func (d deltas) args() []any {
	keys := make([]dayDest, 0, len(d))
	for at, c := range d {
		if *c != (counts{}) {
			keys = append(keys, at)
		}
	}
	slices.SortFunc(keys, func(a, b dayDest) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.dest, b.dest)) })
	days, dests := make([]int32, len(keys)), make([]int32, len(keys))
	columns := make([][]int64, len(counts{}))
	for i := range columns {
		columns[i] = make([]int64, len(keys))
	}
	for k, at := range keys {
		days[k], dests[k] = int32(at.day), int32(at.dest)
		for i, n := range d[at] {
			columns[i][k] = n
		}
	}
	args := []any{days, dests}
	for _, c := range columns {
		args = append(args, c)
	}
	return args
}

// counters are the sums of all days and slots, in memory.
type counters struct {
	mu      sync.RWMutex
	dests   map[uint32]*[8]atomic.Int64
	pending atomic.Int64
}

func (c *counters) dest(id uint32, make bool) *[8]atomic.Int64 {
	c.mu.RLock()
	d := c.dests[id]
	c.mu.RUnlock()
	if d == nil && make {
		c.mu.Lock()
		defer c.mu.Unlock()
		if d = c.dests[id]; d == nil {
			d = new([8]atomic.Int64)
			c.dests[id] = d
		}
	}
	return d
}

// add applies deltas that a commit has made, sign -1 takes them back.
func (c *counters) add(ds deltas, sign int64) {
	for at, n := range ds {
		d := c.dest(at.dest, true)
		for i, v := range n {
			if v != 0 {
				d[i].Add(sign * v)
			}
		}
		c.pending.Add(sign * n[nPending])
	}
}

// Counts returns the counters of dest: the sums of all days kept.
func (s *Store) Counts(dest uint32) store.Counts {
	var n counts
	if d := s.counters.dest(dest, false); d != nil {
		for i := range n {
			n[i] = d[i].Load()
		}
	}
	return n.export()
}

// sums reads the counters of the days before until.
func (s *Store) sums(q query, until int64) (deltas, error) {
	sum := deltas{}
	err := q.each(sqlSums, []any{until}, func(scan func(...any) error) error {
		var at dayDest
		var n counts
		err := scan(at.into(n.into()...)...)
		sum.of(at.day, at.dest).add(&n)
		return err
	})
	return sum, err
}
