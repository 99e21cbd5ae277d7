package simulation

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

type usageKey struct {
	day  event.Day
	dest uint32
}

// use counts a delivery as the store shows it.
func (c *check) use(d *parcel, rec *store.DeliveryRecord, attempts []store.Attempt) {
	k := usageKey{d.id.Day, d.id.Dest}
	u := c.used[k]
	if u == nil {
		u = &store.UsageRow{Day: k.day, Dest: k.dest}
		c.used[k] = u
	}
	for i := range attempts {
		if attempts[i].Class != "expired" {
			u.Attempts++
		}
	}
	size := int64(0)
	if d.req != nil {
		size = int64(len(d.req.body))
	}
	u.Bytes += size
	u.Counts.Accepted++
	switch rec.State {
	case store.Pending:
		u.Counts.Pending++
		u.Counts.PendingBytes += size
	case store.Delivered:
		u.Counts.Delivered++
	case store.Dead:
		u.Counts.Dead++
	case store.Cancelled:
		u.Counts.Cancelled++
	}
}

// usage compares the figures of each day with deliveries and log.
func (c *check) usage() {
	err := c.s.Usage(context.Background(), store.UsageQuery{}, func(u *store.UsageRow) {
		k := usageKey{u.Day, u.Dest}
		want := c.used[k]
		if want == nil {
			want = &store.UsageRow{Day: u.Day, Dest: u.Dest}
		}
		delete(c.used, k)
		if *u != *want {
			c.fault(nil, "usage %+v, want %+v", *u, *want)
		}
	})
	if err != nil {
		c.fault(nil, "Usage: %v", err)
	}
	for _, want := range c.used {
		c.fault(nil, "usage lacks %+v", *want)
	}
}
