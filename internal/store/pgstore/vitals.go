package pgstore

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// What a commit waits for.
const (
	durableNone    = "none"    // the server leaves what it writes to the operating system
	durableLocal   = "local"   // its own disk
	durableStandby = "standby" // its own disk, and a synchronous standby
)

// durabilityOf names what a commit waits for under the server's settings. synchronous_commit=off
// is raised to on by every commit that is promised.
func durabilityOf(commit, fsync, standbys string) string {
	switch {
	case fsync != "on":
		return durableNone
	case standbys != "" && commit != "local" && commit != "off":
		return durableStandby
	}
	return durableLocal
}

// Vitals are figures of this daemon's part in the store, O(1).
func (s *Store) Vitals() store.Vitals {
	h := &s.health
	v := store.Vitals{
		Slots: len(s.owned.all()), LeaseAge: s.lease.age(), Adopted: h.adopted.Load(),
		Offset: time.Duration(h.clock.Load()),
	}
	if held := h.snapshot.Load(); held != nil {
		v.OldestSnapshot, v.SnapshotOf = held.age, held.kind
	}
	if mode := h.mode.Load(); mode != nil {
		v.Durability = *mode
	}
	return v
}
