package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// Slots of serial destinations: there is a fixed number of them, which the schema makes.
	firstSerial = 10001
	serialSlots = 16
)

// serialSlot is the slot of a destination whose deliveries one daemon alone may make.
func serialSlot(dest uint32) int16 { return int16(firstSerial + dest%serialSlots) }

// slotFor is the slot in which something becomes pending for dest, where a commit for the
// slot own makes it.
func (s *Store) slotFor(dest uint32, own int16) int16 {
	if s.opts.Serial != nil && s.opts.Serial(dest) {
		return serialSlot(dest)
	}
	return own
}

// owned are the slots of this daemon. The lookout alone replaces them.
type owned struct{ now atomic.Pointer[slotSet] }

type slotSet struct {
	all, plain []int16       // plain: without those of serial destinations
	unclean    map[int16]int // how many owners ended one after the other without giving it back
}

func (o *owned) set(rows []slotRow) {
	n := &slotSet{unclean: map[int16]int{}}
	for _, r := range rows {
		n.all = append(n.all, r.id)
		if r.id < firstSerial {
			n.plain = append(n.plain, r.id)
		}
		n.unclean[r.id] = r.unclean
	}
	o.now.Store(n)
}

func (o *owned) all() []int16 { return o.now.Load().all }

// has tells whether a slot is this daemon's.
func (o *owned) has(slot int16) bool {
	_, ok := slices.BinarySearch(o.now.Load().all, slot)
	return ok
}

// of are the slots of this daemon in which deliveries for dest may lie.
func (o *owned) of(dest uint32) []int16 {
	set := o.now.Load()
	if slot := serialSlot(dest); o.has(slot) {
		return append(slices.Clip(set.plain), slot)
	}
	return set.plain
}

// here leaves out what lies in slots of other daemons: they go on with it.
func (s *Store) here(items []store.Item, slotOf func(*store.Item) int16) []store.Item {
	return slices.DeleteFunc(items, func(it store.Item) bool { return !s.owned.has(slotOf(&it)) })
}

// slotRow is what the database says of a slot.
type slotRow struct {
	id      int16
	owner   [16]byte
	epoch   int64
	unclean int
	over    bool // its lease has ended
	left    bool // its owner has ended the lease itself
	known   bool // its owner has a row in daemon
	headLow int64
}

func (r *slotRow) free() bool { return r.owner == [16]byte{} }

func lookSlots(q query) (rows []slotRow, err error) {
	err = q.each(sqlLookSlots, nil, func(scan func(...any) error) error {
		var r slotRow
		err := scan(&r.id, &r.owner, &r.epoch, &r.unclean, &r.over, &r.left, &r.known, &r.headLow)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// join makes this process a daemon of the database with slots of its own: free ones, or new
// ones. It waits for nobody's lease. Who is alone adopts all that is free at once.
func (s *Store) join(ctx context.Context) error {
	l := s.look.link
	q := query{ctx, l.Conn}
	rows, err := lookSlots(q)
	if err != nil {
		return fmt.Errorf("list slots: %w", err)
	}
	if _, err := s.freeOver(ctx, l.Conn, rows, false); err != nil {
		return err
	}
	began := bootTime()
	var mine []int16
	err = pgx.BeginFunc(ctx, l.Conn, func(tx pgx.Tx) error {
		mine, err = s.takeSlots(query{ctx, tx}, tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("make slots: %w", err)
	}
	s.joined = true
	s.lease.renewedAt(began, s.opts.Lease)
	if rows, err = lookSlots(q); err != nil {
		return fmt.Errorf("list slots: %w", err)
	}
	alone := !slices.ContainsFunc(rows, func(r slotRow) bool { return !r.free() && r.owner != s.owner })
	if alone {
		if _, err := s.adoptSlots(q, rows); err != nil {
			return err
		}
	}
	if rows, err = lookSlots(q); err != nil {
		return fmt.Errorf("list slots: %w", err)
	}
	own := slices.DeleteFunc(slices.Clone(rows), func(r slotRow) bool { return r.owner != s.owner })
	s.lows.learn(own)
	s.owned.set(own)
	for i, id := range mine {
		at := slices.IndexFunc(rows, func(r slotRow) bool { return r.id == id && r.owner == s.owner })
		if at < 0 {
			return errors.New("another daemon has taken the slots of this one")
		}
		c := &committer{s: s, slot: id, epoch: rows[at].epoch, on: timelineOf(l.PgConn())}
		if err := q.one(sqlLastSeq, []any{id}, &c.seq); err != nil {
			return fmt.Errorf("find the last commit of slot %d: %w", id, err)
		}
		// Numbers grow from owner to owner, also where all the tally is folded: others remember the last
		// that they have read.
		c.seq = max(c.seq, c.epoch<<32)
		c.base = c.seq
		if i == 0 {
			s.changes = c
		} else {
			s.appends = append(s.appends, c)
		}
	}
	return s.renewOn(q) // which measures the clock
}

// takeSlots makes the row of this daemon and takes slots to write for.
func (s *Store) takeSlots(q query, tx pgx.Tx) (mine []int16, err error) {
	if _, err := tx.Exec(q.ctx, sqlJoin, s.owner, s.started.UnixNano(), s.opts.Lease.Milliseconds()); err != nil {
		return nil, err
	}
	err = q.each(sqlFreeSlots, []any{appenders + 1}, func(scan func(...any) error) error {
		var id int16
		err := scan(&id)
		mine = append(mine, id)
		return err
	})
	for err == nil && len(mine) < appenders+1 {
		var id int16
		err = q.one(sqlMakeSlot, nil, &id)
		mine = append(mine, id)
	}
	if err == nil {
		mine, err = column[int16](q, sqlAdopt, mine, s.owner, s.opts.Lease.Milliseconds())
	}
	slices.Sort(mine)
	return mine, err
}

// adoptSlots makes free slots this daemon's that there is a reason to adopt, and tells how many
// it got: another may be faster.
func (s *Store) adoptSlots(q query, rows []slotRow) (n int, err error) {
	var ids []int16
	for _, r := range rows {
		idle := false
		switch {
		case !r.free():
			continue
		case r.id >= firstSerial:
			if !s.opts.part.serves(r.id) {
				continue
			}
		case s.look.empty[r.id] == r.epoch: // a commit for the slot needs its fence, so that what is empty stays so
			continue
		default:
			if err := q.one(sqlIdle, []any{r.id}, &idle); err != nil {
				return 0, err
			}
		}
		if idle {
			s.look.empty[r.id] = r.epoch
		} else {
			ids = append(ids, r.id)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	got, err := column[int16](q, sqlAdopt, ids, s.owner, s.opts.Lease.Milliseconds())
	if err != nil {
		return 0, fmt.Errorf("adopt slots: %w", err)
	}
	return len(got), nil
}

// freeOver sets the slots free of owners who left, and with dead those of owners whose leases
// are over. It tells whether there were any.
func (s *Store) freeOver(ctx context.Context, c *pgx.Conn, rows []slotRow, dead bool) (some bool, err error) {
	type state struct{ over, left bool }
	owners := map[[16]byte]state{}
	for _, r := range rows {
		if r.free() || r.owner == s.owner {
			continue
		}
		o, seen := owners[r.owner]
		if !seen {
			o = state{true, true}
		}
		owners[r.owner] = state{o.over && r.over, o.left && r.left}
	}
	for owner, o := range owners {
		if !o.over || !o.left && !dead {
			continue
		}
		if time.Since(s.look.held[owner]) < heldWait {
			continue
		}
		done, err := s.setFree(ctx, c, owner, o.left)
		if is(err, lockNotAvailable, deadlockDetected) {
			s.log.Warn("another daemon's last commit is still under way: its slots are set free later", "daemon", uuid(owner))
			s.look.held[owner] = time.Now()
			continue
		}
		if err != nil {
			return some, fmt.Errorf("set the slots of another daemon free: %w", err)
		}
		if done && !o.left {
			s.log.Warn("the lease of another daemon is over: its work is given to others", "daemon", uuid(owner))
		}
		some = some || done
	}
	return some, nil
}

// setFree takes all slots of an owner from it, in one transaction. A commit of the owner that
// is under way holds a fence, and is waited for: the adopter reads after it. Whatever the owner
// begins later finds no fence.
func (s *Store) setFree(ctx context.Context, c *pgx.Conn, owner [16]byte, clean bool) (done bool, err error) {
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		q := query{ctx, tx}
		if err := q.one(sqlBeginFree, nil, nil, nil, nil); err != nil {
			return err
		}
		alive := false
		err := q.one(sqlLockDaemon, []any{owner}, &alive)
		former := errors.Is(err, store.ErrNotFound) // a program of schema 1, which does not know head_low
		if err != nil && !former {
			return err
		}
		ids, err := column[int16](q, sqlLockSlots, owner)
		if err != nil {
			return err
		}
		leases, err := column[bool](q, sqlLockLeases, ids)
		if err != nil {
			return err
		}
		if owner != s.owner && (alive || slices.Contains(leases, true)) {
			return nil // it has renewed them just now
		}
		if ids, err = column[int16](q, sqlSetFree, owner, clean); err != nil {
			return err
		}
		last := sqlEndDaemon
		if clean {
			last = sqlDropDaemon
		}
		for _, step := range []struct {
			sql  string
			args []any
		}{{sqlEndLeases, []any{ids, former}}, {sqlDropDuties, []any{owner}}, {last, []any{owner}}} {
			if _, err := tx.Exec(ctx, step.sql, step.args...); err != nil {
				return err
			}
		}
		done = true
		return nil
	})
	return done && err == nil, err
}

// column reads a list of values.
func column[T any](q query, sql string, args ...any) (all []T, err error) {
	all = []T{} // nil would be NULL
	err = q.each(sql, args, func(scan func(...any) error) error {
		var v T
		err := scan(&v)
		all = append(all, v)
		return err
	})
	return all, err
}

// leaveSlots gives the slots up, so that another daemon adopts them at once.
func (s *Store) leaveSlots() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*connectTimeout)
	defer cancel()
	l, err := s.look.link, error(nil)
	if l == nil || l.IsClosed() {
		l, err = s.connectLink(ctx, &s.look)
		s.look.link = l
	}
	if err == nil {
		_, err = s.setFree(ctx, l.Conn, s.owner, true)
	}
	if err != nil {
		s.log.Warn("the slots could not be given back: others wait for the end of the lease", "error", err)
	}
}

// giveBack frees slots in which nothing is pending any more, so that they do not grow in
// number with every deploy.
func (s *Store) giveBack(q query) error {
	for _, id := range s.owned.now.Load().plain {
		if s.writer(id) != nil {
			continue
		}
		s.look.given[id] = time.Now() // before: the answer may be lost
		if err := q.one(sqlGiveBack, []any{id, s.owner}, nil); err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("give slot %d back: %w", id, err)
		}
	}
	return nil
}

// lost returns slots that this daemon has in memory and not in the database.
func (s *Store) lost(mine []slotRow) (ids []int16) {
	have := map[int16]bool{}
	for _, id := range s.owned.all() {
		have[id] = true
	}
	for _, r := range mine {
		delete(have, r.id)
	}
	for id, at := range s.look.given {
		delete(have, id)
		if time.Since(at) > giveBackEvery {
			delete(s.look.given, id)
		}
	}
	return slices.Sorted(maps.Keys(have))
}
