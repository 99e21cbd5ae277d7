package storetest

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// untouched tells whether nothing has happened to the delivery.
func untouched(row *modelRow) bool {
	return row.state == store.Pending && row.changed == row.Due && len(row.attempts) == 0
}

// forgets drops what nothing has happened to, of events of which something else has a row.
func forgets(m *model) {
	for id, row := range m.rows {
		if !untouched(row) {
			continue
		}
		for other, beside := range m.rows {
			if other.Event == id.Event && !untouched(beside) {
				delete(m.rows, id)
			}
		}
	}
}

func brokenUntouched() []mutant {
	return []mutant{
		{rule: "what nothing has happened to is not listed", caught: "untouched/is listed at once",
			breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
				p, err := m.Deliveries(bg, q)
				p.Items = slices.DeleteFunc(p.Items, func(d store.DeliveryRecord) bool { return untouched(m.rows[d.ID]) })
				return p, err
			})},
		{rule: "what nothing has happened to is offered last", caught: "untouched/stands in its queue among others",
			breaks: offers(func(m *model, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
				items, next, err := m.Due(bg, q, from, until, limit)
				slices.SortStableFunc(items, func(a, b store.Item) int { return int(b.Attempts) - int(a.Attempts) })
				return items, next, err
			})},
		{rule: "a crash takes what stands beside a row", caught: "untouched/outlives a power failure beside what went on",
			breaks: whole, harness: crashes(forgets)},
		{rule: "a restart takes what stands beside a row", caught: "untouched/outlives a reopen beside what went on",
			breaks: whole, harness: reopens(forgets)},
		{rule: "a crash makes again what has gone on", caught: "untouched/outlives a power failure beside what went on",
			breaks: whole, harness: crashes(func(m *model) {
				for _, row := range m.rows {
					if row.state == store.Cancelled {
						row.state, row.Due = store.Pending, row.changed
					}
				}
			})},
		{rule: "a replay does not see what nothing has happened to", caught: "untouched/is replayed to once",
			breaks: replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
				hidden := map[store.DeliveryID]*modelRow{}
				for id, row := range m.rows {
					if untouched(row) {
						hidden[id] = row
						delete(m.rows, id)
					}
				}
				out, err := m.Replay(bg, now, replay, wants)
				for id, row := range hidden {
					m.rows[id] = row
				}
				return out, err
			})},
		{rule: "a retry drops the attempt that delivered", caught: "untouched/the first answer outlives what comes after it",
			breaks: afterMove(func(row *modelRow, _ store.Change, was modelRow, _ *store.Moved) {
				if was.state == store.Delivered {
					row.attempts = nil
				}
			})},
		{rule: "an erasure leaves what was answered to a success", caught: "untouched/a first answer is erased",
			breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
				kept := map[store.DeliveryID][]store.Attempt{}
				for id, row := range m.rows {
					if row.state == store.Delivered {
						kept[id] = slices.Clone(row.attempts)
					}
				}
				rep, err := m.Erase(bg, now, req, cancelled)
				for id, as := range kept {
					m.rows[id].attempts = as
				}
				return rep, err
			})},
		{rule: "retention does not see what nothing has happened to", caught: "untouched/ages with its day",
			breaks: retains(func(m *model, now time.Time, keep store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
				hidden := map[store.DeliveryID]*modelRow{}
				for id, row := range m.rows {
					if untouched(row) {
						hidden[id] = row
						delete(m.rows, id)
					}
				}
				rep, err := m.Retain(bg, now, keep, expired)
				for id, row := range hidden {
					m.rows[id] = row
				}
				return rep, err
			})},
	}
}
