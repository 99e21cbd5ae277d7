// Package ingest accepts events: it reads the envelope, finds the matching
// destinations, makes both durable and offers the deliveries.
package ingest

import (
	"context"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Routes says who exists and where events go. It is immutable; a reload swaps it whole.
type Routes struct {
	Developers map[string]*Developer
}

// Developer is what Accept needs of one developer.
type Developer struct {
	ID           string
	Destinations []Route  // those in the settings, disabled ones too
	All          []uint32 // every destination ever registered, for limits on what is pending
}

// Route is one destination that may match.
type Route struct {
	ID      uint32
	Matches func(typ string) bool
}

// Request is one event as a producer hands it in.
type Request struct {
	Developer      string
	Reference      string    // "": a fresh UUID
	Ordering       time.Time // zero: the time of acceptance
	IdempotencyKey string
	Body           []byte // kept: the caller must not write to it afterwards
}

// Result is what came of a Request.
type Result struct {
	ID         event.ID
	Reference  string
	Deliveries int
	Duplicate  bool
	Err        error // *Refusal
}

// Refusal is an error with the API's code and HTTP status.
type Refusal struct {
	Status     int
	Code       string
	Message    string
	RetryAfter time.Duration // with 429 and 503
}

func (r *Refusal) Error() string { return r.Message }

// Limits of what is accepted; zero fields do not limit.
type Limits struct {
	Body    int64
	Rate    float64 // events a second, each developer
	Pending int64   // deliveries, each developer
	Bytes   int64   // of pending bodies, each developer
}

// Store is what Accept needs of the store.
type Store interface {
	Append(ctx context.Context, now time.Time, batch []*store.Entry) ([]store.Appended, error)
	Counts(dest uint32) store.Counts
	Ready() error
}

// Ingest accepts events.
type Ingest struct{}

// New builds an Ingest with no routes: everything is refused until SetRoutes.
func New(s Store, offer func(*event.Event, []store.Item), l Limits) *Ingest { panic("being written") }

// SetRoutes swaps the routes for requests that begin from now on.
func (in *Ingest) SetRoutes(r *Routes) { panic("being written") }

// Accept makes requests durable with one commit. Result i belongs to rs[i]; each stands alone.
func (in *Ingest) Accept(ctx context.Context, rs []Request) []Result { panic("being written") }
