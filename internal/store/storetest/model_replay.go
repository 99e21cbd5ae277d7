package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

type dayEvent struct {
	day   event.Day
	event event.ID
}

// at returns the event as it lies under day.
func (m *model) at(day event.Day, id event.ID) *modelEvent {
	if day == id.Day() {
		return m.events[id]
	}
	return m.copies[dayEvent{day, id}]
}

func (m *model) Replay(ctx context.Context, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
	if replay == 0 {
		return nil, errors.New("replay 0")
	}
	if err := m.lock(); err != nil {
		return nil, err
	}
	if m.hangs() {
		m.mu.Unlock()
		return nil, &store.Unavailable{Reason: "store stalled", After: time.Second}
	}
	defer m.commit()
	out := make([]store.Moved, len(wants))
	for i, w := range wants {
		out[i] = m.again(now, replay, w)
	}
	return out, nil
}

// doubles tells whether another delivery of the event to the destination is pending.
func (m *model) doubles(id store.DeliveryID) bool {
	for other, row := range m.rows {
		if other != id && other.Event == id.Event && other.Dest == id.Dest && row.state == store.Pending {
			return true
		}
	}
	return false
}

// arrived tells whether another delivery of the event to the destination was
// delivered after this one last changed.
func (m *model) arrived(id store.DeliveryID) bool {
	for other, row := range m.rows {
		if other != id && other.Event == id.Event && other.Dest == id.Dest && row.state == store.Delivered && row.changed > m.rows[id].changed {
			return true
		}
	}
	return false
}

func (m *model) again(now time.Time, replay uint32, w store.Want) store.Moved {
	id := store.DeliveryID{Day: max(w.Day, event.DayOf(now)), Event: w.Event, Dest: w.Dest, Replay: replay}
	pending := false
	for other, row := range m.rows {
		if other.Event != w.Event || other.Dest != w.Dest {
			continue
		}
		if other.Replay == replay {
			out := store.Moved{ID: other, From: row.state, To: row.state}
			if row.state == store.Pending {
				out.Was, out.Item = row.Queue, m.offered(row)
			}
			return out
		}
		pending = pending || row.state == store.Pending
	}
	e := m.at(w.Day, w.Event)
	switch {
	case pending:
		return store.Moved{ID: id, Err: store.ErrConflict}
	case e == nil || e.gone != "":
		return store.Moved{ID: id, Err: store.ErrNotFound}
	}
	if m.at(id.Day, w.Event) == nil {
		again := *e
		m.copies[dayEvent{id.Day, w.Event}] = &again
	}
	m.version++
	it := store.Item{ID: id, Queue: store.QueueID{Dest: w.Dest}, Due: w.Due, Ordering: e.Ordering.UnixNano(), Size: uint32(e.size), Version: m.version}
	row := &modelRow{Item: it, state: store.Pending, changed: now.UnixNano()}
	m.rows[id] = row
	m.member.bears(row)
	out := store.Moved{ID: id, To: store.Pending, Item: m.offered(row)}
	if out.Item == (store.Item{}) {
		out.Size = row.Size
	}
	return out
}
