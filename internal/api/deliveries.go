package api

import (
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// deliveryView is a delivery as the API shows it; a list leaves attempts out.
type deliveryView struct {
	ID          store.DeliveryID `json:"id"`
	Event       event.ID         `json:"event"`
	Developer   string           `json:"developer"`
	Destination string           `json:"destination"`
	Kind        string           `json:"kind"`
	State       store.State      `json:"state"`
	Reason      string           `json:"reason,omitempty"`
	Due         time.Time        `json:"due,omitzero"`
	Changed     time.Time        `json:"changed,omitzero"`
	Tried       int              `json:"tried"`
	Frozen      bool             `json:"frozen"`
	Attempts    []attemptView    `json:"attempts,omitzero"`
}

type attemptView struct {
	At      time.Time `json:"at"`
	Millis  int64     `json:"ms"`
	Class   string    `json:"class"`
	Code    int       `json:"code"`
	Answer  string    `json:"answer,omitempty"`
	Address string    `json:"address,omitempty"`
	Counted bool      `json:"counted"`

	Requests int `json:"requests,omitzero"`
}

func viewDelivery(names *Names) func(*store.DeliveryRecord) deliveryView {
	return func(r *store.DeliveryRecord) deliveryView {
		key := names.Key(r.ID.Dest)
		v := deliveryView{
			ID: r.ID, Event: r.ID.Event, Developer: key.Developer, Destination: key.Name, Kind: key.Kind,
			State: r.State, Reason: r.Reason, Changed: wall(r.Changed), Tried: int(r.Attempts),
			Frozen: r.State == store.Pending && r.Settings != 0,
		}
		if r.State == store.Pending {
			v.Due = wall(r.Due)
		}
		return v
	}
}

// wall returns the time of ns; 0 is the zero time.
func wall(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// selection says which deliveries are meant, in a query or in a body.
type selection struct {
	developer, destination, event string
	states                        []string
	since, until                  time.Time
	limit                         int
	cursor                        string
}

// deliveryQuery translates s for the store. It reports false when s can match
// nothing: to the store, no destinations mean all of them.
func (a *API) deliveryQuery(who *principal, s selection) (store.DeliveryQuery, bool, error) {
	q := store.DeliveryQuery{Since: s.since, Until: s.until, Limit: s.limit, Cursor: s.cursor}
	for _, name := range s.states {
		state, err := store.ParseState(name)
		if err != nil {
			return q, false, refuse(400, "invalid_parameter", err.Error())
		}
		q.States = append(q.States, state)
	}
	if s.event != "" {
		id, err := event.ParseID(s.event)
		if err != nil {
			return q, false, refuse(400, "invalid_parameter", "event: "+err.Error())
		}
		q.Event = id
	}
	if s.developer != "" || s.destination != "" || who.developers != nil {
		if q.Dests = a.Daemon.Names().find(who, s.developer, s.destination); len(q.Dests) == 0 {
			return q, false, nil
		}
	}
	return q, true, nil
}

func (a *API) listDeliveries(c *call) error {
	q := &c.query
	s := selection{
		developer: q.text("developer"), destination: q.text("destination"), event: q.text("event"),
		states: q.values["state"], since: q.time("since"), until: q.time("until"), limit: q.limit(), cursor: q.text("cursor"),
	}
	if q.err != nil {
		return q.err
	}
	dq, some, err := a.deliveryQuery(c.who, s)
	if err != nil {
		return err
	}
	if !some {
		return c.json(200, page[deliveryView]{Items: []deliveryView{}})
	}
	found, err := a.Store.Deliveries(c.r.Context(), dq)
	if err != nil {
		return err
	}
	return c.json(200, pageOf(found.Items, found.Next, viewDelivery(a.Daemon.Names())))
}

// deliveryOf returns the id that the path names, if the caller may see what it
// stands for.
func (a *API) deliveryOf(c *call) (store.DeliveryID, error) {
	id, err := store.ParseDeliveryID(c.r.PathValue("id"))
	if err != nil {
		return id, notFound("there is no such delivery")
	}
	if c.who.developers != nil && !c.who.sees(a.Daemon.Names().Key(id.Dest).Developer) {
		return id, store.ErrNotFound
	}
	return id, nil
}

func (a *API) getDelivery(c *call) error {
	id, err := a.deliveryOf(c)
	if err != nil {
		return err
	}
	record, attempts, err := a.Store.Delivery(c.r.Context(), id)
	if err != nil {
		return err
	}
	v := viewDelivery(a.Daemon.Names())(&record)
	v.Attempts = make([]attemptView, len(attempts))
	for i, t := range attempts {
		v.Attempts[i] = attemptView{
			At: wall(t.At), Millis: t.Took.Milliseconds(), Class: t.Class, Code: t.Code,
			Answer: t.Answer, Address: t.Address, Counted: t.Counted, Requests: t.Requests,
		}
	}
	return c.json(200, v)
}
