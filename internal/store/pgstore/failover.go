package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
)

// A failover brings another server in the place of the primary. Who notices first is whoever opens a
// connection (identity.go). What the new primary has not got, because its replication was not
// synchronous, is lost, and memory may know of it. What follows is for one of the two:
//
//   - Connections to the former primary are cut. It may stand still, and its connections with it.
//   - Every slot gets a new epoch before anything is written for it: the epoch that memory knows may be
//     among what is lost. Before that, ids of destinations are put again, so that nobody else gets one.
//   - What had ended and is pending again is told to the engine (lost.go).
//   - What memory compares by numbers of the former primary is forgotten: its transactions, its
//     commits, its partitions.
type failover struct {
	seen atomic.Int64 // how many there were

	linking sync.Mutex
	links   map[any]*link // connections that commit, by who uses them

	putting sync.Mutex
	dests   map[uint32]store.DestinationKey // ids that were given to this daemon
	put     int64                           // the timeline on which they are known to be
}

const (
	// scoutEvery is how often a daemon asks the hosts that it has no use for whether one of them is
	// the primary by now: the former one may go on answering.
	scoutEvery = 5 * time.Second
	// scoutSoon is how often while the database does not answer.
	scoutSoon = 500 * time.Millisecond
)

// connectLink opens a connection that commits, for one user.
func (s *Store) connectLink(ctx context.Context, user any) (*link, error) {
	l, err := s.identity.inTurn(s.configs).connectLink(ctx)
	if err != nil {
		return nil, err
	}
	s.failover.linking.Lock()
	s.failover.links[user] = l
	s.failover.linking.Unlock()
	if s.identity.former(l.PgConn()) { // by a connection that was opened at the same time
		l.cut()
		return nil, errors.New("another server became the primary meanwhile")
	}
	return l, nil
}

// failedOver forgets what was true of the former primary: its connections, and that leases were
// renewed in time. What a failover took back of an adoption, the lookout finds.
func (s *Store) failedOver() {
	s.lease.since.Store(bootTime())
	s.failover.seen.Add(1)
	pool := s.pool
	go func() {
		s.failover.linking.Lock()
		for _, l := range s.failover.links {
			if s.identity.former(l.PgConn()) {
				l.cut()
			}
		}
		s.failover.linking.Unlock()
		if pool != nil {
			pool.Reset()
		}
	}()
}

// scoutLoop looks for a new primary at the other hosts.
func (s *Store) scoutLoop() {
	if len(s.configs) == 1 {
		return
	}
	tick := time.NewTicker(scoutSoon)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-tick.C:
		case <-s.quit:
			return
		}
		if s.health.reachable() && time.Since(last) < scoutEvery {
			continue
		}
		scout(s.ending, s.identity.inTurn(s.configs)[1:])
		last = time.Now()
	}
}

// scout asks hosts which they are: every connection is looked at, see identity. An error is no news:
// most of them take no writes.
func scout(ctx context.Context, hosts configs) {
	for _, host := range hosts {
		if c, err := connectOne(ctx, host); err == nil {
			end(c)
		}
	}
}

// given notes ids of destinations, so that they can be put again.
func (f *failover) given(wanted []store.DestinationKey, ids []uint32) {
	f.putting.Lock()
	defer f.putting.Unlock()
	for i, id := range ids {
		f.dests[id] = wanted[i]
	}
}

// putAgain sees to it that the server of l has the destinations that memory knows, under the same ids. A
// daemon whose ids are others' by now ends: what it has in memory would go to somebody else.
func (s *Store) putAgain(l *link) error {
	f := &s.failover
	f.putting.Lock()
	defer f.putting.Unlock()
	at := timelineOf(l.PgConn())
	if at <= f.put {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	missing, taken, err := f.compare(query{ctx, l.Conn})
	if err == nil && taken == nil && len(missing) > 0 {
		s.log.Warn("the new primary lacks destinations that were registered last: they get their ids again", "destinations", len(missing))
		if err = f.insert(l, missing); err == nil { // another daemon may have been at it at the same time
			missing, taken, err = f.compare(query{ctx, l.Conn})
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("compare destinations with the new primary: %w", err)
	case taken != nil || len(missing) > 0:
		s.log.Error("the failover lost destinations of this daemon, and their ids are others' by now", "destinations", append(taken, missing...))
		return s.fenced()
	}
	f.put = at
	return nil
}

// compare returns which ids nobody has, and which have become somebody else's.
func (f *failover) compare(q query) (missing, taken []uint32, err error) {
	has := map[uint32]store.DestinationKey{}
	err = q.each(sqlDestinations, nil, func(scan func(...any) error) error {
		d, err := scanDestination(scan)
		has[d.ID] = d.DestinationKey
		return err
	})
	for id, key := range f.dests {
		if other, there := has[id]; !there {
			missing = append(missing, id)
		} else if other != key {
			taken = append(taken, id)
		}
	}
	slices.Sort(missing)
	return missing, taken, err
}

// insert puts destinations under their ids, unless somebody has the id or the name. Nobody gets a number up
// to theirs.
func (f *failover) insert(l *link, ids []uint32) error {
	return pgx.BeginFunc(context.Background(), l.Conn, func(tx pgx.Tx) error {
		var next int32
		if err := tx.QueryRow(context.Background(), sqlLockDestinations).Scan(&next); err != nil {
			return err
		}
		if _, err := tx.Exec(context.Background(), sqlRaiseDestinations, int32(ids[len(ids)-1])+1); err != nil {
			return err
		}
		for _, id := range ids {
			k := f.dests[id]
			h := keys.Hash(k.Developer, k.Name, k.Kind)
			if _, err := tx.Exec(context.Background(), sqlPutDestinationAgain, int32(id), h[:16], []byte(k.Developer), []byte(k.Name), []byte(k.Kind)); err != nil {
				return err
			}
		}
		return nil
	})
}

// forget drops what is compared by numbers of the former primary. The lookout calls it, before it
// looks at the new one.
func (s *Store) forget(ctx context.Context) error {
	if _, err := s.freshDays(ctx); err != nil {
		return err
	}
	n := &s.look.news
	n.oldest = "0"
	n.mu.Lock()
	clear(n.stamp)
	n.mu.Unlock()
	clear(s.look.empty) // a slot may have the same epoch, and something in it
	s.folds.mu.Lock()
	clear(s.folds.done)
	s.folds.mu.Unlock()
	s.counters.tailing.Lock()
	clear(s.counters.tail.seqs)
	s.counters.tailing.Unlock()
	s.counters.doubt() // until then the same commits may be counted twice
	if s.opts.FailedOver != nil {
		s.opts.FailedOver()
	}
	return nil
}
