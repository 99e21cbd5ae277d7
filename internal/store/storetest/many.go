package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Many is a store in memory that several daemons work on: slots, leases and the rest of
// store.Shared in their plainest form, over the contents of a model. What a daemon that is killed has
// stored is stored: of a database, a daemon's death takes back nothing.
type Many struct {
	o        ManyOptions
	contents *contents

	// Under contents.mu:
	slots   []slot
	members []*Member // in the order in which they came; those that have ended too
	duties  map[string]*Member
}

// ManyOptions say how a Many behaves.
type ManyOptions struct {
	Lease  time.Duration    // 0: 15 s
	Serial int              // slots that serial destinations lie in; 0: 8
	Now    func() time.Time // of the store; nil: time.Now
	Rand   func() uint64    // of ids; nil: math/rand/v2
}

// slot is where deliveries lie.
type slot struct {
	owner   *Member // nil: it is free
	unclean int
}

// margin is the part of a lease that its owner does not use.
const margin = 5

// tellWithin is how soon a daemon learns what happens elsewhere.
const tellWithin = 20 * time.Millisecond

// NewMany makes an empty store.
func NewMany(o ManyOptions) *Many {
	o.Lease = cmp.Or(o.Lease, 15*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	return &Many{o: o, contents: newModel().contents, slots: make([]slot, cmp.Or(o.Serial, 8)), duties: map[string]*Member{}}
}

// Member is one daemon on a Many: its store.Shared.
type Member struct {
	*model
	many   *Many
	id     string
	serial func(dest uint32) bool
	fatal  func(error)
	wake   chan struct{} // signalled when there is something to do
	quit   chan struct{} // closed when it ends
	done   chan struct{} // closed when it has ended

	// Under contents.mu:
	follower store.Follower
	said     store.Daemon // by Announce
	until    time.Time    // of its lease
	renewed  time.Time    // when it asked for that: what it goes by itself
	lapsed   bool         // somebody has set its slots free
	over     bool         // closed or killed
	cut      int          // it does not reach the store
	index, n int          // of those alive, as it last saw them
	born     int          // deliveries
	heads    map[store.QueueID]store.Head
	news     map[int]bool // destinations
}

var _ store.Shared = (*Member)(nil)

// MemberOptions are what a daemon opens the store with.
type MemberOptions struct {
	Serial func(dest uint32) bool // nil: no destination is
	Fatal  func(error)            // see pgstore.Options.Fatal; nil: nobody is told
}

// Open lets one more daemon work on the store. It gets every free slot, and one of its own if there
// is none.
func (s *Many) Open(o MemberOptions) *Member {
	m := &Member{many: s, serial: o.Serial, fatal: o.Fatal, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		heads: map[store.QueueID]store.Head{}, news: map[int]bool{}}
	m.model = &model{contents: s.contents, member: m}
	s.contents.mu.Lock()
	defer s.contents.mu.Unlock()
	m.id = fmt.Sprint("daemon-", len(s.members))
	s.members = append(s.members, m)
	m.said.Started = time.Now()
	s.expire(m)
	m.renew()
	m.adopt(len(s.slots))
	if len(m.owns()) == 0 {
		s.slots = append(s.slots, slot{owner: m})
	}
	clear(m.heads)
	s.wakeAll()
	go m.keep()
	return m
}

// keep renews the lease, looks after the others', and tells what is new.
func (m *Member) keep() {
	defer close(m.done)
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-m.wake:
			// What happens at one moment is told at once.
			select {
			case <-time.After(tellWithin):
			case <-m.quit:
			}
		case <-m.quit:
			return
		}
		if fenced := m.look(); fenced {
			if m.fatal != nil {
				m.fatal(store.ErrFenced)
			}
			return
		}
		m.tell()
		t.Reset(m.many.o.Lease / 3)
	}
}

// look renews the lease and sets slots free whose owners have not renewed theirs. It tells
// whether somebody has set its own free.
func (m *Member) look() (fenced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over || m.cut > 0 {
		return false
	}
	if m.lapsed {
		return true
	}
	m.many.expire(m)
	m.renew()
	m.adopt(1)
	if m.many.free() > 0 {
		signal(m.wake)
	}
	return false
}

// expire ends the daemons whose leases are over, but for who looks.
func (s *Many) expire(by *Member) {
	for _, m := range s.members {
		if m != by && m.until.Before(s.o.Now()) && !m.lapsed {
			s.lapse(m)
		}
	}
}

// lapse sets the slots of a daemon free that has not renewed its lease, all of them.
func (s *Many) lapse(m *Member) {
	m.lapsed = true
	for i := range s.slots {
		if s.slots[i].owner == m {
			s.slots[i].owner = nil
			s.slots[i].unclean++
		}
	}
	s.forget(m)
}

// forget takes the duties of a daemon that is gone from it.
func (s *Many) forget(m *Member) {
	for name, holder := range s.duties {
		if holder == m {
			delete(s.duties, name)
		}
	}
	s.wakeAll()
}

// renew renews the lease, and sees who is there.
func (m *Member) renew() {
	m.renewed, m.until = time.Now(), m.many.o.Now().Add(m.many.o.Lease)
	m.said.Seen = m.many.o.Now()
	m.n = 0
	for _, other := range m.many.members {
		if other == m {
			m.index = m.n
		}
		if !other.lapsed {
			m.n++
		}
	}
}

// left tells whether m gave its slots back.
func (m *Member) left() bool { return m.until.IsZero() }

// adopt takes up to n free slots.
func (m *Member) adopt(n int) {
	for i := range m.many.slots {
		if n > 0 && m.many.slots[i].owner == nil {
			m.many.slots[i].owner = m
			n--
			for _, h := range m.model.heads(func(row *modelRow) bool { return row.slot == i }) {
				m.pending(h)
			}
		}
	}
}

func (s *Many) free() (n int) {
	for i := range s.slots {
		if s.slots[i].owner == nil {
			n++
		}
	}
	return n
}

func (m *Member) owns() (slots []int) {
	for i := range m.many.slots {
		if m.many.slots[i].owner == m {
			slots = append(slots, i)
		}
	}
	return slots
}

// pending has m told of a queue.
func (m *Member) pending(h store.Head) {
	if known, ok := m.heads[h.Queue]; ok {
		h.Unclean = max(h.Unclean, known.Unclean)
		if comparePositions(known.From, h.From) < 0 {
			h.From = known.From
		}
	}
	m.heads[h.Queue] = h
	signal(m.wake)
}

func (s *Many) wakeAll() {
	for _, m := range s.members {
		signal(m.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tell tells the follower what is new.
func (m *Member) tell() {
	m.mu.Lock()
	f := m.follower
	if f == nil || m.over || m.cut > 0 || len(m.heads) == 0 && len(m.news) == 0 {
		m.mu.Unlock()
		return
	}
	var heads []store.Head
	for _, h := range m.heads {
		heads = append(heads, h)
	}
	slices.SortFunc(heads, func(a, b store.Head) int {
		return cmp.Or(cmp.Compare(a.Queue.Dest, b.Queue.Dest), cmp.Compare(a.Queue.Settings, b.Queue.Settings))
	})
	var news []store.Destination
	for i := range m.dests {
		if m.news[i] {
			news = append(news, m.dests[i])
		}
	}
	clear(m.heads)
	clear(m.news)
	m.mu.Unlock()
	if len(heads) > 0 {
		f.Pending(heads)
	}
	if len(news) > 0 {
		f.Changed(news)
	}
}

// Follow tells f what happens elsewhere: see store.Shared.
func (m *Member) Follow(f store.Follower) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.follower = f
	signal(m.wake)
}

// Owned tells whether attempts may begin: see store.Shared.
func (m *Member) Owned() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	lease := m.many.o.Lease
	return !m.over && time.Since(m.renewed) < lease-lease/margin
}

// Holds tells the same of any event: see store.Shared.
func (m *Member) Holds(event.ID) bool { return m.Owned() }

// Duty tells whether m has it: see store.Shared.
func (m *Member) Duty(_ context.Context, name string) (bool, error) {
	if err := m.lock(); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	if m.many.duties[name] == nil {
		m.many.duties[name] = m
	}
	return m.many.duties[name] == m, nil
}

// Share is the place of m among those that are alive: see store.Shared.
func (m *Member) Share() (i, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index, m.n
}

// OwnPending is what lies in slots of m: see store.Shared.
func (m *Member) OwnPending(dest uint32) (n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, row := range m.rows {
		if id.Dest == dest && row.state == store.Pending && m.shows(row) {
			n++
		}
	}
	return n
}

// Announce stores what m says of itself: see store.Shared.
func (m *Member) Announce(_ context.Context, d store.Daemon) error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.mu.Unlock()
	d.Started, d.Seen = m.said.Started, m.said.Seen
	m.said = d
	return nil
}

// Daemons lists who is there, and who ended without giving their slots back: see store.Shared.
func (m *Member) Daemons(context.Context) ([]store.Daemon, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	var ds []store.Daemon
	for _, other := range m.many.members {
		if other.left() {
			continue
		}
		d := other.said
		d.ID, d.Self, d.Alive, d.Slots = other.id, other == m, !other.lapsed, other.owns()
		ds = append(ds, d)
	}
	return ds, nil
}

// Close gives everything back: see store.Shared.
func (m *Member) Close() error {
	m.mu.Lock()
	if m.over {
		m.mu.Unlock()
		return nil
	}
	reached := m.cut == 0 && !m.lapsed
	if m.end(); reached {
		for i := range m.many.slots {
			if m.many.slots[i].owner == m {
				m.many.slots[i] = slot{}
			}
		}
		m.until, m.lapsed = time.Time{}, true
		m.many.forget(m)
	}
	m.mu.Unlock()
	<-m.done
	return nil
}

func (m *Member) end() {
	m.over, m.model.closed = true, true
	close(m.quit)
}

// Kill ends the daemon without goodbye: its lease goes on.
func (m *Member) Kill() {
	m.mu.Lock()
	if !m.over {
		m.end()
	}
	m.mu.Unlock()
	<-m.done
}

// Cut keeps the daemon from reaching the store until mend is called. A daemon that is stopped by a
// signal and goes on later looks like that from outside.
func (m *Member) Cut() (mend func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.cut--; m.cut == 0 {
			signal(m.wake)
		}
	}
}

// ErrCut is what calls of a daemon return that does not reach the store.
var ErrCut = errors.New("the store cannot be reached")

// What follows is called by the model under its mutex. A model that is nobody's has no member.

// allowed returns why a call is not done.
func (m *Member) allowed() error {
	switch {
	case m == nil || m.over: // a closed model says so itself
		return nil
	case m.cut > 0:
		return &store.Unavailable{Reason: ErrCut.Error(), After: time.Second}
	case m.lapsed:
		return store.ErrFenced
	}
	return nil
}

func (m *Member) bits() uint64 {
	if m == nil {
		return rand.Uint64()
	}
	return m.many.o.Rand()
}

// shows tells whether a row lies in a slot of m.
func (m *Member) shows(row *modelRow) bool { return m == nil || m.many.slots[row.slot].owner == m }

// unclean is that of the slot of a row.
func (m *Member) unclean(row *modelRow) int {
	if m == nil {
		return 0
	}
	return m.many.slots[row.slot].unclean
}

// bears lays a row that has become pending into its slot, and tells whether that is one of m's own.
// Whose it is else is told.
func (m *Member) bears(row *modelRow) bool {
	if m == nil {
		return true
	}
	if m.serial != nil && m.serial(row.ID.Dest) {
		row.slot = int(row.ID.Dest) % cmp.Or(m.many.o.Serial, 8)
	} else {
		slots := m.owns() // the committers of a daemon have one each
		row.slot = slots[m.born%len(slots)]
		m.born++
	}
	m.tellOf(row)
	return m.shows(row)
}

// tellOf has the owner of a row told of it that is not m.
func (m *Member) tellOf(row *modelRow) {
	if m == nil {
		return
	}
	if owner := m.many.slots[row.slot].owner; owner != nil && owner != m {
		owner.pending(store.Head{Queue: row.Queue, From: row.Position()})
	}
}

// changed has everybody else told of a destination.
func (m *Member) changed(dest int) {
	if m == nil {
		return
	}
	for _, other := range m.many.members {
		if other != m && !other.over {
			other.news[dest] = true
			signal(other.wake)
		}
	}
}

// Pending is how many deliveries wait, in all slots.
func (s *Many) Pending() (n int) {
	s.contents.mu.Lock()
	defer s.contents.mu.Unlock()
	for _, row := range s.contents.rows {
		if row.state == store.Pending {
			n++
		}
	}
	return n
}

// Orphans is how many slots are free.
func (s *Many) Orphans() (n int) {
	s.contents.mu.Lock()
	defer s.contents.mu.Unlock()
	for _, slot := range s.slots {
		if slot.owner == nil || slot.owner.left() {
			n++
		}
	}
	return n
}

// Lapsed tells whether somebody has set the slots of m free.
func (m *Member) Lapsed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lapsed
}
