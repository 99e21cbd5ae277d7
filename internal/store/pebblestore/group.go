package pebblestore

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
)

const (
	// groupBytes is how much one commit may hold before callers wait for the
	// next one; a single larger event goes alone.
	groupBytes = 4 << 20
	// gatherMost is the most that a group waits for callers.
	gatherMost = time.Millisecond
)

// appender groups events of concurrent callers into commits: while one commit
// waits for the disk, the next group fills.
type appender struct {
	mu   sync.Mutex
	ids  keys.Clock
	open *group        // being filled; nil: none
	room chan struct{} // closed when the open group is taken; nil: nobody waits
	wake chan struct{} // tells commitLoop of an open group, and when it has enough callers

	enough   int       // callers that the next group waits for
	gathered time.Time // but no longer than this
}

// group is what one commit makes durable.
type group struct {
	writer
	sum     deltas
	bytes   int64
	callers int
	now     time.Time     // of the caller who came last
	done    chan struct{} // closed when fault is final
	fault   error
}

func (a *appender) init(rand func() uint64) {
	a.ids.Rand = rand
	a.wake = make(chan struct{}, 1)
}

// joined counts a caller of the open group and tells commitLoop if it waits for
// them. It runs under mu.
func (a *appender) joined() {
	if a.open.callers++; a.open.callers == 1 || !a.short() {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// short tells whether the open group has fewer callers than expected, so that waiting for
// more is worth it. It runs under mu.
func (a *appender) short() bool {
	return a.open != nil && a.open.callers < a.enough && a.open.bytes < groupBytes
}

// expect has the next group wait for that many callers, until that time at most.
func (a *appender) expect(callers int, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.enough, a.gathered = callers, until
}

// take returns the open group, nil if none, for committing. Callers that wait for room go on.
func (a *appender) take() *group {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.open
	a.open = nil
	if a.room != nil {
		close(a.room)
		a.room = nil
	}
	return g
}

// refuse gives up the open group: nothing of it was written.
func (a *appender) refuse(err error) {
	if g := a.take(); g != nil {
		g.b.Close()
		g.end(err)
	}
}

func (g *group) end(err error) {
	g.fault = err
	close(g.done)
}

// commitLoop commits one group after the other until no caller is left to Close.
func (s *Store) commitLoop() {
	defer s.append.refuse(store.ErrClosed)
	for {
		select {
		case <-s.append.wake:
		case <-s.health.failed:
			return
		case <-s.quit:
			return
		}
		if !s.gather() {
			return
		}
		s.commitOpen()
	}
}

// gather waits while the open group has fewer callers than the former one, for at most half
// as long as the former commit took. Callers of the former group come back soon, and a commit
// costs the same for one caller as for many. A caller who is alone, or comes later, waits for
// nobody.
func (s *Store) gather() bool {
	a := &s.append
	a.mu.Lock()
	short, wait := a.short(), time.Until(a.gathered)
	a.mu.Unlock()
	if !short {
		return true
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-a.wake:
	case <-t.C:
	case <-s.health.failed:
		return false
	case <-s.quit:
		return false
	}
	return true
}

func (s *Store) commitOpen() {
	g := s.append.take()
	if g == nil {
		return
	}
	start := time.Now()
	mark := s.settled.Load()
	s.counters.add(g.sum, 1)
	g.sum.write(&g.writer)
	err := g.err
	if err == nil {
		err = s.watch(func() error {
			if err := s.tend(g.now, tendLate); err != nil {
				return err
			}
			return s.apply(g.b, pebble.Sync)
		})
	}
	if err != nil {
		s.counters.add(g.sum, -1)
	} else {
		s.synced(mark)
		g.b.Close() // after a failure Pebble may still hold it
	}
	took := time.Since(start)
	if s.opts.OnCommit != nil && err == nil {
		s.opts.OnCommit(took)
	}
	s.append.expect(g.callers, start.Add(took+min(took/2, gatherMost)))
	g.end(err)
}
