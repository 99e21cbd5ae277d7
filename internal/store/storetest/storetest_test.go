package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// modelHarness opens the reference model. A power failure takes nothing from it, which the contract allows.
func modelHarness() Harness {
	clone := func(t testing.TB, s store.Store) store.Store {
		m := s.(*model)
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.clone()
	}
	n := 0
	return Harness{
		Open: func(testing.TB) store.Store { return newModel() },
		Reopen: func(t testing.TB, s store.Store) store.Store {
			again := clone(t, s)
			s.Close()
			return again
		},
		Crash: clone,
		BackupDir: func(testing.TB, store.Store) string {
			n++
			return fmt.Sprint("backup-", n)
		},
		Restore: func(t testing.TB, s store.Store, dir string) store.Store { return clone(t, s.(*model).backups[dir]) },
		Stall: func(t testing.TB, s store.Store) func() {
			m := s.(*model)
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

func TestModelConforms(t *testing.T) { Run(t, modelHarness()) }
