package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// settleDelay is how long outcomes wait for another commit that waits for the disk. Outcomes
// must be durable within 100 ms, so that it leaves time for a commit of their own.
const settleDelay = 50 * time.Millisecond

// Settle records outcomes: see store.Queue.
func (s *Store) Settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	for i := range outcomes {
		if st := outcomes[i].State; st < store.Pending || st > store.Cancelled {
			return nil, fmt.Errorf("settle %v: state %d", outcomes[i].Item.ID, st)
		}
	}
	out := make([]store.Settled, len(outcomes))
	all := make([]int, len(outcomes))
	for i := range all {
		all[i] = i
	}
	for len(all) > 0 {
		var once, again []int
		seen := map[store.DeliveryID]bool{}
		for _, i := range all {
			if id := outcomes[i].Item.ID; seen[id] {
				again = append(again, i)
			} else {
				seen[id] = true
				once = append(once, i)
			}
		}
		if err := s.settleOnce(ctx, now, outcomes, once, out); err != nil {
			return nil, err
		}
		all = again
	}
	return out, nil
}

// settleOnce records outcomes of different deliveries. Those whose rows are as they were
// offered take one statement, the rest goes row by row.
func (s *Store) settleOnce(ctx context.Context, now time.Time, outcomes []store.Outcome, which []int, out []store.Settled) error {
	var hits []int
	for try := 0; ; try++ {
		lost, err := s.changes.write(func(w commit) (sum deltas, err error) {
			hits, sum, err = s.settleFast(w, now, outcomes, which)
			return sum, err
		})
		if is(err, deadlockDetected, serialization) && try < 5 {
			continue
		}
		if err != nil {
			return err
		}
		if lost { // the outcomes are recorded; the rows tell which
			hits = nil
		}
		break
	}
	s.settled.Add(1)
	select {
	case s.dirty <- struct{}{}:
	default:
	}
	hit := make(map[int]bool, len(hits))
	for _, i := range hits {
		o := &outcomes[i]
		hit[i] = true
		if out[i].State = o.State; o.State == store.Pending {
			it := o.Item
			it.Queue.Settings, it.Due, it.Attempts, it.Version = o.Settings, max(o.Due, 0), o.Attempts, it.Version+1
			out[i].Item = it
		}
	}
	rest := slices.DeleteFunc(slices.Clone(which), func(i int) bool { return hit[i] })
	if len(rest) == 0 {
		return nil
	}
	return s.settleSlowly(ctx, now, outcomes, rest, out)
}

// settleFast is one statement, and one commit. It returns which outcomes it recorded.
func (s *Store) settleFast(w commit, now time.Time, outcomes []store.Outcome, which []int) (hits []int, sum deltas, err error) {
	n := len(which)
	ids, of := make([]store.DeliveryID, n), make([]int32, n)
	version, state, attempts := make([]int32, n), make([]int32, n), make([]int32, n)
	due, settings, reason := make([]int64, n), make([]int64, n), make([][]byte, n)
	var tried []int32
	var log attemptColumns
	for k, i := range which {
		o := &outcomes[i]
		ids[k], of[k], version[k], state[k], attempts[k] = o.Item.ID, int32(i), int32(o.Item.Version), int32(o.State), int32(o.Attempts)
		due[k], settings[k], reason[k] = max(o.Due, 0), int64(o.Settings), []byte(o.Reason)
		if o.Attempt != nil {
			tried = append(tried, int32(i))
			log.add(o.Attempt)
		}
	}
	if again := slices.Index(state, int32(store.Pending)); again >= 0 {
		first := due[again]
		for k, st := range state {
			if st == int32(store.Pending) {
				first = min(first, due[k])
			}
		}
		if err := s.underLows(context.Background(), w, s.changes, s.everywhere(first)); err != nil {
			return nil, nil, err
		}
	}
	keys := keysOf(ids)
	args := []any{w.slot, w.owner, w.epoch, now.UnixNano(), of, keys[1], keys[2], keys[3], keys[0], version, state, due, settings, attempts, reason, tried, log.at}
	args = append(append(args, log.args()...), w.seq)
	var mine int
	var found []int32
	if err := w.QueryRow(context.Background(), sqlSettle, args...).Scan(&mine, &found); err != nil {
		return nil, nil, err
	}
	if mine == 0 {
		return nil, nil, s.fenced()
	}
	sum = deltas{}
	for _, i := range found {
		o := &outcomes[i]
		hits = append(hits, int(i))
		if o.State != store.Pending {
			n := sum.of(o.Item.ID.Day, o.Item.ID.Dest)
			n.count(store.Pending, o.Item.Size, -1)
			n.count(o.State, o.Item.Size, 1)
		}
	}
	return hits, sum, nil
}

// settleSlowly records outcomes of rows that were changed meanwhile, or are gone.
func (s *Store) settleSlowly(ctx context.Context, now time.Time, outcomes []store.Outcome, which []int, out []store.Settled) error {
	ids := make([]store.DeliveryID, len(which))
	for k, i := range which {
		ids[k] = outcomes[i].Item.ID
	}
	return s.changing(ctx, now, func(c *changes) error {
		if err := c.load(ids); err != nil {
			return err
		}
		erased, err := c.erased(ids)
		if err != nil {
			return err
		}
		for _, i := range which {
			out[i] = c.settle(&outcomes[i], erased[outcomes[i].Item.ID.Event])
		}
		return nil
	})
}

func (c *changes) settle(o *store.Outcome, erased bool) (out store.Settled) {
	id := o.Item.ID
	r, ok := c.rows[id]
	if !ok {
		return store.Settled{Stale: true}
	}
	out.Stale = r.Version != o.Item.Version || r.State != store.Pending
	if o.Attempt != nil {
		a := *o.Attempt
		if erased {
			a.Answer = "" // it may quote what was erased while the attempt was in flight
		}
		c.attempt(id, o.Item.Version, a)
	}
	switch next := r; {
	case !out.Stale:
		next.State, next.Reason, next.Attempts = o.State, o.Reason, o.Attempts
		next.Due, next.Settings = o.Due, o.Settings
		r = c.put(id, next)
	case o.State == store.Delivered && r.State != store.Delivered:
		// The far side has the event: whatever was decided meanwhile came too late.
		next.State, next.Reason, next.Attempts = store.Delivered, "", o.Attempts
		r = c.put(id, next)
	}
	out.State = r.State
	if r.State == store.Pending {
		out.Item = c.offer(id, &r)
	}
	return out
}

// syncLoop makes commits that did not wait for the disk durable when no Append does it soon
// enough. It sleeps while nothing is settled.
func (s *Store) syncLoop() {
	t := time.NewTimer(time.Hour)
	t.Stop()
	for delay := settleDelay; ; {
		select {
		case <-s.dirty:
		case <-s.quit: // Close syncs
			return
		}
		t.Reset(delay)
		select {
		case <-t.C:
		case <-s.quit:
			t.Stop()
			return
		}
		select { // outcomes that come from here on wake the loop again
		case <-s.dirty:
		default:
		}
		delay = settleDelay
		if s.durable.Load() >= s.settled.Load() {
			continue
		}
		if err := s.sync(); err != nil && !errors.Is(err, store.ErrClosed) {
			s.log.Warn("outcomes are recorded and not known to be durable", "error", err)
			delay = time.Second
			select {
			case s.dirty <- struct{}{}:
			default:
			}
		}
	}
}

// sync makes durable what was committed before.
func (s *Store) sync() error { return s.barrier(context.Background()) }

// synced notes that the first mark commits are durable.
func (s *Store) synced(mark uint64) {
	for {
		old := s.durable.Load()
		if mark <= old || s.durable.CompareAndSwap(old, mark) {
			return
		}
	}
}
