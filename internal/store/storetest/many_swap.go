package storetest

import (
	"bytes"
	"context"

	"github.com/seed-51f8da91/fantail/internal/store"
)

var _ store.Swapper = (*Member)(nil)

// Swap stores value under key if what is there is was: see store.Swapper.
func (m *Member) Swap(_ context.Context, key string, was, value []byte) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	now, there := m.values[key]
	if there != (was != nil) || !bytes.Equal(now, was) {
		return store.ErrConflict
	}
	m.values[key] = bytes.Clone(value)
	return nil
}
