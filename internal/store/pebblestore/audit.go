package pebblestore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// progressRows is how many rows a deep audit reads between two reports.
const progressRows = 1 << 14

// Audit returns the counters of every destination registered: see store.Log.
func (s *Store) Audit(ctx context.Context, deep bool, progress func(rows int64)) ([]store.AuditRow, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	snap := s.db.NewSnapshot()
	defer snap.Close()
	sums := map[uint32]*counts{}
	of := func(m map[uint32]*counts, dest uint32) *counts {
		c := m[dest]
		if c == nil {
			c = new(counts)
			m[dest] = c
		}
		return c
	}
	err := scan(snap, []byte{kindCounters}, []byte{kindCounters + 1}, func(k, v []byte) (bool, error) {
		c, err := readCounts(v)
		if err != nil || len(k) != lenCountersKey {
			return false, errRow
		}
		of(sums, be.Uint32(k[3:])).add(&c)
		s.asked.Add(1)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit counters: %w", err)
	}
	found := map[uint32]*counts{}
	if deep {
		err := s.recount(ctx, snap, progress, func(dest uint32) *counts { return of(found, dest) })
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	s.registry.mu.Lock()
	for dest := range s.registry.dests {
		of(sums, dest)
	}
	s.registry.mu.Unlock()
	for dest := range found { // what was never counted is a finding too
		of(sums, dest)
	}
	rows := make([]store.AuditRow, 0, len(sums))
	for dest, c := range sums {
		r := store.AuditRow{Dest: dest, Counts: c.export()}
		if deep {
			n := of(found, dest).export()
			r.Recounted = &n
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b store.AuditRow) int { return cmp.Compare(a.Dest, b.Dest) })
	return rows, nil
}

// recount takes what was accepted from the events and from replays, and what became of it
// from the deliveries, implied ones among them. The two sums differ when a delivery is missing.
func (s *Store) recount(ctx context.Context, snap *pebble.Snapshot, progress func(int64), of func(uint32) *counts) error {
	var rows int64
	step := func() error {
		rows++
		s.asked.Add(1)
		if rows%progressRows != 0 {
			return nil
		}
		if progress != nil {
			progress(rows)
		}
		return s.interrupted(ctx)
	}
	err := scan(snap, []byte{kindEvent}, []byte{kindEvent + 1}, func(k, v []byte) (bool, error) {
		if len(k) != lenEventKey {
			return false, errRow
		}
		id := event.ID(k[3:])
		e, err := readEvent(id, v)
		if err != nil {
			return false, err
		}
		if id.Day() == event.Day(be.Uint16(k[1:])) { // a copy that a replay made was accepted once already
			for _, dest := range e.To {
				of(dest)[nAccepted]++
			}
		}
		return true, step()
	})
	if err != nil {
		return err
	}
	err = scan(snap, []byte{kindDelivery}, []byte{kindDelivery + 1}, func(k, v []byte) (bool, error) {
		id, ok := parseDeliveryKey(k)
		if !ok {
			return false, errRow
		}
		r, err := readRow(v)
		if err != nil {
			return false, err
		}
		c := of(id.Dest)
		if id.Replay != 0 {
			c[nAccepted]++
		}
		c.count(r.State, r.Size, 1)
		return true, step()
	})
	if err == nil {
		_, err = eachImplied(snap, func(id store.DeliveryID, r *row) error {
			of(id.Dest).count(r.State, r.Size, 1)
			return step()
		})
	}
	if err == nil && progress != nil {
		progress(rows)
	}
	return err
}
