package storetest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func docs(b broken) func(*model) store.Store {
	return func(m *model) store.Store { b := b; b.model = m; return &b }
}

func brokenDocuments() []mutant {
	put := func(change func(m *model, was *uint64, d *store.Document)) func(*model) store.Store {
		return docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			change(m, &was, &d)
			return m.PutDocument(bg, was, d)
		}})
	}
	newest := func(m *model, developer string) (v uint64) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if all := m.docs[developer]; len(all) > 0 {
			v = all[len(all)-1].Version
		}
		return v
	}
	return []mutant{
		{rule: "names are folded", caught: "documents/are kept as they are", breaks: put(func(_ *model, _ *uint64, d *store.Document) { d.Developer = strings.ToLower(d.Developer) })},
		{rule: "who made it is not kept", caught: "documents/are kept as they are", breaks: put(func(_ *model, _ *uint64, d *store.Document) { d.By = "" })},
		{rule: "a document is lost in a reopen", caught: "documents/are kept as they are", breaks: whole, harness: reopens(func(m *model) { clear(m.docs) })},
		{rule: "any version may be changed", caught: "documents/only the next version is taken", breaks: put(func(m *model, was *uint64, d *store.Document) { *was = newest(m, d.Developer) })},
		{rule: "a deletion forgets the numbers", caught: "documents/versions go on after a deletion", breaks: docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			if d, err := m.Document(bg, d.Developer, 0); err == nil && d.Deleted && was == 0 {
				delete(m.docs, d.Developer)
			}
			return m.PutDocument(bg, was, d)
		}})},
		{rule: "versions are kept for ever", caught: "documents/the last 50 versions are kept", breaks: docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			before := slices.Clone(m.docs[d.Developer])
			v, err := m.PutDocument(bg, was, d)
			if err == nil {
				m.docs[d.Developer] = append(before, m.docs[d.Developer][len(m.docs[d.Developer])-1])
			}
			return v, err
		}})},
		{rule: "the versions of a namesake go, too", caught: "documents/the last 50 versions are kept", breaks: docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			if was > store.DocumentVersions {
				for name := range m.docs {
					if name != d.Developer && strings.HasPrefix(name, d.Developer) {
						delete(m.docs, name)
					}
				}
			}
			return m.PutDocument(bg, was, d)
		}})},
		{rule: "the last of many wins", caught: "documents/of many who change one at once, one wins", breaks: docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			_, err := m.PutDocument(bg, newest(m, d.Developer), d)
			return was + 1, err
		}})},
		{rule: "each follows the clock", caught: "documents/each once, in the order of names", breaks: docs(broken{eachDoc: func(m *model, old bool, f func(store.Document) error) error {
			var all []store.Document
			_ = m.EachDocument(bg, old, func(d store.Document) error { all = append(all, d); return nil })
			slices.SortFunc(all, func(a, b store.Document) int { return a.At.Compare(b.At) })
			for _, d := range all {
				if err := f(d); err != nil {
					return err
				}
			}
			return nil
		}})},
		{rule: "deletions are passed over", caught: "documents/each once, in the order of names", breaks: docs(broken{eachDoc: func(m *model, old bool, f func(store.Document) error) error {
			return m.EachDocument(bg, old, func(d store.Document) error {
				if d.Deleted {
					return nil
				}
				return f(d)
			})
		}})},
		{rule: "only the newest is sealed anew", caught: "documents/what a version was sealed with can change", breaks: docs(broken{reseal: func(m *model, developer string, version uint64, text []byte) error {
			if version != newest(m, developer) {
				_, err := m.Document(bg, developer, version)
				return err
			}
			return m.ResealDocument(bg, developer, version, text)
		}})},
		{rule: "nothing is forgotten", caught: "documents/versions can be forgotten", breaks: docs(broken{forget: func(*model, string) error { return nil }})},
		{rule: "everything is forgotten", caught: "documents/versions can be forgotten", breaks: docs(broken{forget: func(m *model, developer string) error {
			delete(m.docs, developer)
			return nil
		}})},
		{rule: "a text is the caller's", caught: "documents/texts are copies", breaks: docs(broken{putDoc: func(m *model, was uint64, d store.Document) (uint64, error) {
			v, err := m.PutDocument(bg, was, d)
			m.docs[d.Developer][0].Text = d.Text
			return v, err
		}})},
		{rule: "a nameless document is taken", caught: "documents/no name", breaks: put(func(_ *model, _ *uint64, d *store.Document) {
			d.Developer = "x" + strings.ReplaceAll(d.Developer, "\x00", "")
		})},
		{rule: "a version is lost in a crash", caught: "documents/are durable", breaks: whole, harness: crashes(func(m *model) {
			for name, all := range m.docs {
				m.docs[name] = all[:len(all)-1]
			}
		})},
		{rule: "what was sealed anew is lost in a crash", caught: "documents/are durable", breaks: whole, harness: crashes(func(m *model) {
			for _, all := range m.docs {
				for i := range all {
					all[i].Text = bytes.TrimPrefix(all[i].Text, []byte("again"))
				}
			}
		})},
		{rule: "a whole erasure passes over events without a user", caught: "erase/a whole developer", breaks: docs(broken{erase: func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (rep store.ErasureReport, err error) {
			if !req.Whole {
				return m.Erase(bg, now, req, cancelled)
			}
			for _, user := range []string{"u1", "u2", "u3"} {
				one, err := m.Erase(bg, now, store.Erasure{Developer: req.Developer, User: user}, cancelled)
				if err != nil {
					return rep, err
				}
				rep.Events, rep.Cancelled = rep.Events+one.Events, rep.Cancelled+one.Cancelled
			}
			return rep, nil
		}})},
		{rule: "a whole erasure looks at the own day of events", caught: "erase/a whole developer, over days", breaks: docs(broken{erase: func(m *model, now time.Time, req store.Erasure, cancelled func([]store.Moved)) (store.ErasureReport, error) {
			copies := m.copies
			m.copies = map[dayEvent]*modelEvent{}
			defer func() { m.copies = copies }()
			return m.Erase(bg, now, req, cancelled)
		}})},
		{rule: "texts are listed", caught: "documents/are kept as they are", breaks: docs(broken{docs: func(m *model, developer string) ([]store.Document, error) {
			all := slices.Clone(m.docs[developer])
			slices.Reverse(all)
			return all, nil
		}})},
	}
}
