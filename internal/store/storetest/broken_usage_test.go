package storetest

import (
	"context"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func (b *broken) Usage(ctx context.Context, q store.UsageQuery, each func(*store.UsageRow)) error {
	if b.usage != nil {
		b.usage(b.model, q, each)
		return nil
	}
	return b.model.Usage(ctx, q, each)
}

func uses(f func(m *model, q store.UsageQuery, each func(*store.UsageRow))) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, usage: f} }
}

// shows has each see what change makes of a row.
func shows(change func(m *model, u *store.UsageRow)) func(*model) store.Store {
	return uses(func(m *model, q store.UsageQuery, each func(*store.UsageRow)) {
		m.Usage(bg, q, func(u *store.UsageRow) {
			change(m, u)
			each(u)
		})
	})
}

func brokenUsage() []mutant {
	return []mutant{
		{rule: "attempts count on the day they are made", caught: "usage/counts by day and destination", breaks: shows(func(m *model, u *store.UsageRow) {
			u.Attempts = 0
			for id, row := range m.rows {
				for _, a := range row.attempts {
					if id.Dest == u.Dest && event.Day(a.At/86400e9) == u.Day {
						u.Attempts++
					}
				}
			}
		})},
		{rule: "bytes are those that are pending", caught: "usage/counts by day and destination", breaks: shows(func(_ *model, u *store.UsageRow) { u.Bytes = u.Counts.PendingBytes })},
		{rule: "until is included", caught: "usage/selects days and destinations", breaks: uses(func(m *model, q store.UsageQuery, each func(*store.UsageRow)) {
			if q.Until != 0 {
				q.Until++
			}
			m.Usage(bg, q, each)
		})},
		{rule: "no destinations are all", caught: "usage/selects days and destinations", breaks: uses(func(m *model, q store.UsageQuery, each func(*store.UsageRow)) {
			if len(q.Dests) == 0 {
				q.Dests = nil
			}
			m.Usage(bg, q, each)
		})},
		{rule: "many destinations are all", caught: "usage/selects days and destinations", breaks: uses(func(m *model, q store.UsageQuery, each func(*store.UsageRow)) {
			if len(q.Dests) > 64 {
				q.Dests = nil
			}
			m.Usage(bg, q, each)
		})},
		{rule: "expiry is an attempt", caught: "usage/counts an attempt once", breaks: shows(func(m *model, u *store.UsageRow) {
			u.Attempts = 0
			for _, row := range m.rows {
				u.Attempts += int64(len(row.attempts))
			}
		})},
		{rule: "an attempt behind a change is not counted", caught: "usage/counts an attempt once", breaks: shows(func(m *model, u *store.UsageRow) {
			for _, row := range m.rows {
				if row.state == store.Cancelled {
					u.Attempts -= int64(len(row.attempts))
				}
			}
		})},
		{rule: "a replay counts on the day of its event", caught: "usage/counts a replay on its own day", breaks: shows(func(m *model, u *store.UsageRow) {
			for id := range m.rows {
				if id.Replay != 0 && id.Day == u.Day {
					u.Day = id.Event.Day()
				}
			}
		})},
		{rule: "usage goes with the bodies", caught: "usage/goes with the rows", breaks: uses(func(m *model, q store.UsageQuery, each func(*store.UsageRow)) {
			m.Usage(bg, q, func(u *store.UsageRow) {
				for id, e := range m.events {
					if id.Day() == u.Day && e.gone == "expired" {
						return
					}
				}
				each(u)
			})
		})},
		{rule: "what is erased was never used", caught: "usage/stays when a user is erased", breaks: shows(func(m *model, u *store.UsageRow) {
			for _, e := range m.events {
				if e.gone == "erased" {
					u.Bytes -= int64(e.size)
				}
			}
		})},
	}
}
