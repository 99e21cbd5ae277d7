package storetest

import (
	"context"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

var bg = context.Background()

func appends(f func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, append: f} }
}

func settles(f func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, settle: f} }
}

func offers(f func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, due: f} }
}

func moves(f func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, move: f} }
}

// afterSettle changes rows behind the back of Settle.
func afterSettle(f func(row *modelRow, o *store.Outcome, s *store.Settled)) func(*model) store.Store {
	return settles(func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error) {
		out, err := m.Settle(bg, now, os)
		for i := range out {
			if row := m.rows[os[i].Item.ID]; row != nil {
				f(row, &os[i], &out[i])
			}
		}
		return out, err
	})
}

// afterMove changes rows behind the back of Move.
func afterMove(f func(row *modelRow, c store.Change, was modelRow, out *store.Moved)) func(*model) store.Store {
	return moves(func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
		var out []store.Moved
		for _, id := range ids {
			var was modelRow
			if row := m.rows[id]; row != nil {
				was = *row
			}
			ms, err := m.Move(bg, now, c, []store.DeliveryID{id})
			if err != nil {
				return nil, err
			}
			if row := m.rows[id]; row != nil {
				f(row, c, was, &ms[0])
			}
			out = append(out, ms...)
		}
		return out, nil
	})
}

func reopens(f func(m *model)) func(*Harness) {
	return func(h *Harness) {
		whole := h.Reopen
		h.Reopen = func(t testing.TB, s store.Store) store.Store {
			again := whole(t, s)
			f(modelOf(again))
			return again
		}
	}
}

// crashes makes a power failure take what f takes.
func crashes(f func(m *model)) func(*Harness) {
	return func(h *Harness) {
		whole := h.Crash
		h.Crash = func(t testing.TB, s store.Store) store.Store {
			again := whole(t, s)
			f(modelOf(again))
			return again
		}
	}
}

func brokenQueues() []mutant {
	return []mutant{
		{rule: "ids follow the clock", caught: "clock/steps back", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			m.newest, m.accepted = event.ID{}, time.Time{}
			return m.Append(bg, now, batch)
		})},
		{rule: "ids of a millisecond run out", caught: "append/more events than a millisecond has ids", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			if m.newest.Order() > 2000 {
				m.newest, m.accepted = event.ID{}, time.Time{}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "the newest id is forgotten", caught: "clock/steps back while closed", breaks: whole, harness: reopens(func(m *model) { m.newest, m.accepted = event.ID{}, time.Time{} })},
		{rule: "the producer's ordering is overwritten", caught: "clock/ordering of the producer is kept", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				e.Event.Ordering = time.Time{}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "a delivery is late by a second", caught: "append/items are what Due offers", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			out, err := m.Append(bg, now, batch)
			for _, a := range out {
				for _, it := range a.Items {
					m.rows[it.ID].Due += 1e9
				}
			}
			return out, err
		})},
		{rule: "the last of a wide fan-out is lost", caught: "append/fan-out", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			out, err := m.Append(bg, now, batch)
			for _, a := range out {
				if len(a.Items) > 100 {
					delete(m.rows, a.Items[100].ID)
				}
			}
			return out, err
		})},
		{rule: "outcomes come in another order", caught: "append/outcomes belong to entries", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			out, err := m.Append(bg, now, batch)
			slices.Reverse(out)
			return out, err
		})},
		{rule: "what nobody gets is not kept", caught: "body/an event for nobody is kept", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			out, err := m.Append(bg, now, batch)
			for _, a := range out {
				if len(m.events[a.ID].to) == 0 {
					delete(m.events, a.ID)
				}
			}
			return out, err
		})},
		{rule: "the developer is not in the key", caught: "idempotency/the developer is the scope", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				for k, first := range m.keys {
					if k.key == e.IdempotencyKey {
						m.keys[modelKey{e.Event.Developer, k.key}] = first
					}
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "another body is a duplicate", caught: "idempotency/a known key with another body", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			out, err := m.Append(bg, now, batch)
			for i, a := range out {
				if a.Err != nil {
					out[i] = m.keys[modelKey{batch[i].Event.Developer, batch[i].IdempotencyKey}].Appended
					out[i].Duplicate = true
				}
			}
			return out, err
		})},
		{rule: "a duplicate does not wait", caught: "idempotency/one in flight is waited for", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			m.mu.Lock()
			a, known := m.known(batch[0])
			m.mu.Unlock()
			if known {
				return []store.Appended{a}, nil
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "an id in flight does not wait", caught: "idempotency by id/the id of an event in flight", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			m.mu.Lock()
			a, known := m.known(batch[0])
			m.mu.Unlock()
			if known {
				return []store.Appended{a}, nil
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "ids are no keys", caught: "idempotency by id/the id of an event is a known key", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				if len(e.IdempotencyKey) == 36 {
					e.IdempotencyKey = "no id " + e.IdempotencyKey
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "ids age with the keys", caught: "idempotency by id/the id of an event is known as long as the event", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				if id, err := event.ParseID(e.IdempotencyKey); err == nil && now.Sub(id.Time()) > 24*time.Hour {
					e.IdempotencyKey = ""
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "an id with another body is a duplicate", caught: "idempotency by id/the id of an event with another body", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				if id, err := event.ParseID(e.IdempotencyKey); err == nil && m.events[id] != nil {
					e.Event.Body = m.events[id].Body
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "ids are everybody's", caught: "idempotency by id/the id of another developer's event", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				if id, err := event.ParseID(e.IdempotencyKey); err == nil && m.events[id] != nil {
					e.Event.Developer = m.events[id].Developer
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "what is erased comes back", caught: "idempotency by id/the id of an event that was erased", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			for _, e := range batch {
				if id, err := event.ParseID(e.IdempotencyKey); err == nil && m.events[id] != nil && m.events[id].gone != "" {
					e.IdempotencyKey = ""
				}
			}
			return m.Append(bg, now, batch)
		})},
		{rule: "keys are forgotten", caught: "idempotency/survives a reopen", breaks: whole, harness: reopens(func(m *model) { clear(m.keys) })},
		{rule: "keys are found before they are durable", caught: "idempotency/a duplicate names what is durable", breaks: whole, harness: crashes(func(m *model) { clear(m.events); clear(m.rows) })},

		{rule: "until is left out", caught: "due/every edge of from, until and limit", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			return m.Due(bg, q, from, until-1, limit)
		})},
		{rule: "from is left out", caught: "due/every edge of from, until and limit", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			if from != (store.Position{}) {
				from.Replay++
			}
			return m.Due(bg, q, from, until, limit)
		})},
		{rule: "next is only told beyond until", caught: "due/every edge of from, until and limit", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			items, next, err := m.Due(bg, q, from, until, limit)
			if next <= until {
				next = 0
			}
			return items, next, err
		})},
		{rule: "of those due at once one is offered", caught: "due/a queue read in steps", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			items, next, err := m.Due(bg, q, from, until, limit)
			return slices.CompactFunc(items, func(a, b store.Item) bool { return a.Due == b.Due }), next, err
		})},
		{rule: "only the low byte tells queues apart", caught: "due/queues do not leak into each other", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			items, next, err := m.Due(bg, q, from, until, limit)
			other := store.QueueID{Dest: q.Dest, Settings: q.Settings + 256}
			if more, _, _ := m.Due(bg, other, from, until, limit); len(items) == 0 && len(more) > 0 {
				return more, next, err
			}
			if next == 0 {
				_, next, _ = m.Due(bg, other, store.Position{}, 0, 1)
			}
			return items, next, err
		})},
		{rule: "the end of time overflows", caught: "due/far times", breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
			if until == math.MaxInt64 {
				until = 0
			}
			return m.Due(bg, q, from, until, limit)
		})},
		{rule: "empty queues are listed", caught: "due/queues are those with something pending", breaks: func(m *model) store.Store {
			seen := map[store.QueueID]store.Head{}
			return &broken{model: m, queues: func(m *model) ([]store.Head, error) {
				heads, err := m.Queues(bg)
				for _, h := range heads {
					seen[h.Queue] = h
				}
				return slices.Collect(maps.Values(seen)), err
			}}
		}},
		{rule: "a queue is said to begin behind its first delivery", caught: "due/queues are those with something pending", breaks: func(m *model) store.Store {
			return &broken{model: m, queues: func(m *model) ([]store.Head, error) {
				heads, err := m.Queues(bg)
				for i := range heads {
					heads[i].From.Due++
				}
				return heads, err
			}}
		}},

		{rule: "the row keeps its version", caught: "settle/every transition", breaks: afterSettle(func(row *modelRow, o *store.Outcome, s *store.Settled) {
			row.Version, s.Item.Version = o.Item.Version, o.Item.Version
		})},
		{rule: "settling twice counts twice", caught: "settle/twice counts once", breaks: afterSettle(func(row *modelRow, o *store.Outcome, s *store.Settled) {
			if s.Stale {
				row.Item.Attempts++
			}
		})},
		{rule: "the reason is forgotten", caught: "settle/every transition", breaks: afterSettle(func(row *modelRow, _ *store.Outcome, _ *store.Settled) { row.reason = "" })},
		{rule: "what is gone is made again", caught: "settle/of nothing known", breaks: settles(func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error) {
			for _, o := range os {
				if m.rows[o.Item.ID] == nil {
					m.rows[o.Item.ID] = &modelRow{Item: o.Item, state: store.Pending}
				}
			}
			return m.Settle(bg, now, os)
		})},
		{rule: "a stale attempt is not logged", caught: "stale/every change under every outcome", breaks: afterSettle(func(row *modelRow, o *store.Outcome, s *store.Settled) {
			if s.Stale && o.Attempt != nil {
				row.attempts = row.attempts[:len(row.attempts)-1]
			}
		})},
		{rule: "a stale outcome undoes the change", caught: "stale/every change under every outcome", breaks: settles(func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error) {
			for i := range os {
				if row := m.rows[os[i].Item.ID]; row != nil {
					os[i].Item.Version = row.Version
				}
			}
			return m.Settle(bg, now, os)
		})},
		{rule: "delivered does not win", caught: "stale/every change under every outcome", breaks: settles(func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error) {
			for i := range os {
				if row := m.rows[os[i].Item.ID]; row != nil && row.Version != os[i].Item.Version {
					os[i].State = store.Dead
				}
			}
			return m.Settle(bg, now, os)
		})},
		{rule: "versions begin anew", caught: "stale/over a reopen", breaks: whole, harness: reopens(func(m *model) {
			for _, row := range m.rows {
				row.Version = 2
			}
		})},
		{rule: "an answer is cut", caught: "attempts/every field is kept", breaks: afterSettle(func(row *modelRow, _ *store.Outcome, _ *store.Settled) {
			if a := &row.attempts[len(row.attempts)-1]; len(a.Answer) > 1000 {
				a.Answer = a.Answer[:1000]
			}
		})},
		{rule: "attempts of one instant are one", caught: "attempts/two that began at one instant", breaks: afterSettle(func(row *modelRow, _ *store.Outcome, _ *store.Settled) {
			row.attempts = slices.CompactFunc(row.attempts, func(a, b store.Attempt) bool { return a.At == b.At })
		})},
		{rule: "attempts are listed as they ended", caught: "attempts/oldest first", breaks: func(m *model) store.Store {
			return &broken{model: m, delivery: func(m *model, id store.DeliveryID) (store.DeliveryRecord, []store.Attempt, error) {
				d, _, err := m.Delivery(bg, id)
				if err != nil {
					return d, nil, err
				}
				return d, m.rows[id].attempts, nil
			}}
		}},

		{rule: "a retry goes on with the old schedule", caught: "move/every change of every state", breaks: afterMove(func(row *modelRow, c store.Change, was modelRow, out *store.Moved) {
			if c == store.Retry {
				row.Item.Attempts, out.Item.Attempts = was.Item.Attempts, was.Item.Attempts
			}
		})},
		{rule: "a rebind is due now", caught: "move/every change of every state", breaks: afterMove(func(row *modelRow, c store.Change, was modelRow, out *store.Moved) {
			if c == store.Rebind && out.Err == nil {
				row.Due -= 1e9
				out.Item.Due = row.Due
			}
		})},
		{rule: "where it was pending is not told", caught: "move/every change of every state", breaks: afterMove(func(_ *modelRow, _ store.Change, _ modelRow, out *store.Moved) { out.Was = store.QueueID{} })},
		{rule: "a change is told with the old version", caught: "move/every change of every state", breaks: afterMove(func(_ *modelRow, _ store.Change, was modelRow, out *store.Moved) { out.Item.Version = was.Version })},
		{rule: "a version comes back", caught: "move/gives a version of its own", breaks: afterMove(func(row *modelRow, c store.Change, was modelRow, out *store.Moved) {
			if c == store.Retry && was.state == store.Cancelled {
				row.Version, out.Item.Version = 1, 1
			}
		})},
		{rule: "a retry is of the round that ended", caught: "move/begins a round of what had ended", breaks: afterMove(func(row *modelRow, c store.Change, was modelRow, out *store.Moved) {
			row.Round, out.Item.Round = was.Round, was.Round
		})},
		{rule: "a retry of what is pending begins a round", caught: "move/begins a round of what had ended", breaks: afterMove(func(row *modelRow, c store.Change, was modelRow, out *store.Moved) {
			if c == store.Retry && was.state == store.Pending {
				row.Round, out.Item.Round = row.Round+1, out.Item.Round+1
			}
		})},
		{rule: "a round ends with its first attempt", caught: "move/begins a round of what had ended", breaks: afterSettle(func(row *modelRow, _ *store.Outcome, s *store.Settled) {
			row.Round, s.Item.Round = 0, 0
		})},
		{rule: "the second of one batch is not seen", caught: "move/twice in one batch", breaks: moves(func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
			out, err := m.Move(bg, now, c, ids)
			for i := range out {
				out[i].Err = nil
			}
			return out, err
		})},
	}
}
