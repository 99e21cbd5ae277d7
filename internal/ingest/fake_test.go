package ingest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// memory is a Store that keeps what it is given and fails on request.
type memory struct {
	mu      sync.Mutex
	order   uint16
	commits int
	entries []*store.Entry
	keys    map[string]*store.Entry
	counts  map[uint32]store.Counts
	ready   error
	fail    error
}

func newMemory() *memory {
	return &memory{keys: map[string]*store.Entry{}, counts: map[uint32]store.Counts{}}
}

func (m *memory) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ready
}

func (m *memory) Counts(dest uint32) store.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[dest]
}

func (m *memory) Append(_ context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	m.commits++
	out := make([]store.Appended, len(batch))
	for i, e := range batch {
		out[i] = m.append(now, e)
	}
	return out, nil
}

func (m *memory) append(now time.Time, e *store.Entry) store.Appended {
	key := e.Event.Developer + " " + e.IdempotencyKey
	if first := m.keys[key]; e.IdempotencyKey != "" && first != nil {
		if !bytes.Equal(first.Event.Body, e.Event.Body) {
			return store.Appended{Err: store.ErrIdempotencyMismatch}
		}
		return store.Appended{ID: first.Event.ID, Reference: first.Event.Reference, Fanout: len(first.To), Duplicate: true}
	}
	m.order++
	e.Event.ID = event.NewID(now, m.order, 1)
	if e.Event.Ordering.IsZero() {
		e.Event.Ordering = now.UTC().Truncate(time.Microsecond)
	}
	m.entries = append(m.entries, e)
	m.keys[key] = e
	items := make([]store.Item, len(e.To))
	for i, dest := range e.To {
		items[i] = store.Item{ID: store.DeliveryID{Day: e.Event.ID.Day(), Event: e.Event.ID, Dest: dest}}
		c := m.counts[dest]
		c.Pending++
		c.PendingBytes += int64(len(e.Event.Body))
		m.counts[dest] = c
	}
	return store.Appended{Items: items, ID: e.Event.ID, Reference: e.Event.Reference, Fanout: len(e.To)}
}

// offers records what was offered.
type offers struct {
	mu     sync.Mutex
	events []*event.Event
	items  int
}

func (o *offers) offer(e *event.Event, items []store.Item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
	o.items += len(items)
}

func everything(string) bool { return true }

func only(prefix string) func(string) bool {
	return func(typ string) bool { return strings.HasPrefix(typ, prefix) }
}

// acme has one destination for everything and one for sleep; initech has none.
func sample() *Routes {
	return &Routes{Developers: map[string]*Developer{
		"acme": {
			ID:           "acme",
			Destinations: []Route{{ID: 1, Matches: everything}, {ID: 2, Matches: only("sleep")}},
			All:          []uint32{1, 2, 9},
		},
		"initech": {ID: "initech"},
	}}
}

func start(t testing.TB, m *memory, l Limits) (*Ingest, *offers) {
	t.Helper()
	var o offers
	in := New(m, o.offer, l)
	in.SetRoutes(sample())
	return in, &o
}

func accept(t testing.TB, in *Ingest, r Request) (Result, *Refusal) {
	t.Helper()
	rs := in.Accept(t.Context(), []Request{r})
	if len(rs) != 1 {
		t.Fatalf("got %d results for one request", len(rs))
	}
	if rs[0].Err == nil {
		return rs[0], nil
	}
	refusal, ok := rs[0].Err.(*Refusal)
	if !ok {
		t.Fatalf("error is a %T, want a *Refusal", rs[0].Err)
	}
	return rs[0], refusal
}
