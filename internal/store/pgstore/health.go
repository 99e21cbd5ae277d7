package pgstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// clockWarning is how far the clock of this machine may be from the database's.
	clockWarning = 100 * time.Millisecond
	// clockRefusal is how far it may be for anything to be accepted: times of retries and the days that
	// are kept go by the clock of a daemon.
	clockRefusal = 5 * time.Second
)

// health decides about admission before a commit. Once a commit has begun on a database that
// does not answer, nobody can say for a while what became of it.
type health struct {
	slow   atomic.Int32 // commits that take longer than stallAfter
	lost   atomic.Int32 // commits whose answer is lost
	down   atomic.Bool  // the last attempt to reach the database failed
	logged atomic.Int64 // when that was logged last, ns
	fenced sync.Once
	gone   atomic.Bool // the slots have another owner

	adopted  atomic.Uint64            // slots of others that this daemon goes on with
	bytes    atomic.Int64             // of the database
	snapshot atomic.Pointer[snapshot] // the oldest that is held; nil: not known yet
	clock    atomic.Int64             // how far the database's clock is ahead of ours, ns
	mode     atomic.Pointer[string]   // what a commit waits for: see vitals.go
	durable  string                   // what is wrong with the server's durability; set at the start
}

func (h *health) reachable() bool { return !h.down.Load() && h.lost.Load() == 0 && h.slow.Load() == 0 }

// Ready is nil while Append can work, else an *Unavailable or ErrClosed.
func (s *Store) Ready() error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
	}
	switch h := &s.health; {
	case h.gone.Load():
		return store.ErrFenced
	case h.lost.Load() > 0 || h.down.Load():
		return &store.Unavailable{Reason: "store stalled: the database cannot be reached", After: stallAfter}
	case h.slow.Load() > 0:
		return s.stalled()
	case time.Duration(h.clock.Load()).Abs() > clockRefusal:
		return &store.Unavailable{Reason: "the clocks of this machine and of the database differ by more than " + clockRefusal.String() + ": synchronise them", After: 10 * time.Second}
	}
	return nil
}

// Stats returns figures of the last minute. DiskFree is missing: a database does not tell it.
func (s *Store) Stats() store.Stats {
	return store.Stats{Bytes: s.health.bytes.Load(), Pending: s.counters.pending.Load()}
}

// Warnings says what somebody should look at although events are accepted.
func (s *Store) Warnings() []string {
	var all []string
	if s.health.durable != "" {
		all = append(all, s.health.durable)
	}
	if off := time.Duration(s.health.clock.Load()).Abs(); off > clockWarning {
		all = append(all, fmt.Sprintf("the clock of this machine and that of the database differ by %v: synchronise them", off.Round(time.Millisecond)))
	}
	if held := s.health.snapshot.Load(); held != nil && held.age > oldSnapshot {
		all = append(all, held.String())
	}
	return all
}

// snapshot is one that somebody holds in the database: nothing that died since can be swept up.
type snapshot struct {
	age  int64  // in transactions
	kind string // session, replica, slot or prepared
	pid  int32  // of a session or a replica
	name string // what a session says it is; of a slot, of a prepared transaction
}

// String names the holder and what ends it, without users and hosts.
func (h *snapshot) String() string {
	who, end := fmt.Sprintf("session %d (%.64q)", h.pid, h.name), fmt.Sprintf("wait for it, or SELECT pg_terminate_backend(%d)", h.pid)
	switch h.kind {
	case "replica":
		who, end = fmt.Sprintf("replica %.64q (session %d)", h.name, h.pid), "end its long queries, or turn its hot_standby_feedback off"
	case "slot":
		who, end = fmt.Sprintf("replication slot %.64q", h.name), "start its replica, or SELECT pg_drop_replication_slot"
	case "prepared":
		who, end = fmt.Sprintf("prepared transaction %.64q", h.name), "COMMIT PREPARED or ROLLBACK PREPARED"
	}
	return fmt.Sprintf("%s holds a snapshot of the database that is %d transactions old, and nothing since can be swept up: %s", who, h.age, end)
}

// unreachable notes that the database could not be reached.
func (s *Store) unreachable(err error) {
	s.health.down.Store(true)
	now := time.Now().UnixNano()
	if last := s.health.logged.Load(); now-last > int64(10*time.Second) && s.health.logged.CompareAndSwap(last, now) {
		s.log.Error("the database cannot be reached", "error", err)
	}
}

func (s *Store) reached() {
	if s.health.down.Swap(false) {
		s.log.Info("the database is reached again")
	}
}

// unavailable is what callers are told. The log alone names hosts and users.
func (s *Store) unavailable(error) error {
	return &store.Unavailable{Reason: "store stalled: the database cannot be reached", After: time.Second}
}

// checkServer says at the start what the server's settings make of durability.
func (s *Store) checkServer(ctx context.Context) error {
	var version, commit, fsync, pages, standbys string
	if err := s.pool.QueryRow(ctx, sqlServer).Scan(&version, &commit, &fsync, &pages, &standbys); err != nil {
		return fmt.Errorf("ask the server for its settings: %w", err)
	}
	mode := durabilityOf(commit, fsync, standbys)
	s.health.mode.Store(&mode)
	if fsync != "on" {
		s.health.durable = "the database runs with fsync=" + fsync + ": what is accepted is lost when its machine fails"
	} else if pages != "on" {
		s.health.durable = "the database runs with full_page_writes=" + pages + ": when its machine fails it may not start again, unless its file system writes whole pages"
	}
	s.log.Info("the store is in PostgreSQL", "version", version, "synchronous_commit", commit, "fsync", fsync, "synchronous_standby_names", standbys)
	if s.health.durable != "" {
		s.log.Warn(s.health.durable)
	}
	return nil
}
