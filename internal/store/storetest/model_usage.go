package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

type usageKey struct {
	day  event.Day
	dest uint32
}

func compareUsage(a, b usageKey) int {
	return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.dest, b.dest))
}

func (m *model) Usage(ctx context.Context, q store.UsageQuery, each func(*store.UsageRow)) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	rows := map[usageKey]*store.UsageRow{}
	for id, row := range m.rows {
		if id.Day < q.Since || q.Until != 0 && id.Day >= q.Until || !oneOf(q.Dests, id.Dest) {
			continue
		}
		u := rows[usageKey{id.Day, id.Dest}]
		if u == nil {
			u = &store.UsageRow{Day: id.Day, Dest: id.Dest}
			rows[usageKey{id.Day, id.Dest}] = u
		}
		u.Bytes += int64(row.Size)
		u.Attempts += tries(row.attempts)
		row.count(&u.Counts)
	}
	for _, k := range slices.SortedFunc(maps.Keys(rows), compareUsage) {
		each(rows[k])
	}
	return nil
}

// tries is how many of the attempts count as such.
func tries(as []store.Attempt) (n int64) {
	for i := range as {
		if as[i].Class != "expired" {
			n++
		}
	}
	return n
}

// count adds the row to c.
func (row *modelRow) count(c *store.Counts) {
	c.Accepted++
	switch row.state {
	case store.Pending:
		c.Pending++
		c.PendingBytes += int64(row.Size)
	case store.Delivered:
		c.Delivered++
	case store.Dead:
		c.Dead++
	case store.Cancelled:
		c.Cancelled++
	}
}
