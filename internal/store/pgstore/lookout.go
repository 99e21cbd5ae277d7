package pgstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// lookEvery is how often a daemon looks what happens elsewhere.
	lookEvery = 300 * time.Millisecond
	// lookTime bounds one look.
	lookTime = 10 * time.Second
	// giveBackEvery is how often slots of others that were adopted are looked at.
	giveBackEvery = 10 * time.Second
	// heldWait is how long a daemon waits before it tries again to set slots free whose fences are held.
	heldWait = 5 * time.Second
)

// lookout is what the look loop remembers.
type lookout struct {
	link      *link                  // nil: none is open
	empty     map[int16]int64        // free slots that have nothing to adopt, and the epoch they had
	given     map[int16]time.Time    // slots that may have been given back lately
	held      map[[16]byte]time.Time // owners with a commit under way that waits for something
	untold    []int16                // slots that were adopted and nobody was told of
	again     bool                   // nobody was told what came back in slots of this daemon: see lookLost
	back      time.Time              // when slots were given back last
	news      news
	logged    time.Time
	failovers int64 // those after which what was known was forgotten

	mu   sync.Mutex
	made born // what this daemon made pending in slots that it did not own
}

// born has the next look tell of it: the slots may have been adopted before the commit.
func (l *lookout) born(made *born) {
	if len(made.dests) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for dest := range made.dests {
		l.made.add(uint32(dest), made.since)
	}
}

// lookLoop looks what happens elsewhere: which slots are free, what other daemons made pending
// here, what they counted, and which destinations they changed. It has a connection of its own.
func (s *Store) lookLoop() {
	every := min(lookEvery, s.opts.Lease/3)
	for {
		select {
		case <-time.After(every/2 + rand.N(every)):
		case <-s.quit:
			return
		}
		ctx, cancel := context.WithTimeout(s.ending, lookTime)
		err := s.look1(ctx)
		cancel()
		if errors.Is(err, store.ErrFenced) {
			_ = s.fenced()
			return
		}
		if err != nil && s.ending.Err() == nil { // whether the database can be reached, the lease tells
			if time.Since(s.look.logged) > 10*time.Second {
				s.look.logged = time.Now()
				s.log.Warn("what other daemons do cannot be seen; trying again", "error", err)
			}
			s.look.cut()
		}
	}
}

func (l *lookout) cut() {
	if l.link != nil {
		l.link.cut()
		l.link = nil
	}
}

func (s *Store) look1(ctx context.Context) (err error) {
	if l := s.look.link; l != nil && s.identity.former(l.PgConn()) {
		s.look.cut()
	}
	if s.look.link == nil {
		if s.look.link, err = s.connectLink(ctx, &s.look); err != nil {
			return err
		}
		s.counters.doubt() // a database that crashed may have lost what another daemon counted
	}
	if seen := s.failover.seen.Load(); seen != s.look.failovers {
		if err := s.forget(ctx); err != nil {
			return err
		}
		s.look.failovers = seen
	}
	l := s.look.link
	q := query{ctx, l.Conn}
	if err := s.lookLost(q); err != nil {
		return err
	}
	if err := s.lookMissed(q); err != nil {
		return err
	}
	if err := s.lookDaemons(q); err != nil {
		return err
	}
	rows, err := s.lookOwn(q)
	if err != nil {
		return err
	}
	some, err := s.freeOver(ctx, l.Conn, rows, s.mayFree())
	if err == nil && some {
		rows, err = s.lookOwn(q)
	}
	if err == nil && slices.ContainsFunc(rows, func(r slotRow) bool { return r.free() }) {
		err = s.adoptSome(q, rows)
	}
	if err == nil && time.Since(s.look.back) > min(giveBackEvery, s.opts.Lease) {
		s.look.back = time.Now()
		err = s.giveBack(q)
	}
	if err == nil {
		err = s.lookTail(q, rows)
	}
	if err == nil {
		err = s.lookNews(q)
	}
	return err
}

// lookOwn reads the slots and takes notice of those that are this daemon's. Owned slots are
// found here and not where they are adopted: the answer to an adoption may be lost. Their
// queues are read after that, when no commit of a former owner can come any more.
func (s *Store) lookOwn(q query) ([]slotRow, error) {
	rows, err := lookSlots(q)
	if err != nil {
		return nil, err
	}
	mine := slices.DeleteFunc(slices.Clone(rows), func(r slotRow) bool { return r.owner != s.owner })
	if gone := s.lost(mine); len(gone) > 0 {
		s.log.Error("slots of this daemon are not its own any more", "slots", gone)
		return nil, store.ErrFenced
	}
	for _, r := range mine {
		if !s.owned.has(r.id) {
			s.look.untold = append(s.look.untold, r.id)
			s.health.adopted.Add(1)
		}
	}
	s.lows.learn(mine)
	s.owned.set(mine)
	if s.look.again {
		heads, err := s.heads(q, s.owned.all())
		if err != nil {
			return nil, err
		}
		s.look.again = false
		s.tell(heads)
	}
	if len(s.look.untold) > 0 {
		heads, err := s.heads(q, s.look.untold)
		if err != nil {
			return nil, err
		}
		s.log.Info("work of another daemon is adopted", "slots", s.look.untold, "queues", len(heads))
		s.look.untold = nil
		s.tell(heads)
	}
	return rows, nil
}

// adoptSome adopts free slots, one after the other and in an order of its own, no more than this
// daemon's share, so that the work of a daemon that ended spreads over the others.
func (s *Store) adoptSome(q query, rows []slotRow) error {
	free := slices.DeleteFunc(slices.Clone(rows), func(r slotRow) bool { return !r.free() || s.look.empty[r.id] == r.epoch })
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	_, n := s.Share()
	quota, adopted := (len(free)+n-1)/n, 0
	for _, r := range free {
		if adopted == quota {
			break
		}
		got, err := s.adoptSlots(q, []slotRow{r})
		if err != nil {
			return err
		}
		if got > 0 {
			adopted++
			if n > 1 {
				select {
				case <-time.After(rand.N(20 * time.Millisecond)):
				case <-q.ctx.Done():
					return context.Cause(q.ctx)
				}
			}
		}
	}
	if adopted > 0 {
		_, err := s.lookOwn(q)
		return err
	}
	return nil
}

// tail is how far the commits of other daemons are known.
type tail struct {
	seqs map[int16]int64
	read time.Time // when it was read last
}

// lookTail reads what other daemons counted, and what they made pending in slots of this one.
func (s *Store) lookTail(q query, rows []slotRow) error {
	c := &s.counters
	c.tailing.Lock()
	defer c.tailing.Unlock()
	began := time.Now()
	if began.Sub(c.tail.read) > tailLasts {
		c.stale.Store(true) // commits may have been folded that nobody here has read
	}
	var slots []int16
	var seqs []int64
	foreign := false
	for _, r := range rows {
		if s.writer(r.id) == nil {
			slots, seqs = append(slots, r.id), append(seqs, c.tail.seqs[r.id])
		}
		foreign = foreign || !r.free() && r.owner != s.owner && !r.known
	}
	if c.foreign && !foreign { // a program that knows version 1 folds at once
		c.stale.Store(true)
	}
	c.foreign = foreign
	sum := deltas{}
	next := map[int16]int64{}
	born := map[uint32]int64{}
	err := q.each(sqlTail, []any{slots, seqs}, func(scan func(...any) error) error {
		var what, id int32
		var first int64
		var n counts
		err := scan(append([]any{&what, &id, &first}, n.into()...)...)
		switch what {
		case 0:
			next[int16(id)] = first
		case 1:
			born[uint32(id)] = first
		default:
			sum.of(0, uint32(id)).add(&n)
		}
		return err
	})
	if err != nil {
		return err
	}
	for slot, seq := range next {
		c.tail.seqs[slot] = seq
	}
	c.tail.read = began
	c.addForeign(sum)
	s.look.mu.Lock()
	for dest := range s.look.made.dests {
		born[uint32(dest)] = s.look.made.since
	}
	clear(s.look.made.dests)
	s.look.mu.Unlock()
	heads := make([]store.Head, 0, len(born))
	for dest, since := range born {
		if len(s.owned.of(dest)) > 0 {
			heads = append(heads, store.Head{Queue: store.QueueID{Dest: dest}, From: store.Position{Due: since}})
		}
	}
	s.tell(heads)
	return nil
}

// lookDaemons counts who is alive, and reads the duties of this daemon.
func (s *Store) lookDaemons(q query) error {
	alive, err := column[[16]byte](q, sqlAlive)
	if err != nil {
		return err
	}
	for i, id := range alive {
		if id == s.owner {
			s.share.Store(&[2]int{i, len(alive)})
		}
	}
	return s.lookDuties(q)
}

// lookNews tells of destinations that others registered or changed.
func (s *Store) lookNews(q query) error {
	n := &s.look.news
	var oldest string
	if err := q.one(sqlOldest, nil, &oldest); err != nil {
		return err
	}
	var changed []store.Destination
	stamps := map[uint32]int64{}
	err := q.each(sqlChanged, []any{n.oldest}, func(scan func(...any) error) error {
		var stamp int64
		d, err := scanDestination(func(to ...any) error { return scan(append(to, &stamp)...) })
		if err == nil && !s.known(d.ID, stamp) {
			changed = append(changed, d)
			stamps[d.ID] = stamp
		}
		return err
	})
	if err != nil {
		return err
	}
	s.tellChanged(changed)
	for id, stamp := range stamps {
		s.know(id, stamp)
	}
	n.oldest = oldest
	return nil
}
