package storetest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/seed-51f8da91/fantail/internal/store"
)

func (m *model) PutDocument(_ context.Context, was uint64, d store.Document) (uint64, error) {
	if d.Developer == "" || strings.Contains(d.Developer, "\x00") {
		return 0, errors.New("no name of a developer")
	}
	if err := m.lock(); err != nil {
		return 0, err
	}
	defer m.commit()
	all := m.docs[d.Developer]
	if len(all) > 0 && all[len(all)-1].Version != was || len(all) == 0 && was != 0 {
		return 0, store.ErrConflict
	}
	d.Version, d.Text, d.At = was+1, bytes.Clone(d.Text), d.At.UTC()
	all = append(slices.Clone(all), d)
	m.docs[d.Developer] = all[max(0, len(all)-store.DocumentVersions):]
	return d.Version, nil
}

func (m *model) ResealDocument(_ context.Context, developer string, version uint64, text []byte) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	for i, d := range m.docs[developer] {
		if d.Version == version {
			m.docs[developer][i].Text = bytes.Clone(text)
			return nil
		}
	}
	return store.ErrNotFound
}

func (m *model) Document(_ context.Context, developer string, version uint64) (store.Document, error) {
	if err := m.lock(); err != nil {
		return store.Document{}, err
	}
	defer m.mu.Unlock()
	all := m.docs[developer]
	for i, d := range all {
		if d.Version == version || version == 0 && i == len(all)-1 {
			d.Text = bytes.Clone(d.Text)
			return d, nil
		}
	}
	return store.Document{}, store.ErrNotFound
}

func (m *model) DocumentVersions(_ context.Context, developer string) ([]store.Document, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	all := slices.Clone(m.docs[developer])
	for i := range all {
		all[i].Text = nil
	}
	slices.Reverse(all)
	return all, nil
}

func (m *model) EachDocument(_ context.Context, old bool, f func(store.Document) error) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	for _, developer := range slices.Sorted(maps.Keys(m.docs)) {
		all := m.docs[developer]
		if !old {
			all = all[len(all)-1:]
		}
		for _, d := range all {
			d.Text = bytes.Clone(d.Text)
			if err := f(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *model) ForgetVersions(_ context.Context, developer string) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.commit()
	if all := m.docs[developer]; len(all) > 0 {
		m.docs[developer] = slices.Clone(all[len(all)-1:])
	}
	return nil
}
