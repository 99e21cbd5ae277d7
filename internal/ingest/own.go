package ingest

import (
	"errors"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// ErrNotWanted: the one destination that an event of the engine's own is for is
// not in the settings, or does not want its type. Nothing was stored.
var ErrNotWanted = errors.New("the destination does not want this event")

// own prepares an event of the engine's own. It uses up none of the developer's limits, because
// the developer did not ask for it.
func (in *Ingest) own(dev *developer, r *Request) (*store.Entry, *Refusal) {
	envelope, err := event.Parse(r.Body)
	if err != nil {
		return nil, Unreadable(err)
	}
	if !dev.wanted(r.Only, envelope.Type) {
		return nil, &Refusal{Status: 409, Code: "not_wanted", Message: ErrNotWanted.Error(), Cause: ErrNotWanted}
	}
	reference := r.Reference
	if reference == "" {
		reference = newReference()
	}
	e := &event.Event{Developer: dev.ID, Reference: reference, Envelope: envelope, Body: r.Body, Ordering: r.Ordering}
	return &store.Entry{Event: e, To: []uint32{r.Only}, IdempotencyKey: r.IdempotencyKey}, nil
}
