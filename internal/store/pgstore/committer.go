package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// stallAfter is how long a commit may take before nothing more is accepted: a
	// producer that is refused keeps its event, one that hangs may lose it.
	stallAfter = 2 * time.Second
	// giveUpAfter is how long the answer to a commit is waited for on its connection. The commit
	// itself has no deadline. When the time is over the connection is cut without a word to the
	// server, and another connection finds out what became of the commit.
	giveUpAfter = 30 * time.Second
	// closeAfter is how long Close lets it wait.
	closeAfter = 5 * time.Second
)

// committer writes for one slot, one commit after the other.
type committer struct {
	s    *Store
	slot int16

	mu    sync.Mutex // held by who writes
	epoch int64
	on    int64 // the timeline on which the epoch was taken
	seq   int64 // of the last commit that was begun
	link  *link // nil: none is open

	base  int64  // the last commit of those before
	fresh recent // commits that were done: their rows stay in the tally
}

// writers are the committers of this daemon.
func (s *Store) writers() []*committer { return append([]*committer{s.changes}, s.appends...) }

// writer is the committer of a slot; nil: nobody here writes for it.
func (s *Store) writer(slot int16) *committer {
	for _, c := range s.writers() {
		if c.slot == slot {
			return c
		}
	}
	return nil
}

// commit is what a write needs to know. A write must take the fence of its slot, and leave a
// row of the tally with its number.
type commit struct {
	*link
	slot       int16
	owner      [16]byte
	epoch, seq int64
}

// write runs do, which makes one commit and returns the change of the counters. When the
// answer is lost, write finds out what became of the commit. lost says that it was done, but
// that what do would have returned is not known. The error is nil, ErrFenced, ErrClosed, an
// *Unavailable, or what do returned when nothing was done.
func (c *committer) write(do func(commit) (deltas, error)) (lost bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.s.lows.end(c)
	for try := 0; ; try++ {
		lost, err = c.commit(do)
		// After a failover the first commit finds its connection dead. Nothing was stored, so that it may
		// be made again.
		if !errors.Is(err, errNothing) || try > 0 {
			return lost, err
		}
	}
}

var errNothing = &store.Unavailable{Reason: "the database was lost during the commit, and nothing was stored", After: time.Second}

func (c *committer) commit(do func(commit) (deltas, error)) (lost bool, err error) {
	if c.link != nil && c.s.identity.former(c.link.PgConn()) {
		c.link.cut()
		c.link = nil
	}
	if c.link == nil {
		if c.link, err = c.connect(); err != nil {
			return false, err
		}
	}
	if timelineOf(c.link.PgConn()) != c.on { // see failover
		if err := c.takeFence(); err != nil {
			c.link.cut()
			c.link = nil
			if !errors.Is(err, store.ErrFenced) {
				c.s.unreachable(err)
				err = c.s.unavailable(err)
			}
			return false, err
		}
	}
	c.seq++
	l := c.link
	l.doubtful.Store(false)
	var sum deltas
	err = c.s.watch(l, func() (err error) {
		sum, err = do(commit{link: l, slot: c.slot, owner: c.s.owner, epoch: c.epoch, seq: c.seq})
		return err
	})
	idle := !l.IsClosed() && l.PgConn().TxStatus() == 'I' && !l.doubtful.Load()
	switch {
	case err == nil && idle:
		c.s.counters.add(sum)
		c.fresh.add(c.seq)
		return false, nil
	case idle && !is(err, readOnly):
		return false, c.explain(err)
	}
	c.s.log.Warn("the answer to a commit is lost; finding out what became of it", "slot", c.slot, "error", err)
	return c.find()
}

// connect opens the connection. Nothing was sent, so nothing was done.
func (c *committer) connect() (*link, error) {
	l, err := c.s.connectLink(context.Background(), c)
	if err != nil {
		c.s.unreachable(err)
		return nil, c.s.unavailable(err)
	}
	return l, nil
}

// explain words the error of a commit that was not done.
func (c *committer) explain(err error) error {
	if refusal, ok := refused(err); ok && !is(err, uniqueViolation, lockNotAvailable, deadlockDetected, serialization) {
		c.s.log.Error("the database refuses to write", "slot", c.slot, "error", err)
		return &store.Unavailable{Reason: "the database refuses to write: " + refusal.Code, After: 5 * time.Second}
	}
	return err
}

// find takes a new epoch, after which the last commit can no longer arrive, and looks for the
// row that the commit leaves in the tally. It goes on until it knows.
func (c *committer) find() (done bool, err error) {
	c.s.health.lost.Add(1)
	defer c.s.health.lost.Add(-1)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if c.link != nil {
			c.link.cut()
			c.link = nil
		}
		done, err := c.fence()
		if err == nil || errors.Is(err, store.ErrFenced) {
			if err == nil && !done {
				err = errNothing
			}
			return done, err
		}
		c.s.groups.refuse(c.s.unavailable(err)) // what no committer has taken is not stored
		c.s.log.Warn("the database cannot be asked what became of a commit; trying again", "slot", c.slot, "error", err, "wait", wait)
		select {
		case <-time.After(wait):
		case <-c.s.closing:
			return false, &store.Unavailable{Reason: "closing while the database does not answer: whether it was stored is not known", After: 10 * time.Second}
		}
	}
}

// takeFence takes a new epoch over the connection, durably.
func (c *committer) takeFence() error {
	l := c.link
	err := c.s.watch(l, func() error {
		if err := c.s.putAgain(l); err != nil {
			return err
		}
		// This commit is durable, and with it every commit before it. A row whose wait for the standby
		// was broken off can be read before it is durable.
		return l.QueryRow(context.Background(), sqlFence, c.slot, c.s.owner).Scan(&c.epoch, nil)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return c.s.fenced()
	case err == nil && l.doubtful.Load():
		return errors.New("the new epoch is not known to be durable")
	case err != nil:
		return err
	}
	c.on = timelineOf(l.PgConn())
	return nil
}

func (c *committer) fence() (done bool, err error) {
	if c.link, err = c.connect(); err != nil {
		return false, err
	}
	if err := c.takeFence(); err != nil {
		return false, err
	}
	l := c.link
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	sum := deltas{}
	rows, err := l.Query(ctx, sqlTallyOf, c.slot, c.seq)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var at dayDest
		var n counts
		if err := rows.Scan(at.into(n.into()...)...); err != nil {
			return false, err
		}
		done = true
		sum.of(at.day, at.dest).add(&n)
	}
	if err := rows.Err(); err != nil {
		return false, err
	}
	c.s.counters.add(sum)
	if done {
		c.fresh.add(c.seq)
	}
	return done, nil
}

// watch runs f, which waits for a commit on l. While it takes longer than stallAfter nothing
// is accepted; after giveUpAfter its connection is cut.
func (s *Store) watch(l *link, f func() error) error {
	var mu sync.Mutex
	var slow, over bool
	stall := time.AfterFunc(stallAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			slow = true
			s.health.slow.Add(1)
			s.groups.refuse(s.stalled())
		}
	})
	cut := time.AfterFunc(giveUpAfter, l.cut)
	hurry := context.AfterFunc(s.ending, func() { time.AfterFunc(closeAfter, l.cut) })
	defer func() {
		stall.Stop()
		cut.Stop()
		hurry()
		mu.Lock()
		defer mu.Unlock()
		if over = true; slow {
			s.health.slow.Add(-1)
		}
	}()
	return f()
}

func (s *Store) stalled() error {
	return &store.Unavailable{Reason: "store stalled: the database does not answer", After: stallAfter}
}

// fenced ends the daemon: another one has taken over what is pending here.
func (s *Store) fenced() error {
	s.health.gone.Store(true)
	s.health.fenced.Do(func() {
		err := fmt.Errorf("another daemon has taken over the work of this one: %w", store.ErrFenced)
		s.log.Error("the store has another owner", "error", err)
		go s.opts.Fatal(err)
	})
	return store.ErrFenced
}

// close ends the connection of a committer that nobody uses any more.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		end(c.link.Conn)
		c.link = nil
	}
}
