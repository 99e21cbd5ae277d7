package api

import (
	"errors"
	"time"

	"github.com/seed-51f8da91/fantail/internal/payload"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// defaultTTL is the life of a link when the request names none.
const defaultTTL = time.Hour

// linkRequest is the optional body of making a link.
type linkRequest struct {
	TTL       *int64 `json:"ttl"`       // seconds
	Developer string `json:"developer"` // needed only when the event itself is not known any more
}

// linkView is a link to a payload.
type linkView struct {
	ID        string    `json:"id"`
	Developer string    `json:"developer"`
	URL       string    `json:"url"`
	Expires   time.Time `json:"expires"`
}

// linkPayload makes a fresh link. A payload that is not in the store is put
// there first as long as its event has a body: it may only ever have gone to
// destinations that carry it.
func (a *API) linkPayload(c *call) error {
	var req linkRequest
	if err := a.decode(c, &req); err != nil {
		return err
	}
	ttl := defaultTTL
	if req.TTL != nil {
		if *req.TTL < 1 || *req.TTL > int64(payload.MaxTTL/time.Second) {
			return refuse(400, "invalid_request", "ttl must be from 1 to 604800 seconds")
		}
		ttl = time.Duration(*req.TTL) * time.Second
	}
	id, err := event.ParsePayloadID(c.r.PathValue("id"))
	if whole, short := a.eventID(c.r.Context(), c.who, c.r.PathValue("id")); err != nil && short == nil {
		id, err = event.PayloadID{Event: whole, Index: -1}, nil
	}
	if err != nil {
		return notFound("there is no such payload: its id is that of an event, or {event id}-{index} of one of its items, with -item after it as content: item stores it")
	}
	if a.Payloads == nil {
		return refuse(404, "no_payload_store", "this daemon keeps no payloads: the setting payloads of fantail.yaml says where")
	}
	c.about(req.Developer, id.String())
	developer, err := a.provide(c, id, req.Developer)
	if err != nil {
		return err
	}
	c.about(developer, id.String())
	link, err := a.Payloads.Link(c.r.Context(), developer, id.String(), ttl)
	if err != nil {
		return err
	}
	return c.json(200, linkView{id.String(), developer, link.URL, link.Expires.UTC()})
}

// provide makes sure that a payload is in the store and returns whose it is.
func (a *API) provide(c *call, id event.PayloadID, developer string) (string, error) {
	record, err := a.Store.EventRecord(c.r.Context(), id.Event)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a.find(c, id, developer)
	case err != nil:
		return "", err
	}
	owner := record.Event.Developer
	if !c.who.sees(owner) || developer != "" && developer != owner {
		return "", store.ErrNotFound
	}
	switch record.Gone {
	case "":
		put, err := a.putPayload(c, &record, id)
		if put || err != nil {
			return owner, err
		}
	case "erased":
		return "", refuse(410, "gone", "the event is erased")
	}
	return a.find(c, id, owner)
}

// find looks for a payload whose event has no body any more: payloads may live
// for ever.
func (a *API) find(c *call, id event.PayloadID, developer string) (string, error) {
	if developer == "" && len(c.who.developers) == 1 {
		developer = c.who.developers[0]
	}
	if developer == "" {
		return "", notFound("the event is not known, or not any more: for a payload that outlived it, name its developer")
	}
	if !c.who.sees(developer) {
		return "", store.ErrNotFound
	}
	there, err := a.Payloads.Has(c.r.Context(), developer, id.String())
	if err == nil && !there {
		err = notFound("there is no such payload, and its event has no body any more, or no such item, to make it of")
	}
	return developer, err
}

// putPayload puts the payload id of an event that has its body; false when the
// event has no such payload, or no body after all.
func (a *API) putPayload(c *call, record *store.EventRecord, id event.PayloadID) (bool, error) {
	held := a.memory.hold(c.who, "")
	defer held.release()
	if err := held.all(c.r.Context(), int64(record.Size)); err != nil {
		return false, err
	}
	e, err := a.Store.Event(c.r.Context(), id.Event.Day(), id.Event)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, ok := a.payloadOf(e, id)
	if !ok {
		return false, nil
	}
	return true, a.Payloads.Put(c.r.Context(), e.Developer, p)
}

func (a *API) payloadOf(e *event.Event, id event.PayloadID) (event.Payload, bool) {
	if id.Item {
		id.Item = false
		p, ok := a.payloadOf(e, id)
		if ok {
			p.Body, ok = a.Catalogue.Item(e, p)
		}
		p.ID += event.ItemSuffix
		return p, ok
	}
	if whole := a.Catalogue.Whole(e); whole.ID == id.String() {
		return whole, true
	}
	for p := range a.Catalogue.Payloads(e) {
		if p.ID == id.String() {
			return p, true
		}
	}
	return event.Payload{}, false
}

// getPayload answers the links of the embedded store, which are their own credential.
func (a *API) getPayload(c *call) error {
	if a.Files == nil {
		return notFound("payloads are not served here")
	}
	a.Files.ServeHTTP(c, c.r)
	return nil
}
