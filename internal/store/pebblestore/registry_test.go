package pebblestore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// TestManyAreRegisteredInOneCommit: so are their settings, whatever their number, and
// what is there already costs none.
func TestManyAreRegisteredInOneCommit(t *testing.T) {
	var commits atomic.Int64
	s := mustOpen(t, "db", Options{FS: vfs.NewMem(), OnCommit: func(time.Duration) { commits.Add(1) }})
	const n = 1000
	keys := make([]store.DestinationKey, n)
	sealed, values := map[uint64][]byte{}, map[string][]byte{}
	for i := range n {
		keys[i] = store.DestinationKey{Developer: fmt.Sprintf("d%d", i), Name: "app", Kind: "webhook"}
		sealed[uint64(i)+1], values[keys[i].Developer] = []byte("sealed"), []byte("value")
	}
	costs := func(what string, want int64, do func() error) {
		t.Helper()
		before := commits.Load()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := commits.Load() - before; got != want {
			t.Errorf("%s: %d commits, want %d", what, got, want)
		}
	}
	register := func() error { _, err := s.Register(ctx, keys); return err }
	costs("register", 1, register)
	costs("register again", 0, register)
	costs("settings and values", 1, func() error { return s.PutSettings(ctx, sealed, values) })
	costs("settings again", 0, func() error { return s.PutSettings(ctx, sealed, nil) })
}
