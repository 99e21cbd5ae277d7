package pgstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	// watchEvery is how often a further primary is looked after, openEvery how often one that cannot be
	// opened is tried again.
	watchEvery = 500 * time.Millisecond
	openEvery  = 5 * time.Second
)

// primary is a further one. While it cannot be reached its deliveries stand still, and the engine
// goes on with those of the others: it is shown nothing of this one, and outcomes of what was under
// way are kept here. Once it can be reached they are recorded, and then the engine is told of
// everything that is pending there.
type primary struct {
	p      *Primaries
	name   string
	urls   []secret.Value
	number byte
	active atomic.Bool           // new events may go there
	store  atomic.Pointer[Store] // nil: it was not reached since the start

	recording sync.Mutex // held by who records what is late

	mu      sync.Mutex
	closed  bool
	missed  bool            // the engine was not told of everything that is pending
	writing int             // calls that record outcomes and that nobody waits for any more
	late    []store.Outcome // to be recorded
}

func (m *primary) unavailable() error {
	return &store.Unavailable{Reason: "the primary " + m.name + " of the store cannot be reached", After: time.Second}
}

// reached is the database if it was reached since the start. Reads have a deadline of their own.
func (m *primary) reached() (*Store, error) {
	if s := m.store.Load(); s != nil {
		return s, nil
	}
	return nil, m.unavailable()
}

// up is the database if it can be reached.
func (m *primary) up() (*Store, error) {
	s := m.store.Load()
	if s == nil || s.health.down.Load() {
		return nil, m.unavailable()
	}
	return s, nil
}

// writable is the database if a commit may begin there. Whoever lost the lease at home writes
// nowhere; without the lease there, what is pending would be tried and interrupted for ever.
func (m *primary) writable() (*Store, error) {
	s, err := m.up()
	switch home := m.p.home; {
	case home.health.gone.Load():
		return nil, store.ErrFenced
	case !home.Owned():
		if err := home.open(); err != nil {
			return nil, err
		}
		return nil, &store.Unavailable{Reason: "the lease on the store was not renewed in time", After: time.Second}
	case err == nil && (!s.health.reachable() || !s.Owned()):
		err = m.unavailable()
	}
	return s, err
}

// open opens the database. ctx bounds that alone.
func (m *primary) open(ctx context.Context) error {
	o := m.p.opts
	o.URLs, o.part, o.Log = m.urls, &part{home: m.p.home}, m.p.log.With("primary", m.name)
	if err := claimPart(ctx, o, mark{m.p.id, m.name}, m.active.Load()); err != nil {
		return err
	}
	s, err := Open(ctx, o)
	if err != nil {
		return err
	}
	m.p.seed(s)
	s.Follow(relay{m.p})
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return s.Close()
	}
	m.store.Store(s)
	return nil
}

func (m *primary) close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	s := m.store.Load()
	if s == nil {
		return nil
	}
	if _, err := m.writable(); err == nil {
		_ = m.record(s) // else what was under way is tried again
	}
	return s.Close()
}

// watch looks after the database until ctx ends.
func (m *primary) watch(ctx context.Context) {
	var tried time.Time
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if m.store.Load() == nil && time.Since(tried) > openEvery {
			tried = time.Now()
			if err := m.open(ctx); err != nil && ctx.Err() == nil {
				m.p.log.Error("a further primary cannot be opened; it is tried again", "primary", m.name, "error", err)
			}
		}
		m.look(ctx)
	}
}

// look brings up to date what is known of the database.
func (m *primary) look(ctx context.Context) {
	s, err := m.writable()
	if err != nil {
		return
	}
	m.recover(ctx, s)
	if m.active.Load() {
		return
	}
	known, err := s.members(ctx)
	active := false
	if err == nil {
		active, err = m.p.home.activate(ctx, m.name, known)
	}
	if err != nil && ctx.Err() == nil {
		m.p.log.Warn("whether every daemon knows a further primary was not found out; it is asked again", "primary", m.name, "error", err)
	}
	if active {
		m.p.log.Info("every daemon knows the further primary: events go there from now on", "primary", m.name)
		m.active.Store(true)
	}
}

// miss notes that the engine was not shown what is pending.
func (m *primary) miss() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed = true
}

func (m *primary) misses() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.missed
}

// recover records what is late and tells the engine of everything that is pending.
func (m *primary) recover(ctx context.Context, s *Store) {
	if !m.misses() || m.record(s) != nil {
		return
	}
	heads, err := s.Queues(ctx)
	if err != nil {
		m.miss()
		return
	}
	m.p.tell(heads)
}

var errLate = errors.New("outcomes are not recorded yet")

// record records the outcomes that are late. From its end on the engine may be shown what is
// pending.
func (m *primary) record(s *Store) error {
	if !m.recording.TryLock() {
		return errLate
	}
	defer m.recording.Unlock()
	for {
		m.mu.Lock()
		if m.writing > 0 {
			m.mu.Unlock()
			return errLate
		}
		n := min(len(m.late), moveChunk)
		part := m.late[:n]
		if n == 0 {
			m.late, m.missed = nil, false
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		if _, err := m.settleNow(context.Background(), s, time.Now(), part); err != nil {
			return err
		}
		m.mu.Lock()
		m.late = m.late[n:]
		m.mu.Unlock()
	}
}

// settledLate is what the engine is told of an outcome that is late: the delivery is pending, and
// somebody else goes on with it.
func settledLate(n int) []store.Settled {
	out := make([]store.Settled, n)
	for i := range out {
		out[i].State = store.Pending
	}
	return out
}

// settle records outcomes, or keeps them where the database does not answer.
func (m *primary) settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	s, err := m.writable()
	if err != nil && (errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrClosed) || !m.p.home.Owned()) {
		return nil, err
	}
	if err != nil || m.misses() {
		m.keep(outcomes)
		return settledLate(len(outcomes)), nil
	}
	type result struct {
		out []store.Settled
		err error
	}
	done := make(chan result, 1)
	go func() { // a commit whose answer is lost goes on for as long as the database is away
		out, err := m.settleNow(context.WithoutCancel(ctx), s, now, outcomes)
		done <- result{out, err}
	}()
	wait := time.NewTimer(m.p.patience)
	defer wait.Stop()
	select {
	case r := <-done:
		if _, away := errors.AsType[*store.Unavailable](r.err); away {
			m.keep(outcomes)
			return settledLate(len(outcomes)), nil
		}
		return r.out, r.err
	case <-wait.C:
	}
	outcomes = append([]store.Outcome(nil), outcomes...) // the caller uses them again
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed = true
	m.writing++
	go func() {
		r := <-done
		if r.err != nil {
			m.keep(outcomes)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.writing--
	}()
	return settledLate(len(outcomes)), nil
}

// keep keeps outcomes until they can be recorded.
func (m *primary) keep(outcomes []store.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missed = true
	m.late = append(m.late, outcomes...)
}

// settleNow records outcomes. What the database does not know may lie at home: see Primaries.of.
func (m *primary) settleNow(ctx context.Context, s *Store, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	out, err := s.Settle(ctx, now, outcomes)
	if err != nil {
		return nil, err
	}
	var gone []int
	for i := range out {
		if out[i].State == 0 {
			gone = append(gone, i)
		}
	}
	if len(gone) == 0 {
		return out, nil
	}
	again, err := m.p.home.Settle(ctx, now, pick(outcomes, gone))
	for k, i := range gone {
		if err == nil {
			out[i] = again[k]
		}
	}
	return out, err
}
