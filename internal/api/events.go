package api

import (
	"context"
	"slices"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// eventView is an event as the API shows it.
type eventView struct {
	ID           event.ID  `json:"id"`
	Developer    string    `json:"developer"`
	Type         string    `json:"type"`
	Version      string    `json:"version,omitempty"`
	User         string    `json:"user,omitempty"`
	Reference    string    `json:"reference"`
	Accepted     time.Time `json:"accepted"`
	Ordering     time.Time `json:"ordering"`
	Size         int       `json:"size"`
	Destinations []string  `json:"destinations"`
	Deliveries   []string  `json:"deliveries"`
	Gone         string    `json:"gone,omitempty"`
}

func viewEvent(names *Names) func(*store.EventRecord) eventView {
	return func(r *store.EventRecord) eventView {
		e := &r.Event
		v := eventView{
			ID: e.ID, Developer: e.Developer, Type: e.Type, Version: e.Version, User: e.UserID,
			Reference: e.Reference, Accepted: e.ID.Time(), Ordering: e.Ordering.UTC(), Size: r.Size,
			Destinations: make([]string, len(r.To)), Deliveries: make([]string, len(r.To)), Gone: r.Gone,
		}
		for i, dest := range r.To {
			v.Destinations[i] = names.Key(dest).Name
			v.Deliveries[i] = store.DeliveryID{Day: e.ID.Day(), Event: e.ID, Dest: dest}.String()
		}
		return v
	}
}

func (a *API) listEvents(c *call) error {
	q := &c.query
	eq := store.EventQuery{
		Developers: c.who.developers,
		Types:      q.values["type"],
		User:       q.text("user"),
		Since:      q.time("since"), Until: q.time("until"),
		Unmatched: q.flag("unmatched"),
		Limit:     q.limit(), Cursor: q.text("cursor"),
	}
	if q.err != nil {
		return q.err
	}
	if developer := q.text("developer"); developer != "" {
		if !c.who.sees(developer) {
			return c.json(200, page[eventView]{Items: []eventView{}})
		}
		eq.Developers = []string{developer}
	}
	if eq.Developers != nil && len(eq.Developers) == 0 {
		return c.json(200, page[eventView]{Items: []eventView{}}) // a store might take an empty list for none
	}
	found, err := a.findEvents(c.r.Context(), eq, q.text("reference"))
	if err != nil {
		return err
	}
	return c.json(200, pageOf(found, viewEvent(a.Daemon.Names())))
}

// searchTime is how long one answer looks for a reference.
const searchTime = time.Second

// findEvents lists events, with a reference only those that have it: no index knows
// references, so that what q selects is read one by one, until some are found or the time
// is up.
func (a *API) findEvents(ctx context.Context, q store.EventQuery, reference string) (store.Page[store.EventRecord], error) {
	for began := time.Now(); ; {
		found, err := a.Store.Events(ctx, q)
		if err != nil || reference == "" {
			return found, err
		}
		found.Items = slices.DeleteFunc(found.Items, func(r store.EventRecord) bool { return r.Event.Reference != reference })
		if len(found.Items) > 0 || found.Next == "" || time.Since(began) > searchTime {
			return found, nil
		}
		q.Cursor = found.Next
	}
}

// eventOf returns the event that the path names, if the caller may see it.
func (a *API) eventOf(c *call) (store.EventRecord, error) {
	id, err := a.eventID(c.r.Context(), c.who, c.r.PathValue("id"))
	if err != nil {
		return store.EventRecord{}, missing(err, "event")
	}
	record, err := a.Store.EventRecord(c.r.Context(), id)
	c.about(record.Event.Developer, id.String())
	if err == nil && !c.who.sees(record.Event.Developer) {
		err = store.ErrNotFound
	}
	return record, err
}

func (a *API) getEvent(c *call) error {
	record, err := a.eventOf(c)
	if err != nil {
		return err
	}
	return c.json(200, viewEvent(a.Daemon.Names())(&record))
}

// getBody answers with the bytes that were accepted.
func (a *API) getBody(c *call) error {
	record, err := a.eventOf(c)
	if err != nil {
		return err
	}
	if record.Gone != "" {
		return refuse(410, "gone", "the body is "+record.Gone)
	}
	held := a.memory.hold(c.who, "")
	defer held.release()
	if err := held.all(c.r.Context(), int64(record.Size)); err != nil {
		return err
	}
	e, err := a.Store.Event(c.r.Context(), record.Event.ID.Day(), record.Event.ID)
	if err != nil {
		return err
	}
	c.send(200, asJSON, e.Body)
	return nil
}
