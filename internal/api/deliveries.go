package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
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
	Type        string           `json:"type,omitempty"`
	User        string           `json:"user,omitempty"`
	Last        *answerView      `json:"last_answer,omitempty"`
	WaitsFor    string           `json:"waits_for,omitempty"`
	WaitsUntil  time.Time        `json:"waits_until,omitzero"`
	WaitsReason string           `json:"waits_reason,omitempty"`
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
			Frozen: r.State == store.Pending && r.Settings != 0, Type: r.Type, User: r.User,
		}
		if l := &r.Last; l.Class != "" {
			v.Last = viewAnswer(&store.Answer{At: l.At + int64(l.Took), Class: l.Class, Code: l.Code, Text: l.Answer})
		}
		if r.State == store.Pending {
			v.Due = wall(r.Due)
		}
		return v
	}
}

// waits says of each pending delivery why it is not tried when it is due.
func (a *API) waits(c *call, records []store.DeliveryRecord, views []deliveryView) {
	at := map[store.QueueID]int{}
	var queues []store.QueueID
	for i := range records {
		if q := (store.QueueID{Dest: records[i].ID.Dest, Settings: records[i].Settings}); records[i].State == store.Pending {
			if _, there := at[q]; !there {
				at[q] = len(queues)
				queues = append(queues, q)
			}
		}
	}
	if len(queues) == 0 {
		return
	}
	waits := a.waitsOf(c, queues)
	for i := range records {
		n, there := at[store.QueueID{Dest: records[i].ID.Dest, Settings: records[i].Settings}]
		if records[i].State != store.Pending || !there {
			continue
		}
		w, v := &waits[n], &views[i]
		switch w.For {
		case delivery.WaitThrottled, delivery.WaitApart, delivery.WaitSettings, delivery.WaitEngine, delivery.WaitRate:
			if !w.Until.After(v.Due) { // it is over before
				continue
			}
		}
		v.WaitsFor, v.WaitsUntil, v.WaitsReason = w.For, w.Until, w.Reason
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

	types, classes []string // of the event, and of the last attempt
	user           string
	codes          []int
	detail         bool
}

// deliveryQuery translates s for the store. It reports false when s can match
// nothing: to the store, no destinations mean all of them.
func (a *API) deliveryQuery(c *call, s selection) (store.DeliveryQuery, bool, error) {
	who := c.who
	q := store.DeliveryQuery{
		Since: s.since, Until: s.until, Limit: s.limit, Cursor: s.cursor, Types: s.types, User: s.user, Classes: s.classes, Codes: s.codes, Detail: s.detail,
	}
	for _, class := range s.classes {
		if !slices.Contains(store.AttemptClasses, class) {
			return q, false, refuse(400, "invalid_parameter", fmt.Sprintf("unknown class %q: want %s", class, strings.Join(store.AttemptClasses, ", ")))
		}
	}
	for _, name := range s.states {
		state, err := store.ParseState(name)
		if err != nil {
			return q, false, refuse(400, "invalid_parameter", err.Error())
		}
		q.States = append(q.States, state)
	}
	if s.event != "" {
		id, err := a.eventID(c.r.Context(), who, s.event)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return q, false, nil
		case errors.Is(err, event.ErrID):
			return q, false, refuse(400, "invalid_parameter", "event: "+err.Error())
		case err != nil:
			return q, false, err
		}
		q.Event = id
	}
	if s.developer != "" || s.destination != "" || who.developers != nil {
		if q.Dests = a.Daemon.Names().find(who, s.developer, s.destination); len(q.Dests) == 0 {
			return q, false, nil
		}
	}
	if s.user != "" {
		q.Developers = a.Daemon.Names().developers(who, s.developer)
	}
	return q, true, nil
}

func (a *API) listDeliveries(c *call) error {
	q := &c.query
	s := selection{
		developer: q.text("developer"), destination: q.text("destination"), event: q.text("event"),
		states: q.values["state"], since: q.time("since"), until: q.time("until"), limit: q.limit(), cursor: q.text("cursor"),
		types: q.values["type"], user: q.text("user"), classes: q.values["class"], codes: q.numbers("code"), detail: q.flag("detail"),
	}
	if q.err != nil {
		return q.err
	}
	dq, some, err := a.deliveryQuery(c, s)
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
	list := pageOf(found, viewDelivery(a.Daemon.Names()))
	a.waits(c, found.Items, list.Items)
	return c.json(200, list)
}

// deliveryOf returns the id that the path names, if the caller may see what it
// stands for.
func (a *API) deliveryOf(c *call) (store.DeliveryID, error) {
	id, err := a.deliveryID(c.r.Context(), c.who, c.r.PathValue("id"))
	if err != nil {
		return id, missing(err, "delivery")
	}
	developer := a.Daemon.Names().Key(id.Dest).Developer
	c.about(developer, id.String())
	if c.who.developers != nil && !c.who.sees(developer) {
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
	if e, err := a.Store.EventRecord(c.r.Context(), id.Event); err == nil {
		record.Type, record.User = e.Event.Type, e.Event.UserID
	}
	if n := len(attempts); n > 0 {
		record.Last = attempts[n-1]
	}
	v := viewDelivery(a.Daemon.Names())(&record)
	views := []deliveryView{v}
	a.waits(c, []store.DeliveryRecord{record}, views)
	v = views[0]
	v.Attempts = make([]attemptView, len(attempts))
	for i, t := range attempts {
		v.Attempts[i] = attemptView{
			At: wall(t.At), Millis: t.Took.Milliseconds(), Class: t.Class, Code: t.Code,
			Answer: t.Answer, Address: t.Address, Counted: t.Counted, Requests: t.Requests,
		}
	}
	return c.json(200, v)
}
