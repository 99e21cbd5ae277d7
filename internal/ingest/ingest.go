// Package ingest accepts events: it reads the envelope, finds the matching
// destinations, makes both durable and offers the deliveries.
package ingest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Request is one event as a producer hands it in.
type Request struct {
	Developer      string
	Reference      string    // "": a fresh UUID
	Ordering       time.Time // zero: the time of acceptance
	IdempotencyKey string
	Body           []byte       // kept: the caller must not write to it afterwards
	Trace          *event.Trace // that it goes on with; nil: none. Kept
	Only           uint32       // the developer's one destination to get it, wanted or not; 0: all that match
	Own            bool         // an event of the engine's own, for Only if that wants it; no limit of the developer holds
}

// Result is what came of a Request.
type Result struct {
	ID         event.ID
	Reference  string
	Deliveries int
	Duplicate  bool
	Err        error // *Refusal
}

// Limits of what is accepted; zero fields do not limit.
type Limits struct {
	Body    int64
	Rate    float64 // events a second, each developer
	Pending int64   // deliveries, each developer
	Bytes   int64   // of pending bodies, each developer

	Daemons func() int // how many share Rate; nil: this one has all of it
}

// Store is what Accept needs of the store.
type Store interface {
	Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error)
	Counts(dest uint32) store.Counts
	Ready() error
}

// Ingest accepts events.
type Ingest struct {
	store  Store
	offer  func(*event.Event, []store.Item)
	limits Limits

	// Elsewhere, if it is set, is told of deliveries that another daemon goes on with, and of how
	// many bytes the body of each has. It is set before SetRoutes.
	Elsewhere func(dests []uint32, size int)

	swap   sync.Mutex // one SetRoutes at a time
	routes atomic.Pointer[routes]
}

// New builds an Ingest with no routes: everything is refused until SetRoutes.
// offer must not block; it is called once per event that has deliveries.
func New(s Store, offer func(*event.Event, []store.Item), l Limits) *Ingest {
	return &Ingest{store: s, offer: offer, limits: l}
}

// Ready is nil while Accept can work, else the *Refusal that it would answer to everything. It
// costs next to nothing: call it before reading a body.
func (in *Ingest) Ready() error {
	if refusal := in.closed(); refusal != nil {
		return refusal
	}
	return nil
}

func (in *Ingest) closed() *Refusal {
	if err := in.store.Ready(); err != nil {
		return unavailable(err)
	}
	if in.routes.Load() == nil {
		return &Refusal{Status: 503, Code: "unavailable", Message: "starting", RetryAfter: time.Second}
	}
	return nil
}

// accepting is one event on its way through Accept. An event and its entry share an allocation.
// The events of a batch do not: one that stays cached would keep the bodies of the others alive.
type accepting struct {
	event event.Event
	entry store.Entry
}

// Accept makes requests durable with one commit. Result i belongs to rs[i]; each stands alone.
func (in *Ingest) Accept(ctx context.Context, rs []Request) []Result {
	results := make([]Result, len(rs))
	if refusal := in.closed(); refusal != nil {
		for i := range results {
			results[i].Err = refusal
		}
		return results
	}
	now := time.Now()
	routes := in.routes.Load()
	batch := make([]*store.Entry, 0, len(rs))
	var loads []load
	for i := range rs {
		entry, refusal := in.prepare(routes, &rs[i], now, &loads)
		if refusal != nil {
			results[i].Err = refusal
			continue
		}
		batch = append(batch, entry)
	}
	if len(batch) == 0 {
		return results
	}
	appended, err := in.store.Append(ctx, now, batch)
	if err != nil {
		refusal := unavailable(err)
		for i := range results {
			if results[i].Err == nil {
				results[i].Err = refusal
			}
		}
		return results
	}
	next := 0
	for i := range results {
		if results[i].Err != nil {
			continue
		}
		results[i] = in.finish(batch[next], &appended[next])
		next++
	}
	return results
}

// prepare checks r and finds where it goes.
func (in *Ingest) prepare(routes *routes, r *Request, now time.Time, loads *[]load) (*store.Entry, *Refusal) {
	if r.Developer == "" {
		return nil, Refuse(400, "missing_developer", "no developer is named")
	}
	dev := routes.developers[r.Developer]
	if dev == nil {
		return nil, Refuse(404, "unknown_developer", "there is no such developer")
	}
	if refusal := in.checkFields(r); refusal != nil {
		return nil, refusal
	}
	if r.Own {
		return in.own(dev, r)
	}
	if wait := dev.bucket.Take(now); wait > 0 {
		return nil, limited(wait, "the developer hands in more events a second than are allowed")
	}
	envelope, err := event.Parse(r.Body)
	if err != nil {
		return nil, Unreadable(err)
	}
	a := &accepting{event: event.Event{
		Developer: dev.ID,
		Reference: r.Reference,
		Envelope:  envelope,
		Body:      r.Body,
		Trace:     r.Trace,
	}}
	if !r.Ordering.IsZero() {
		a.event.Ordering = r.Ordering.UTC().Truncate(time.Microsecond)
	}
	if a.event.Reference == "" {
		a.event.Reference = newReference()
	}
	a.entry = store.Entry{Event: &a.event, To: dev.match(envelope.Type), IdempotencyKey: r.IdempotencyKey}
	if r.Only != 0 {
		a.entry.To = []uint32{r.Only}
	}
	if refusal := in.checkLoad(dev, len(a.entry.To), len(r.Body), loads); refusal != nil {
		return nil, refusal
	}
	return &a.entry, nil
}

// finish offers what was stored and says what came of it.
func (in *Ingest) finish(e *store.Entry, a *store.Appended) Result {
	if a.Err != nil {
		if errors.Is(a.Err, store.ErrIdempotencyMismatch) {
			return Result{Err: Refuse(422, "idempotency_mismatch", "the idempotency key was used with another body")}
		}
		return Result{Err: unavailable(a.Err)}
	}
	if !a.Duplicate && len(a.Items) > 0 {
		in.offer(e.Event, a.Items)
	}
	if !a.Duplicate && len(a.Items) < a.Fanout && in.Elsewhere != nil {
		in.Elsewhere(elsewhere(e.To, a.Items), len(e.Event.Body))
	}
	return Result{ID: a.ID, Reference: a.Reference, Deliveries: a.Fanout, Duplicate: a.Duplicate}
}

// elsewhere returns which of the destinations have none of the items.
func elsewhere(to []uint32, items []store.Item) (dests []uint32) {
	for _, dest := range to {
		if !slices.ContainsFunc(items, func(it store.Item) bool { return it.ID.Dest == dest }) {
			dests = append(dests, dest)
		}
	}
	return dests
}
