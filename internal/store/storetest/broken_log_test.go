package storetest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func listsEvents(f func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, events: f} }
}

func listsDeliveries(f func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, deliveries: f} }
}

func brokenLogs() []mutant {
	return []mutant{
		{rule: "white space around a body is trimmed", caught: "body/byte for byte", breaks: func(m *model) store.Store {
			return &broken{model: m, event: func(m *model, id event.ID) (*event.Event, error) {
				e, err := m.Event(bg, id.Day(), id)
				if err == nil {
					e.Body = bytes.TrimSpace(e.Body)
				}
				return e, err
			}}
		}},
		{rule: "bytes of what was cancelled stay pending", caught: "counters/of bytes follow every state", breaks: func(m *model) store.Store {
			return &broken{model: m, counts: func(m *model, dest uint32) store.Counts {
				c := m.Counts(dest)
				c.PendingBytes += c.Cancelled
				return c
			}}
		}},
		{rule: "cancelled is counted as dead", caught: "counters/follow a delivery", breaks: func(m *model) store.Store {
			return &broken{model: m, counts: func(m *model, dest uint32) store.Counts {
				c := m.Counts(dest)
				c.Dead, c.Cancelled = c.Dead+c.Cancelled, 0
				return c
			}}
		}},
		{rule: "idle destinations are not audited", caught: "counters/are there for every destination", breaks: func(m *model) store.Store {
			return &broken{model: m, audit: func(m *model, deep bool) ([]store.AuditRow, error) {
				rows, err := m.Audit(bg, deep, func(int64) {})
				return slices.DeleteFunc(rows, func(r store.AuditRow) bool { return r.Counts.Accepted == 0 }), err
			}}
		}},
		{rule: "a deep audit is of two moments", caught: "concurrency/audits while everything moves", breaks: func(m *model) store.Store {
			return &broken{model: m, audit: func(m *model, deep bool) ([]store.AuditRow, error) {
				rows, err := m.Audit(bg, deep, func(int64) {})
				for i := 0; i < 100 && deep; i++ {
					time.Sleep(time.Microsecond)
				}
				for i := range rows {
					rows[i].Counts = m.Counts(rows[i].Dest)
				}
				return rows, err
			}}
		}},

		{rule: "the last page is lost", caught: "search/events by every filter", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			p, err := m.Events(bg, q)
			if q.Cursor != "" && p.Next == "" {
				p.Items = nil
			}
			return p, err
		})},
		{rule: "until is included", caught: "search/times are included and excluded", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			if !q.Until.IsZero() {
				q.Until = q.Until.Add(time.Millisecond)
			}
			return m.Events(bg, q)
		})},
		{rule: "a user is found by the beginning of a name", caught: "search/names that look alike", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			user := q.User
			q.User = ""
			p, err := m.Events(bg, q)
			p.Items = slices.DeleteFunc(p.Items, func(e store.EventRecord) bool { return !strings.HasPrefix(e.Event.UserID, user) })
			return p, err
		})},
		{rule: "no destination is all of them", caught: "search/no destination is not every destination", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			if len(q.Dests) == 0 {
				q.Dests = nil
			}
			return m.Deliveries(bg, q)
		})},
		{rule: "a user is everybody's of that name", caught: "search/deliveries by what no index knows", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			q.Developers = nil
			return m.Deliveries(bg, q)
		})},
		{rule: "destinations are listed one after another", caught: "search/deliveries by every filter", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			p, err := m.Deliveries(bg, q)
			if len(q.Dests) > 1 {
				slices.SortStableFunc(p.Items, func(a, b store.DeliveryRecord) int { return int(a.ID.Dest) - int(b.ID.Dest) })
			}
			return p, err
		})},
		{rule: "one page of an event is all there is", caught: "search/an event that went everywhere", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			p, err := m.Deliveries(bg, q)
			if !q.Event.IsZero() {
				p.Next = ""
			}
			return p, err
		})},
		{rule: "the old state is found too", caught: "search/states that changed", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			if slices.Contains(q.States, store.Pending) {
				q.States = append(q.States, store.Cancelled)
			}
			return m.Deliveries(bg, q)
		})},
		{rule: "an unreadable cursor is the first page", caught: "cursor/hostile ones", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			p, err := m.Events(bg, q)
			if err != nil {
				q.Cursor = ""
				return m.Events(bg, q)
			}
			return p, err
		})},
		{rule: "a cursor of the other list is read", caught: "cursor/of another list", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			if strings.HasPrefix(q.Cursor, "d") {
				q.Cursor = "e" + strings.Split(q.Cursor[1:], "_")[0]
			}
			return m.Events(bg, q)
		})},
		{rule: "a cursor is a number of rows", caught: "cursor/what is new does not disturb", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			at, _ := strconv.Atoi(q.Cursor)
			limit := q.Limit
			q.Cursor, q.Limit = "", 1000
			p, err := m.Events(bg, q)
			p.Items = p.Items[min(at, len(p.Items)):]
			if p.Next = ""; len(p.Items) > limit {
				p.Items, p.Next = p.Items[:limit], strconv.Itoa(at+limit)
			}
			return p, err
		})},
		{rule: "a page has no bounds", caught: "cursor/limits", breaks: listsEvents(func(m *model, q store.EventQuery) (store.Page[store.EventRecord], error) {
			limit := q.Limit
			p, err := m.Events(bg, q)
			for limit > 1000 && p.Next != "" {
				q.Cursor = p.Next
				var more store.Page[store.EventRecord]
				more, err = m.Events(bg, q)
				p.Items, p.Next = append(p.Items, more.Items...), more.Next
			}
			return p, err
		})},
		{rule: "a filter is left out now and then", caught: "random/seed 3", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			if q.Dests != nil && q.States != nil {
				q.Until = time.Time{}
			}
			return m.Deliveries(bg, q)
		})},
		{rule: "a due time is off in one queue", caught: "random/seed 2", breaks: afterSettle(func(row *modelRow, o *store.Outcome, s *store.Settled) {
			if s.State == store.Pending && o.Settings == 2 && !s.Stale {
				row.Due++
			}
		})},
	}
}
