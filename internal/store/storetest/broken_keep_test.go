package storetest

import (
	"maps"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func retains(f func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, retain: f} }
}

func erases(f func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error)) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, erase: f} }
}

func brokenKeepers() []mutant {
	return []mutant{
		{rule: "the kind is not in the key", caught: "registry/another kind is another destination", breaks: func(m *model) store.Store {
			return &broken{model: m, register: func(m *model, keys []store.DestinationKey) ([]uint32, error) {
				keys = slices.Clone(keys)
				for i := range keys {
					keys[i].Kind = ""
				}
				return m.Register(bg, keys)
			}}
		}},
		{rule: "ids follow the order of names", caught: "registry/ids are persistent", breaks: whole, harness: reopens(func(m *model) {
			slices.SortFunc(m.dests, func(a, b store.Destination) int { return len(a.Name) - len(b.Name) })
			slices.Reverse(m.dests)
			for i := range m.dests {
				m.dests[i].ID = uint32(i) + 1
			}
		})},
		{rule: "a state is kept for anybody", caught: "registry/state of what is not known", breaks: func(m *model) store.Store {
			return &broken{model: m, changeState: func(m *model, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
				s, version, _ := m.ChangeState(bg, id, change)
				return s, version, nil
			}}
		}},
		{rule: "a change of a state begins with nothing", caught: "registry/a state is changed, not overwritten", breaks: func(m *model) store.Store {
			return &broken{model: m, changeState: func(m *model, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
				return m.ChangeState(bg, id, func(s *store.DestinationState) {
					*s = store.DestinationState{}
					change(s)
				})
			}}
		}},
		{rule: "a state keeps its version", caught: "registry/a state is changed, not overwritten", breaks: func(m *model) store.Store {
			return &broken{model: m, changeState: func(m *model, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
				s, _, err := m.ChangeState(bg, id, change)
				if err == nil {
					m.dests[id-1].Version = 1
				}
				return s, 1, err
			}}
		}},
		{rule: "of two changes of a state one is lost", caught: "registry/a state changed by many", breaks: func(m *model) store.Store {
			return &broken{model: m, changeState: func(m *model, id uint32, change func(*store.DestinationState)) (store.DestinationState, uint64, error) {
				ds, err := m.Destinations(bg)
				if err != nil || id == 0 || int(id) > len(ds) {
					return m.ChangeState(bg, id, change)
				}
				s := ds[id-1].State
				change(&s)
				time.Sleep(time.Millisecond) // where another may come in between
				return m.ChangeState(bg, id, func(stored *store.DestinationState) { *stored = s })
			}}
		}},
		{rule: "last answers of somebody unknown lose the others", caught: "registry/last answers of what is not known", breaks: func(m *model) store.Store {
			return &broken{model: m, setLast: func(m *model, last map[uint32]store.Last) error {
				for id, l := range last {
					if int(id) <= len(m.dests) && id > 0 {
						m.dests[id-1].Last = l
					}
				}
				return m.SetLast(bg, last)
			}}
		}},
		{rule: "last answers live in memory alone", caught: "registry/last answers are kept", breaks: whole, harness: reopens(func(m *model) {
			for i := range m.dests {
				m.dests[i].Last = store.Last{}
			}
		})},
		{rule: "a last answer quotes what was erased", caught: "erase/reasons and last answers quote nothing", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			dests := slices.Clone(m.dests)
			rep, err := m.Erase(bg, now, req, cancelled)
			m.dests = dests
			return rep, err
		})},
		{rule: "a reason quotes what was erased", caught: "erase/reasons and last answers quote nothing", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			reasons := map[store.DeliveryID]string{}
			for id, row := range m.rows {
				reasons[id] = row.reason
			}
			rep, err := m.Erase(bg, now, req, cancelled)
			for id, row := range m.rows {
				row.reason = reasons[id]
			}
			return rep, err
		})},
		{rule: "a value is the caller's own bytes", caught: "registry/values are copies", breaks: func(m *model) store.Store {
			return &broken{model: m, put: func(m *model, key string, value []byte) error {
				m.values[key] = value
				return nil
			}}
		}},
		{rule: "values that come with settings are lost", caught: "settings/and values in one call", breaks: func(m *model) store.Store {
			return &broken{model: m, putSettings: func(m *model, sealed map[uint64][]byte, _ map[string][]byte) error {
				return m.PutSettings(bg, sealed, nil)
			}}
		}},
		{rule: "settings are stored over those that are there", caught: "settings/and values in one call", breaks: func(m *model) store.Store {
			return &broken{model: m, putSettings: func(m *model, sealed map[uint64][]byte, values map[string][]byte) error {
				for hash := range sealed {
					delete(m.settings, hash)
				}
				return m.PutSettings(bg, sealed, values)
			}}
		}},
		{rule: "settings count as stored once they were asked for", caught: "settings/and values in one call", breaks: func(m *model) store.Store {
			return &broken{model: m, without: func(*model, []uint64) ([]uint64, error) { return nil, nil }}
		}},
		{rule: "settings are collected in spite of keep", caught: "settings/are collected when no delivery needs them", breaks: func(m *model) store.Store {
			return &broken{model: m, collect: func(m *model, _ []uint64) (int, error) { return m.CollectSettings(bg, nil) }}
		}},
		{rule: "settings are never collected", caught: "settings/every end of a delivery frees them", breaks: func(m *model) store.Store {
			return &broken{model: m, collect: func(m *model, _ []uint64) (int, error) { return 0, nil }}
		}},

		{rule: "bodies go and deliveries stay pending", caught: "expiry/comes before the body goes", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			rows := map[store.DeliveryID]*modelRow{}
			for id, row := range m.rows {
				again := *row
				rows[id] = &again
			}
			rep, err := m.Retain(bg, now, r, expired)
			m.rows = rows
			return rep, err
		})},
		{rule: "nobody hears of what expired", caught: "expiry/comes before the body goes", breaks: retains(func(m *model, now time.Time, r store.Retention, _ func([]store.Moved)) (store.RetainReport, error) {
			return m.Retain(bg, now, r, nil)
		})},
		{rule: "expiry is one chunk", caught: "expiry/comes in chunks", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			var all []store.Moved
			rep, err := m.Retain(bg, now, r, func(ms []store.Moved) { all = append(all, ms...) })
			if expired != nil && len(all) > 0 {
				expired(all)
			}
			return rep, err
		})},
		{rule: "a day too much goes", caught: "retain/what is young stays", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			return m.Retain(bg, now.Add(24*time.Hour), r, expired)
		})},
		{rule: "a day too little goes", caught: "retain/what is young stays", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			return m.Retain(bg, now.Add(-24*time.Hour), r, expired)
		})},
		{rule: "zero keeps nothing", caught: "retain/zero keeps for ever", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			if r.Events == 0 {
				r.Events = time.Nanosecond
			}
			return m.Retain(bg, now, r, expired)
		})},
		{rule: "keys are kept for ever", caught: "idempotency/ages out", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			keys := maps.Clone(m.keys)
			rep, err := m.Retain(bg, now, r, expired)
			m.keys = keys
			return rep, err
		})},
		{rule: "what has no body is retried", caught: "ageing/nothing is retried without its body", breaks: moves(func(m *model, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
			for _, e := range m.events {
				e.gone = ""
			}
			return m.Move(bg, now, c, ids)
		})},
		{rule: "expiry is not durable when it is seen", caught: "expiry/a chunk that was seen is durable", breaks: whole, harness: crashes(func(m *model) {
			for _, row := range m.rows {
				if row.reason == "expired" {
					row.state, row.reason = store.Pending, ""
				}
			}
		})},

		{rule: "the same name of another developer is erased", caught: "erase/nobody else is touched", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			m.Erase(bg, now, store.Erasure{Developer: "globex", User: req.User}, nil)
			return m.Erase(bg, now, req, cancelled)
		})},
		{rule: "names stay", caught: "erase/bodies and names go and the log stays", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			rep, err := m.Erase(bg, now, req, cancelled)
			for _, e := range m.events {
				if e.gone == "erased" {
					e.UserID = req.User
				}
			}
			return rep, err
		})},
		{rule: "traces stay", caught: "erase/bodies and names go and the log stays", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			rep, err := m.Erase(bg, now, req, cancelled)
			for _, e := range m.events {
				if e.gone == "erased" {
					e.Trace = &event.Trace{}
				}
			}
			return rep, err
		})},
		{rule: "what is erased stays pending", caught: "erase/bodies and names go and the log stays", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			rep, err := m.Erase(bg, now, req, cancelled)
			for _, row := range m.rows {
				if row.state == store.Cancelled {
					row.state = store.Pending
				}
			}
			return rep, err
		})},
		{rule: "an erasure is forgotten", caught: "erase/survives a power failure", breaks: whole, harness: crashes(func(m *model) {
			for _, e := range m.events {
				if e.gone == "erased" {
					e.gone, e.UserID = "", "ann"
				}
			}
		})},

		{rule: "a backup is the store itself", caught: "backup/a copy is a store of its own", breaks: func(m *model) store.Store {
			return &broken{model: m, backup: func(m *model, dir string) error {
				m.backups[dir] = m
				return nil
			}}
		}},
		{rule: "a backup overwrites", caught: "backup/over what exists is refused", breaks: func(m *model) store.Store {
			return &broken{model: m, backup: func(m *model, dir string) error {
				delete(m.backups, dir)
				return m.Backup(bg, dir)
			}}
		}},
		{rule: "a backup leaves out the last event", caught: "backup/while writes go on", breaks: func(m *model) store.Store {
			return &broken{model: m, backup: func(m *model, dir string) error {
				err := m.Backup(bg, dir)
				c := m.backups[dir]
				for id := range c.rows {
					if id.Event == c.newest {
						delete(c.rows, id)
					}
				}
				return err
			}}
		}},
		{rule: "a closed store answers", caught: "closing/a closed store says so", breaks: func(m *model) store.Store {
			return &broken{model: m, close: func(*model) error { return nil }}
		}},
		{rule: "closing forgets outcomes", caught: "closing/outcomes are durable when it is closed", breaks: whole, harness: reopens(undo)},
		{rule: "an event is lost", caught: "crash/events are durable when Append returns", breaks: whole, harness: crashes(func(m *model) { delete(m.events, m.newest) })},
		{rule: "deliveries of an event are lost", caught: "crash/while many append", breaks: whole, harness: crashes(func(m *model) {
			for id := range m.rows {
				if id.Event == m.newest {
					delete(m.rows, id)
				}
			}
		})},
		{rule: "a change is lost", caught: "crash/changes are durable when Move returns", breaks: whole, harness: crashes(func(m *model) {
			for _, row := range m.rows {
				if row.state == store.Cancelled {
					row.state = store.Pending
				}
			}
		})},
		{rule: "outcomes are never synced", caught: "crash/outcomes are durable within 100 ms", breaks: whole, harness: crashes(undo)},
		{rule: "the log is lost and the outcome is not", caught: "crash/an outcome is there whole or not at all", breaks: whole, harness: crashes(func(m *model) {
			for _, row := range m.rows {
				row.attempts = nil
			}
		})},
		{rule: "a pause is lost", caught: "crash/the registry is durable", breaks: whole, harness: crashes(func(m *model) {
			for i := range m.dests {
				m.dests[i].State = store.DestinationState{}
			}
		})},
		{rule: "a freed delivery needs its settings again", caught: "crash/an outcome is durable before what hangs on it", breaks: whole, harness: crashes(func(m *model) {
			for _, row := range m.rows {
				if row.state == store.Delivered {
					row.state = store.Pending
				}
			}
		})},
		{rule: "a crash undoes more than the last outcome", caught: "random/seed 1 with sudden power failures", breaks: whole, harness: crashes(func(m *model) {
			for _, row := range m.rows {
				if row.state == store.Dead {
					row.attempts = nil
				}
			}
		})},

		{rule: "a stalled store is ready", caught: "stall/a stalled store refuses and recovers", breaks: func(m *model) store.Store {
			return &broken{model: m, ready: func(*model) error { return nil }}
		}},
		{rule: "an event is acknowledged at once", caught: "stall/nothing is acknowledged before it is durable", breaks: appends(func(m *model, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
			gate := m.gate
			m.gate = nil
			defer func() { m.gate = gate }()
			return m.Append(bg, now, batch)
		})},
	}
}

// undo takes back every delivered outcome.
func undo(m *model) {
	for _, row := range m.rows {
		if row.state == store.Delivered {
			row.state, row.attempts = store.Pending, nil
		}
	}
}
