package storetest

import (
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func notes(f func(m *model, now time.Time, acts []store.Act) error) func(*model) store.Store {
	return func(m *model) store.Store { return &broken{model: m, note: f} }
}

func listsActs(f func(q *store.ActQuery)) func(*model) store.Store {
	return func(m *model) store.Store {
		return &broken{model: m, acts: func(m *model, q store.ActQuery) (store.Page[store.Act], error) {
			f(&q)
			return m.Acts(bg, q)
		}}
	}
}

func brokenTrails() []mutant {
	return []mutant{
		{rule: "an act loses who did it", caught: "acts/are kept, newest first", breaks: notes(func(m *model, now time.Time, acts []store.Act) error {
			acts = slices.Clone(acts)
			for i := range acts {
				acts[i].By = ""
			}
			return m.Note(bg, now, acts)
		})},
		{rule: "of acts noted together one is kept", caught: "acts/are kept, newest first", breaks: notes(func(m *model, now time.Time, acts []store.Act) error {
			return m.Note(bg, now, acts[:min(1, len(acts))])
		})},
		{rule: "acts live in memory alone", caught: "acts/are kept, newest first", breaks: whole, harness: reopens(func(m *model) { m.acts = nil })},
		{rule: "acts are of the clock's time", caught: "acts/never run backward", breaks: notes(func(m *model, now time.Time, acts []store.Act) error {
			had := m.acts
			m.acts = nil
			err := m.Note(bg, now, acts)
			m.acts = append(had, m.acts...)
			return err
		})},
		{rule: "a list of one developer shows all", caught: "acts/are found by what they are", breaks: listsActs(func(q *store.ActQuery) { q.Developers = nil })},
		{rule: "no developers are all of them", caught: "acts/are found by what they are", breaks: listsActs(func(q *store.ActQuery) {
			if len(q.Developers) == 0 {
				q.Developers = nil
			}
		})},
		{rule: "acts of anybody are listed", caught: "acts/are found by what they are", breaks: listsActs(func(q *store.ActQuery) { q.By = "" })},
		{rule: "states are not looked at", caught: "acts/are found by what they are", breaks: listsActs(func(q *store.ActQuery) { q.States = false })},
		{rule: "until is included", caught: "acts/are found by what they are", breaks: listsActs(func(q *store.ActQuery) {
			if !q.Until.IsZero() {
				q.Until = q.Until.Add(time.Millisecond)
			}
		})},
		{rule: "any cursor will do", caught: "acts/cursors belong to their list", breaks: func(m *model) store.Store {
			return &broken{model: m, acts: func(m *model, q store.ActQuery) (store.Page[store.Act], error) {
				had := q.Cursor
				page, err := m.Acts(bg, q)
				if err != nil {
					q.Cursor = ""
					if page, err = m.Acts(bg, q); err == nil && had != "" {
						return page, nil
					}
				}
				return page, err
			}}
		}},
		{rule: "acts age with attempts", caught: "acts/go by the day", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			r.Acts = r.Attempts
			return m.Retain(bg, now, r, expired)
		})},
		{rule: "acts never age", caught: "acts/go by the day", breaks: retains(func(m *model, now time.Time, r store.Retention, expired func([]store.Moved)) (store.RetainReport, error) {
			r.Acts = 0
			return m.Retain(bg, now, r, expired)
		})},
		{rule: "an act names who is erased", caught: "acts/lose who is erased", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			had := slices.Clone(m.acts)
			rep, err := m.Erase(bg, now, req, cancelled)
			m.acts = had
			return rep, err
		})},
		{rule: "an erasure takes the act", caught: "acts/lose who is erased", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			m.acts = slices.DeleteFunc(m.acts, func(a store.Act) bool { return a.Developer == req.Developer && a.Forget(req.User) })
			return m.Erase(bg, now, req, cancelled)
		})},
		{rule: "an erasure takes words of other developers", caught: "acts/lose who is erased", breaks: erases(func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			for i := range m.acts {
				m.acts[i].Forget(req.User)
			}
			return m.Erase(bg, now, req, cancelled)
		})},
		{rule: "acts that are noted at once lose one", caught: "acts/of many at once", breaks: notes(func(m *model, now time.Time, acts []store.Act) error {
			if len(m.acts) == 100 {
				m.acts = m.acts[:99]
			}
			return m.Note(bg, now, acts)
		})},
		{rule: "a backup has no acts", caught: "acts/are in a backup", breaks: func(m *model) store.Store {
			return &broken{model: m, backup: func(m *model, dir string) error {
				had := m.acts
				m.acts = nil
				err := m.Backup(bg, dir)
				m.acts = had
				return err
			}}
		}},
		{rule: "a closed store notes on", caught: "acts/of a closed store", breaks: notes(func(m *model, now time.Time, acts []store.Act) error {
			m.closed = false
			return m.Note(bg, now, acts)
		})},
		{rule: "acts are not durable when they are noted", caught: "acts/survive a power failure", breaks: whole, harness: crashes(func(m *model) {
			if n := len(m.acts); n > 0 {
				m.acts = m.acts[:n-1]
			}
		})},
	}
}
