package pgstore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

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

// tailLasts is how long what others counted may go unread. Their commits are not folded
// before twice that.
const tailLasts = 30 * time.Second

// counters are the sums of all days and slots, in memory. What this daemon commits is added at
// once; what others commit, when the lookout reads it.
type counters struct {
	mu      sync.RWMutex
	dests   map[uint32]*[8]atomic.Int64
	pending atomic.Int64
	since   deltas // commits of this daemon since the snapshot of a recount; nil: there is none
	sinceMu sync.Mutex

	tailing sync.Mutex // held by who moves tail
	tail    tail
	foreign bool            // a daemon of a version that folds at once is there
	missed  map[int16]int64 // commits of others that are gone, by slot: each is missed once
	stale   atomic.Bool     // something may have been missed: all is to be summed anew
	wake    chan struct{}   // has that done now

	own atomic.Pointer[map[uint32]int64] // what is pending in slots of this daemon; nil: it is alone
}

// add applies what a commit of this daemon has changed.
func (c *counters) add(ds deltas) {
	c.having(ds)
	defer c.mu.RUnlock()
	c.sinceMu.Lock()
	if c.since != nil {
		for at, n := range ds {
			c.since.of(0, at.dest).add(n)
		}
	}
	c.sinceMu.Unlock()
	c.apply(ds)
}

// addForeign applies what commits of others have changed; tailing is held.
func (c *counters) addForeign(ds deltas) {
	c.having(ds)
	defer c.mu.RUnlock()
	c.apply(ds)
}

// having takes mu for reading, when all destinations have counters.
func (c *counters) having(ds deltas) {
	for {
		c.mu.RLock()
		all := true
		for at := range ds {
			all = all && c.dests[at.dest] != nil
		}
		if all {
			return
		}
		c.mu.RUnlock()
		c.mu.Lock()
		for at := range ds {
			if c.dests[at.dest] == nil {
				c.dests[at.dest] = new([8]atomic.Int64)
			}
		}
		c.mu.Unlock()
	}
}

func (c *counters) apply(ds deltas) {
	for at, n := range ds {
		d := c.dests[at.dest]
		for i, v := range n {
			if v != 0 {
				d[i].Add(v)
			}
		}
		c.pending.Add(n[nPending])
	}
}

// OwnPending is how many deliveries for dest are pending in slots of this daemon: the sum over
// all daemons is what is pending. Where there are several it is up to a minute old.
func (s *Store) OwnPending(dest uint32) int64 {
	if own := s.counters.own.Load(); own != nil {
		return (*own)[dest]
	}
	return s.Counts(dest).Pending
}

// countOwn counts what is pending in slots of this daemon.
func (s *Store) countOwn() error {
	if _, n := s.Share(); n == 1 {
		s.counters.own.Store(nil)
		return nil
	}
	own := map[uint32]int64{}
	err := s.reading(s.ending, func(q query) error {
		clear(own)
		return q.each(sqlOwnPending, []any{s.owned.all()}, func(scan func(...any) error) error {
			var dest uint32
			var n int64
			err := scan(unsigned{&dest}, &n)
			own[dest] = n
			return err
		})
	})
	if err == nil {
		s.counters.own.Store(&own)
	}
	return err
}

// doubt has all counters summed anew soon.
func (c *counters) doubt() {
	c.stale.Store(true)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// recount sums all counters anew, on one snapshot that all commits of this daemon come before or
// after.
func (s *Store) recount(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it only reads
	c, q := &s.counters, query{ctx, tx}
	writers := s.writers()
	for _, w := range writers {
		w.mu.Lock()
	}
	began := time.Now()
	soon, stop := context.WithTimeout(ctx, stallAfter) // nothing is accepted meanwhile
	_, err = tx.Exec(soon, "SELECT 1")                 // takes the snapshot
	stop()
	c.sinceMu.Lock()
	c.since = deltas{}
	c.sinceMu.Unlock()
	for _, w := range writers {
		w.mu.Unlock()
	}
	var sum deltas
	seqs := map[int16]int64{}
	if err == nil {
		sum, err = s.sums(q, forever)
	}
	if err == nil {
		err = q.each(sqlSeqs, nil, func(scan func(...any) error) error {
			var slot int16
			var seq int64
			err := scan(&slot, &seq)
			seqs[slot] = seq
			return err
		})
	}
	c.tailing.Lock()
	defer c.tailing.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.since
	c.since = nil
	if err != nil {
		return err
	}
	c.dests = map[uint32]*[8]atomic.Int64{}
	c.pending.Store(0)
	for _, ds := range []deltas{sum, since} {
		for at := range ds {
			if c.dests[at.dest] == nil {
				c.dests[at.dest] = new([8]atomic.Int64)
			}
		}
		c.apply(ds)
	}
	for slot, seq := range c.tail.seqs { // all of its tally is folded
		if seqs[slot] == 0 {
			seqs[slot] = seq
		}
	}
	c.tail = tail{seqs: seqs, read: began}
	c.stale.Store(false)
	return nil
}

// Counts returns the counters of dest: the sums of all days kept.
func (s *Store) Counts(dest uint32) store.Counts {
	var n counts
	s.counters.mu.RLock()
	defer s.counters.mu.RUnlock()
	if d := s.counters.dests[dest]; d != nil {
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
