package pebblestore

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// groupBytes is how much one commit may hold before callers wait for the
// next one; a single larger event goes alone.
const groupBytes = 4 << 20

// appender groups events of concurrent callers into commits: while one commit
// waits for the disk, the next group fills.
type appender struct {
	mu   sync.Mutex
	ids  idClock
	open *group        // being filled; nil: none
	room chan struct{} // closed when the open group is taken; nil: nobody waits
	wake chan struct{} // tells commitLoop of an open group
}

// group is what one commit makes durable.
type group struct {
	writer
	sum   deltas
	bytes int64
	done  chan struct{} // closed when fault is final
	fault error
}

func (a *appender) init(rand func() uint64) {
	a.ids.rand = rand
	a.wake = make(chan struct{}, 1)
}

// take returns the open group, if any, for committing; who waited for room may go on.
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
		s.commitOpen()
	}
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
		err = s.watch(func() error { return s.apply(g.b, pebble.Sync) })
	}
	if err != nil {
		s.counters.add(g.sum, -1)
	} else {
		s.synced(mark)
		g.b.Close() // after a failure Pebble may still hold it
	}
	if s.opts.OnCommit != nil && err == nil {
		s.opts.OnCommit(time.Since(start))
	}
	g.end(err)
}
