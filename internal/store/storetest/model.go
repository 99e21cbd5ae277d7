package storetest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// model is the contract in its plainest form: maps behind a mutex, every answer
// a scan of all there is. Random work on a store is done to a model too.
type model struct {
	*contents
	member  *Member // whose it is; nil: it is nobody else's
	closed  bool
	stalled time.Time
	gate    chan struct{} // closed when commits may end; nil: they may
}

// contents is what a model holds.
type contents struct {
	mu       sync.Mutex
	accepted time.Time // of the newest event
	newest   event.ID
	events   map[event.ID]*modelEvent
	copies   map[dayEvent]*modelEvent // that replays carried to later days
	rows     map[store.DeliveryID]*modelRow
	keys     map[modelKey]modelFirst
	version  uint32

	dests    []store.Destination
	settings map[uint64][]byte
	values   map[string][]byte
	docs     map[string][]store.Document // oldest first
	erasures []store.Erasure
	acts     []store.Act // oldest first

	backups map[string]*model
}

var _ store.Store = (*model)(nil)

type modelEvent struct {
	event.Event
	size int
	to   []uint32
	gone string
}

type modelRow struct {
	store.Item // as its queue offers it while it is pending
	state      store.State
	reason     string
	changed    int64
	attempts   []store.Attempt
	slot       int
}

type modelKey struct{ developer, key string }

type modelFirst struct {
	day  event.Day
	body [32]byte
	store.Appended
}

func newModel() *model {
	return &model{contents: &contents{
		events: map[event.ID]*modelEvent{}, copies: map[dayEvent]*modelEvent{}, rows: map[store.DeliveryID]*modelRow{}, keys: map[modelKey]modelFirst{},
		settings: map[uint64][]byte{}, values: map[string][]byte{}, docs: map[string][]store.Document{}, backups: map[string]*model{},
	}}
}

// lock takes the mutex, or says why not.
func (m *model) lock() error {
	m.mu.Lock()
	err := m.member.allowed()
	if m.closed {
		err = store.ErrClosed
	}
	if err != nil {
		m.mu.Unlock()
	}
	return err
}

// commit gives the mutex back and waits while nothing can be made durable.
func (m *model) commit() {
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

func (m *model) Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	if m.hangs() {
		m.mu.Unlock()
		return nil, &store.Unavailable{Reason: "store stalled", After: time.Second}
	}
	defer m.commit()
	out := make([]store.Appended, len(batch))
	for i, e := range batch {
		out[i] = m.accept(now, e)
	}
	return out, nil
}

func (m *model) hangs() bool { return m.gate != nil && time.Since(m.stalled) > 2*time.Second }

func (m *model) accept(now time.Time, e *store.Entry) store.Appended {
	if a, ok := m.known(e); ok {
		return a
	}
	at := now.UTC().Truncate(time.Microsecond)
	if at.Before(m.accepted) {
		at = m.accepted
	}
	m.accepted = at
	order := uint16(0)
	if ms := at.Truncate(time.Millisecond); !ms.After(m.newest.Time()) {
		if order = m.newest.Order() + 1; order > 0xfff {
			order, m.accepted = 0, m.newest.Time().Add(time.Millisecond)
		} else {
			m.accepted = later(at, m.newest.Time())
		}
		at = m.accepted
	}
	e.Event.ID = event.NewID(at, order, m.member.bits())
	if e.Event.Ordering.IsZero() {
		e.Event.Ordering = at
	}
	return m.keep(now, e)
}

// known answers an entry whose key was used before.
func (m *model) known(e *store.Entry) (store.Appended, bool) {
	first, ok := m.keys[modelKey{e.Event.Developer, e.IdempotencyKey}]
	switch {
	case !ok || e.IdempotencyKey == "":
		return m.knownEvent(e)
	case first.body != sha256.Sum256(e.Event.Body):
		return store.Appended{Err: store.ErrIdempotencyMismatch}, true
	}
	return store.Appended{ID: first.ID, Reference: first.Reference, Fanout: first.Fanout, Duplicate: true}, true
}

// knownEvent answers an entry whose key is the id of an event.
func (m *model) knownEvent(e *store.Entry) (store.Appended, bool) {
	id, err := event.ParseID(e.IdempotencyKey)
	ev := m.events[id]
	switch {
	case err != nil || ev == nil || ev.Developer != e.Event.Developer:
		return store.Appended{}, false
	case ev.gone == "" && !bytes.Equal(ev.Body, e.Event.Body):
		return store.Appended{Err: store.ErrIdempotencyMismatch}, true
	}
	return store.Appended{ID: id, Reference: ev.Reference, Fanout: len(ev.to), Duplicate: true}, true
}

// keep stores an entry whose event has its id and ordering time.
func (m *model) keep(now time.Time, e *store.Entry) store.Appended {
	ev := &modelEvent{Event: *e.Event, size: len(e.Event.Body)}
	for _, d := range e.To {
		if !slices.Contains(ev.to, d) {
			ev.to = append(ev.to, d)
		}
	}
	m.events[ev.ID] = ev
	if newer(ev.ID, m.newest) {
		m.newest = ev.ID
	}
	a := store.Appended{ID: ev.ID, Reference: ev.Reference, Fanout: len(ev.to)}
	for _, d := range ev.to {
		m.version++
		it := store.Item{
			ID:    store.DeliveryID{Day: ev.ID.Day(), Event: ev.ID, Dest: d},
			Queue: store.QueueID{Dest: d}, Due: now.UnixNano(), Ordering: ev.Ordering.UnixNano(),
			Size: uint32(ev.size), Version: m.version,
		}
		row := &modelRow{Item: it, state: store.Pending, changed: now.UnixNano()}
		m.rows[it.ID] = row
		if m.member.bears(row) {
			a.Items = append(a.Items, it)
		}
	}
	if e.IdempotencyKey != "" {
		m.keys[modelKey{ev.Developer, e.IdempotencyKey}] = modelFirst{day: event.DayOf(now), body: sha256.Sum256(ev.Body), Appended: a}
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (m *model) Settle(ctx context.Context, now time.Time, outcomes []store.Outcome) ([]store.Settled, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	out := make([]store.Settled, len(outcomes))
	for i := range outcomes {
		out[i] = m.outcome(now, &outcomes[i])
	}
	return out, nil
}

func (m *model) outcome(now time.Time, o *store.Outcome) store.Settled {
	row := m.rows[o.Item.ID]
	if row == nil {
		return store.Settled{Stale: true}
	}
	stale := row.Version != o.Item.Version
	if o.Attempt != nil {
		a := *o.Attempt
		if m.at(o.Item.ID.Day, o.Item.ID.Event).gone == "erased" {
			a.Answer = ""
		}
		row.attempts = append(row.attempts, a)
	}
	if !stale || o.State == store.Delivered && row.state != store.Delivered {
		row.state, row.reason, row.changed = o.State, o.Reason, now.UnixNano()
		row.Item.Attempts = o.Attempts
		if o.State == store.Pending {
			row.Due, row.Queue.Settings = o.Due, o.Settings
		}
		m.version++
		row.Version = m.version
	}
	s := store.Settled{State: row.state, Stale: stale}
	if row.state == store.Pending {
		s.Item = m.offered(row)
	}
	return s
}

func (m *model) Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error) {
	if err := m.lock(); err != nil {
		return nil, 0, err
	}
	defer m.mu.Unlock()
	var all, out []store.Item
	for _, row := range m.rows {
		if row.state == store.Pending && row.Queue == q && m.member.shows(row) && comparePositions(from, row.Position()) <= 0 {
			all = append(all, row.Item)
		}
	}
	slices.SortFunc(all, func(a, b store.Item) int { return comparePositions(a.Position(), b.Position()) })
	for _, it := range all {
		if it.Due > until || len(out) == limit {
			return out, it.Due, nil
		}
		out = append(out, it)
	}
	return out, 0, nil
}

func comparePositions(a, b store.Position) int {
	return cmp.Or(cmp.Compare(a.Due, b.Due), slices.Compare(a.Event[:], b.Event[:]), cmp.Compare(a.Replay, b.Replay))
}

func (m *model) Queues(ctx context.Context) ([]store.Head, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.mu.Unlock()
	return m.heads(m.member.shows), nil
}

// heads lists where the queues of those rows begin.
func (m *model) heads(meant func(*modelRow) bool) (heads []store.Head) {
	first := map[store.QueueID]store.Head{}
	for _, row := range m.rows {
		if row.state != store.Pending || !meant(row) {
			continue
		}
		h, seen := first[row.Queue]
		if !seen || comparePositions(row.Position(), h.From) < 0 {
			h.Queue, h.From = row.Queue, row.Position()
		}
		h.Unclean = max(h.Unclean, m.member.unclean(row))
		first[row.Queue] = h
	}
	for _, h := range first {
		heads = append(heads, h)
	}
	slices.SortFunc(heads, func(a, b store.Head) int {
		return cmp.Or(cmp.Compare(a.Queue.Dest, b.Queue.Dest), cmp.Compare(a.Queue.Settings, b.Queue.Settings))
	})
	return heads
}

func (m *model) Move(ctx context.Context, now time.Time, c store.Change, ids []store.DeliveryID) ([]store.Moved, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.commit()
	out := make([]store.Moved, len(ids))
	for i, id := range ids {
		out[i] = m.change(now, c, id)
	}
	return out, nil
}

func (m *model) change(now time.Time, c store.Change, id store.DeliveryID) store.Moved {
	row := m.rows[id]
	if row == nil {
		return store.Moved{ID: id, Err: store.ErrNotFound}
	}
	out := store.Moved{ID: id, From: row.state, To: row.state}
	arrived := c == store.RetryLatest && m.arrived(id)
	if c == store.RetryLatest {
		c = store.Retry
	}
	switch {
	case c == store.Retry && m.at(id.Day, id.Event).gone != "":
		out.Err = store.ErrNotFound
		return out
	case arrived, c == store.Retry && m.doubles(id), c != store.Retry && row.state != store.Pending, c == store.Rebind && row.Queue.Settings == 0:
		out.Err = store.ErrConflict
		return out
	}
	if row.state == store.Pending {
		out.Was = row.Queue
	} else {
		row.Round++ // of what has ended, nothing but a retry applies
	}
	switch c {
	case store.Cancel:
		row.state, row.reason = store.Cancelled, "cancelled"
	case store.Expire:
		row.state, row.reason = store.Dead, "expired"
		row.attempts = append(row.attempts, store.Attempt{At: now.UnixNano(), Class: "expired"})
	case store.Retry:
		row.state, row.reason = store.Pending, ""
		row.Due, row.Queue.Settings, row.Item.Attempts = now.UnixNano(), 0, 0
		m.member.bears(row)
	case store.Rebind:
		row.Queue.Settings = 0
		m.member.tellOf(row)
	}
	m.version++
	row.Version, row.changed = m.version, now.UnixNano()
	if out.To = row.state; row.state == store.Pending {
		out.Item = m.offered(row)
	}
	return out
}

// offered is a pending row as whoever changed it gets it; zero where it is another's.
func (m *model) offered(row *modelRow) (it store.Item) {
	if m.member.shows(row) {
		it = row.Item
	}
	return it
}
