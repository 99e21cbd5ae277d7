package storetest

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func replays(f func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, replay: f} }
}

// eachReplay does one want after the other.
func eachReplay(f func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error)) func(*model) store.Store {
	return replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
		var out []store.Moved
		for _, w := range wants {
			mv, err := f(m, now, replay, w)
			if err != nil {
				return nil, err
			}
			out = append(out, mv)
		}
		return out, nil
	})
}

func one(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
	ms, err := m.Replay(bg, now, replay, []store.Want{w})
	if err != nil {
		return store.Moved{}, err
	}
	return ms[0], nil
}

// blind replays without seeing some rows.
func blind(to func(now time.Time, replay uint32, row *modelRow) bool) func(*model) store.Store {
	return eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
		hidden := map[store.DeliveryID]*modelRow{}
		for id, row := range m.rows {
			if to(now, replay, row) {
				hidden[id] = row
				delete(m.rows, id)
			}
		}
		out, err := one(m, now, replay, w)
		maps.Copy(m.rows, hidden)
		return out, err
	})
}

// afterReplay changes what is new behind the back of Replay.
func afterReplay(f func(m *model, now time.Time, w store.Want, out *store.Moved)) func(*model) store.Store {
	return eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
		out, err := one(m, now, replay, w)
		if err == nil && out.Err == nil && out.From == 0 {
			f(m, now, w, &out)
		}
		return out, err
	})
}

// lateReplay makes what it found a moment ago, whatever was done meanwhile.
func lateReplay() func(*model) store.Store {
	return eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
		m.mu.Lock()
		seen := m.at(w.Day, w.Event)
		var was modelEvent
		if seen != nil {
			was = *seen
		}
		free := m.again(now, replay, w)
		if free.Err == nil && free.From == 0 {
			delete(m.rows, free.ID)
			delete(m.copies, dayEvent{free.ID.Day, w.Event})
		}
		m.mu.Unlock()
		time.Sleep(time.Microsecond)
		m.mu.Lock()
		defer m.mu.Unlock()
		if free.Err == nil && free.From == 0 {
			is := *seen
			*seen = was
			m.copies[dayEvent{free.ID.Day, w.Event}] = &was
			m.rows[free.ID] = &modelRow{Item: free.Item, state: store.Pending, changed: now.UnixNano()}
			*seen = is
		}
		return free, nil
	})
}

func brokenReplays() []mutant {
	pending := func(row *modelRow) bool { return row.state == store.Pending }
	return []mutant{
		{rule: "a replay takes the old delivery", caught: "replay/a new delivery beside the old one", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			ms, err := m.Move(bg, now, store.Retry, []store.DeliveryID{{Day: w.Day, Event: w.Event, Dest: w.Dest}})
			ms[0].From = 0
			return ms[0], err
		})},
		{rule: "a replay has an ordering time of its own", caught: "replay/a new delivery beside the old one", breaks: afterReplay(func(m *model, now time.Time, _ store.Want, out *store.Moved) {
			out.Item.Ordering = now.UnixNano()
			m.rows[out.ID].Ordering = now.UnixNano()
		})},
		{rule: "a replay is not counted", caught: "replay/a new delivery beside the old one", breaks: func(m *model) store.Store {
			return &broken{model: m, counts: func(m *model, dest uint32) store.Counts {
				c := m.Counts(dest)
				for id := range m.rows {
					if id.Dest == dest && id.Replay != 0 {
						c.Accepted--
					}
				}
				return c
			}}
		}},
		{rule: "what is pending is doubled", caught: "replay/of every state", breaks: blind(func(_ time.Time, replay uint32, row *modelRow) bool {
			return pending(row) && row.ID.Replay == 0
		})},
		{rule: "only who was meant is replayed to", caught: "replay/of every state", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			if e := m.events[w.Event]; e != nil && !slices.Contains(e.to, w.Dest) {
				return store.Moved{Err: store.ErrConflict}, nil
			}
			return one(m, now, replay, w)
		})},
		{rule: "a replay changes whom the event was for", caught: "replay/of every state", breaks: afterReplay(func(m *model, _ time.Time, w store.Want, _ *store.Moved) {
			m.events[w.Event].to = append(m.events[w.Event].to, w.Dest)
		})},
		{rule: "a replay is due at once", caught: "replay/due when it says", breaks: afterReplay(func(m *model, now time.Time, _ store.Want, out *store.Moved) {
			out.Item.Due, m.rows[out.ID].Due = now.UnixNano(), now.UnixNano()
		})},
		{rule: "a repeated replay says that it is new", caught: "replay/can be repeated", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			out, err := one(m, now, replay, w)
			out.From, out.Was = 0, store.QueueID{}
			return out, err
		})},
		{rule: "a repeated replay meets itself", caught: "replay/can be repeated", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			out, err := one(m, now, replay, w)
			if out.From != 0 {
				out = store.Moved{ID: out.ID, Err: store.ErrConflict}
			}
			return out, err
		})},
		{rule: "what a replay made is doubled by another", caught: "replay/another replay", breaks: blind(func(_ time.Time, replay uint32, row *modelRow) bool {
			return pending(row) && row.ID.Replay != 0 && row.ID.Replay != replay
		})},
		{rule: "a retry by hand doubles what is pending", caught: "replay/a retry by hand doubles nothing either", breaks: moves(func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
			out, err := m.Move(bg, now, c, ids)
			for i := range out {
				if c == store.Retry && errors.Is(out[i].Err, store.ErrConflict) {
					m.rows[ids[i]].state = store.Pending
					out[i].To, out[i].Err, out[i].Item = store.Pending, nil, m.rows[ids[i]].Item
				}
			}
			return out, err
		})},
		{rule: "a retry of many sends again what has arrived", caught: "replay/a retry of many leaves out what has arrived", breaks: moves(func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
			if c == store.RetryLatest {
				c = store.Retry
			}
			return m.Move(bg, now, c, ids)
		})},
		{rule: "wants are answered in another order", caught: "replay/a batch belongs to its wants", breaks: replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
			out, err := m.Replay(bg, now, replay, wants)
			slices.Reverse(out)
			return out, err
		})},
		{rule: "a large batch is cut", caught: "replay/thousands at once", breaks: replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
			out, err := m.Replay(bg, now, replay, wants[:min(len(wants), 1000)])
			return append(out, make([]store.Moved, len(wants)-len(out))...), err
		})},
		{rule: "the day of the body is not asked", caught: "replay/of nothing known", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			w.Day = w.Event.Day()
			return one(m, now, replay, w)
		})},
		{rule: "zero is a replay", caught: "replay/zero is no replay", breaks: replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
			return m.Replay(bg, now, max(replay, 1), wants)
		})},
		{rule: "outcomes of replays go astray", caught: "replay/lives like any delivery", breaks: settles(func(m *model, now time.Time, os []store.Outcome) ([]store.Settled, error) {
			os = slices.Clone(os)
			for i := range os {
				os[i].Item.ID.Replay = 0
			}
			return m.Settle(bg, now, os)
		})},
		{rule: "replays are not listed", caught: "replay/is listed as a delivery, not as an event", breaks: listsDeliveries(func(m *model, q store.DeliveryQuery) (store.Page[store.DeliveryRecord], error) {
			p, err := m.Deliveries(bg, q)
			p.Items = slices.DeleteFunc(p.Items, func(d store.DeliveryRecord) bool { return d.ID.Replay != 0 && !q.Event.IsZero() })
			return p, err
		})},
		{rule: "two replays look before either makes", caught: "replay/two at once", breaks: lateReplay()},
		{rule: "a replay is reported before it is durable", caught: "replay/is refused while the store stalls", breaks: replays(func(m *model, now time.Time, replay uint32, wants []store.Want) ([]store.Moved, error) {
			gate := m.gate
			m.gate = nil
			defer func() { m.gate = gate }()
			return m.Replay(bg, now, replay, wants)
		})},
		{rule: "a replay is lost", caught: "replay/survives a power failure", breaks: whole, harness: crashes(func(m *model) {
			maps.DeleteFunc(m.rows, func(id store.DeliveryID, _ *modelRow) bool { return id.Replay != 0 })
		})},

		{rule: "a replay stays on the old day", caught: "replay over days/the body is carried forward", breaks: eachReplay(func(m *model, _ time.Time, replay uint32, w store.Want) (store.Moved, error) {
			return one(m, w.Day.Start(), replay, w)
		})},
		{rule: "the body is carried without its envelope", caught: "replay over days/the body is carried forward", breaks: afterReplay(func(m *model, _ time.Time, w store.Want, out *store.Moved) {
			if c := m.copies[dayEvent{out.ID.Day, w.Event}]; c != nil {
				c.Reference = ""
			}
		})},
		{rule: "copies cannot be replayed", caught: "replay over days/a copy of a copy", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			if w.Day != w.Event.Day() {
				return store.Moved{Err: store.ErrNotFound}, nil
			}
			return one(m, now, replay, w)
		})},
		{rule: "a copy is taken once", caught: "replay over days/one body for all destinations", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			if m.copies[dayEvent{event.DayOf(now), w.Event}] != nil {
				return store.Moved{}, errors.New("copied twice")
			}
			return one(m, now, replay, w)
		})},
		{rule: "past midnight a replay forgets what it made", caught: "replay over days/can be repeated past midnight", breaks: blind(func(now time.Time, replay uint32, row *modelRow) bool {
			return row.ID.Replay == replay && row.ID.Day != event.DayOf(now)
		})},
		{rule: "only the event's own day is looked at", caught: "replay over days/never beside what another day made pending", breaks: blind(func(_ time.Time, replay uint32, row *modelRow) bool {
			return row.ID.Replay != replay && row.ID.Day != row.ID.Event.Day()
		})},
		{rule: "what has no body is replayed", caught: "replay over days/nothing without its body", breaks: eachReplay(func(m *model, now time.Time, replay uint32, w store.Want) (store.Moved, error) {
			if e := m.events[w.Event]; e != nil {
				e.gone = ""
			}
			return one(m, now, replay, w)
		})},
		{rule: "replays do not expire", caught: "replay over days/expires with its day", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			all := maps.Clone(m.rows)
			maps.DeleteFunc(m.rows, func(id store.DeliveryID, _ *modelRow) bool { return id.Replay != 0 })
			rep, err := m.Retain(bg, now, r, expired)
			for id, row := range all {
				if id.Replay != 0 {
					m.rows[id] = row
				}
			}
			return rep, err
		})},
		{rule: "copies are kept for ever", caught: "replay over days/expires with its day", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			copies := m.copies
			m.copies = map[dayEvent]*modelEvent{}
			rep, err := m.Retain(bg, now, r, expired)
			m.copies = copies
			return rep, err
		})},
		{rule: "an erasure leaves copies", caught: "replay over days/is erased", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			copies := map[dayEvent]*modelEvent{}
			for at, e := range m.copies {
				again := *e
				copies[at] = &again
			}
			rep, err := m.Erase(bg, now, req, cancelled)
			m.copies = copies
			return rep, err
		})},
		{rule: "a copy has no name", caught: "replay over days/is erased when nothing else is left", breaks: afterReplay(func(m *model, _ time.Time, w store.Want, out *store.Moved) {
			if c := m.copies[dayEvent{out.ID.Day, w.Event}]; c != nil {
				c.UserID = ""
			}
		})},
		{rule: "a replay copies what it saw before the erasure", caught: "replay over days/while it is erased", breaks: lateReplay()},
		{rule: "a replay counts on a body that goes", caught: "replay over days/while its body goes", breaks: func(m *model) store.Store {
			return afterReplay(func(m *model, now time.Time, w store.Want, out *store.Moved) {
				time.Sleep(time.Microsecond)
				if e := m.at(w.Day, w.Event); e == nil || e.gone != "" {
					delete(m.copies, dayEvent{out.ID.Day, w.Event}) // it was to be read later
				}
			})(m)
		}},
		{rule: "ids go on behind the newest copy", caught: "replay over days/ids go on behind the newest", breaks: whole, harness: reopens(func(m *model) {
			var last event.Day
			for at := range m.copies {
				if at.day > last {
					last = at.day
					m.newest, m.accepted = at.event, at.event.Time()
				}
			}
		})},
	}
}
