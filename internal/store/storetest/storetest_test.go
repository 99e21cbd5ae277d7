package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// self finds the model inside a store that wraps one.
func (m *model) self() *model { return m }

func modelOf(s store.Store) *model { return s.(interface{ self() *model }).self() }

// modelHarness opens the reference model, wrapped. A power failure takes nothing
// from it, which the contract allows.
func modelHarness(wrap func(*model) store.Store) Harness {
	again := func(s store.Store) store.Store {
		m := modelOf(s)
		m.mu.Lock()
		defer m.mu.Unlock()
		return wrap(m.clone())
	}
	n := 0
	return Harness{
		Open: func(testing.TB) store.Store { return wrap(newModel()) },
		Reopen: func(_ testing.TB, s store.Store) store.Store {
			s.Close()
			return again(s)
		},
		Crash: func(_ testing.TB, s store.Store) store.Store { return again(s) },
		BackupDir: func(testing.TB, store.Store) string {
			n++
			return fmt.Sprint("backup-", n)
		},
		Restore: func(_ testing.TB, s store.Store, dir string) store.Store { return wrap(modelOf(s).backups[dir]) },
		Stall: func(_ testing.TB, s store.Store) func() {
			m := modelOf(s)
			m.mu.Lock()
			defer m.mu.Unlock()
			m.gate, m.stalled = make(chan struct{}), time.Now()
			return func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				close(m.gate)
				m.gate = nil
			}
		},
		Bubble: true,
	}
}

func TestModelConforms(t *testing.T) {
	Run(t, modelHarness(func(m *model) store.Store { return m }))
}
