package api

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
	"github.com/seed-51f8da91/fantail/internal/explain"
	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/generate"
)

// Settings shows what the daemon runs on. Nothing of it has a secret.
type Settings interface {
	// Explain says what each destination of a developer would do with an event;
	// store.ErrNotFound: the settings have no such developer.
	Explain(ctx context.Context, developer string, ev *event.Event) ([]explain.Result, error)
	// ExplainDelivery says what request an attempt at a delivery makes: with the settings of
	// hash, which it is frozen to, and where that is 0, or they are gone, with the current ones.
	ExplainDelivery(ctx context.Context, key store.DestinationKey, hash uint64, id store.DeliveryID, ev *event.Event) (r explain.Result, frozen bool, err error)
	// Effective returns fantail.yaml as it counts.
	Effective() map[string]any
	// EffectiveOf returns the settings of a destination as they count; store.ErrNotFound.
	EffectiveOf(key store.DestinationKey) (map[string]any, error)
	// FrozenSettings returns what deliveries are frozen to; store.ErrNotFound.
	FrozenSettings(ctx context.Context, hash uint64) (map[string]any, error)
}

// Queues are what is pending, by destination and settings: a part of store.Queue.
type Queues interface {
	Queues(ctx context.Context) ([]store.Head, error)
	Due(ctx context.Context, q store.QueueID, from store.Position, until int64, limit int) ([]store.Item, int64, error)
}

// explainedView says who would get an event, and who not and why.
type explainedView struct {
	Type         string           `json:"type"`
	User         string           `json:"user,omitempty"`
	Destinations []explain.Result `json:"destinations"`
}

// explainEvent says who would get the event that is its body. It makes no connection.
func (a *API) explainEvent(c *call) error {
	req, err := a.header.request(c.r, c.who)
	c.about(req.Developer, "")
	if err != nil {
		return err
	}
	if err := checkEncoding(c.r); err != nil {
		return err
	}
	held := a.memory.hold(c.who, req.Developer)
	defer held.release()
	body, err := a.readBody(c, &held)
	if err != nil {
		return err
	}
	envelope, err := event.Parse(body)
	if err != nil {
		return ingest.Unreadable(err)
	}
	done, err := a.beginExplaining()
	if err != nil {
		return err
	}
	defer done()
	now := time.Now().UTC()
	ev := &event.Event{
		ID: event.NewID(now, 0, 0), Developer: req.Developer, Reference: req.Reference, Ordering: now, Envelope: envelope, Body: body,
	}
	if !req.Ordering.IsZero() {
		ev.Ordering = req.Ordering
	}
	found, err := a.Settings.Explain(c.r.Context(), req.Developer, ev)
	if err != nil {
		return err
	}
	a.stands(req.Developer, found)
	c.about(req.Developer, envelope.Type)
	return c.json(200, explainedView{envelope.Type, envelope.UserID, append([]explain.Result{}, found...)})
}

// beginExplaining takes one of the places for those who have something explained.
func (a *API) beginExplaining() (done func(), err error) {
	select {
	case a.explaining <- struct{}{}:
		return func() { <-a.explaining }, nil
	default:
		return nil, &ingest.Refusal{Status: 429, Code: "busy_explaining", RetryAfter: time.Second, Message: "others have events explained just now"}
	}
}

// deliveryRequest shows the request that an attempt at a delivery makes, without
// credentials. It makes no connection.
func (a *API) deliveryRequest(c *call) error {
	id, err := a.deliveryOf(c)
	if err != nil {
		return err
	}
	record, _, err := a.Store.Delivery(c.r.Context(), id)
	if err != nil {
		return err
	}
	e, err := a.Store.EventRecord(c.r.Context(), id.Event)
	if err != nil {
		return err
	}
	if e.Gone != "" {
		return refuse(410, "gone", "the body is "+e.Gone)
	}
	held := a.memory.hold(c.who, "")
	defer held.release()
	if err := held.all(c.r.Context(), int64(e.Size)); err != nil {
		return err
	}
	ev, err := a.Store.Event(c.r.Context(), id.Event.Day(), id.Event)
	if err != nil {
		return err
	}
	done, err := a.beginExplaining()
	if err != nil {
		return err
	}
	defer done()
	x, frozen, err := a.Settings.ExplainDelivery(c.r.Context(), a.Daemon.Names().Key(id.Dest), record.Settings, id, ev)
	if err != nil {
		return err
	}
	return c.json(200, struct {
		explain.Result
		Frozen bool `json:"frozen"`
	}{x, frozen})
}

// stands says of the destinations that would get the event which of them it waits for.
func (a *API) stands(developer string, found []explain.Result) {
	for _, s := range a.Scheduler.Status() {
		if s.Key.Developer != developer || s.State == "removed" || s.State == "active" && s.Wait.For != delivery.WaitApart {
			continue
		}
		for i := range found {
			if x := &found[i]; x.Destination == s.Key.Name && x.Kind == s.Key.Kind && x.Decision == explain.Sends {
				x.Decision, x.Reason = explain.Waits, s.State+": "+s.Reason
			}
		}
	}
}

// typeView is a type of events that the daemon knows something of.
type typeView struct {
	Type      string    `json:"type"`
	Generated bool      `json:"generated"`
	Data      *dataView `json:"data,omitempty"`
}

// dataView is where a data type keeps what keys and rows are made of.
type dataView struct {
	Member        string   `json:"member"`
	Start         []string `json:"start,omitempty"`
	End           []string `json:"end,omitempty"`
	Identity      []string `json:"identity,omitempty"`
	DayIdentity   bool     `json:"day_identity,omitempty"`
	EventIdentity bool     `json:"event_identity,omitempty"`
}

// eventTypes lists the catalogue, and what can be made up.
func (a *API) eventTypes(c *call) error {
	g, err := generate.New(0)
	if err != nil {
		return err
	}
	all := map[string]*typeView{}
	for _, name := range g.Types() {
		all[name] = &typeView{Type: name, Generated: true}
	}
	if a.Catalogue != nil {
		for name, t := range a.Catalogue.Types() {
			v := all[name]
			if v == nil {
				v = &typeView{Type: name}
				all[name] = v
			}
			v.Data = &dataView{t.Data, t.Start, t.End, t.Identity, t.DayIdentity, t.EventIdentity}
		}
	}
	list := page[typeView]{Items: []typeView{}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list.Items = append(list.Items, *all[name])
	}
	return c.json(200, list)
}

// settings shows fantail.yaml as it counts.
func (a *API) settings(c *call) error {
	if err := c.whole(); err != nil {
		return err
	}
	return c.json(200, struct {
		Settings map[string]any `json:"settings"`
	}{a.Settings.Effective()})
}

// mostCounted bounds how many deliveries of a queue are counted for a page.
const mostCounted = 10_000

// frozenView are older settings that deliveries still go out with.
type frozenView struct {
	ID       string         `json:"id"`
	Pending  int            `json:"pending"`
	More     bool           `json:"more,omitempty"` // than were counted
	Settings map[string]any `json:"settings,omitempty"`
	Problem  string         `json:"problem,omitempty"`
}

// destinationSettings shows the settings of a destination, and those that retries are
// frozen to.
func (a *API) destinationSettings(c *call) error {
	d, err := a.destinationOf(c)
	if err != nil {
		return err
	}
	now, err := a.Settings.EffectiveOf(d.Key)
	if err != nil {
		return err
	}
	frozen, err := a.frozenHere(c.r.Context(), d.ID)
	if err != nil {
		return err
	}
	askPeers(a, c, "/peer/frozen", d.ID, 0, func(_ store.Daemon, theirs map[uint64]frozenCount) {
		for hash, n := range theirs {
			frozen[hash] = frozenCount{frozen[hash].Pending + n.Pending, frozen[hash].More || n.More}
		}
	})
	view := struct {
		Settings map[string]any `json:"settings"`
		Frozen   []frozenView   `json:"frozen"`
	}{now, []frozenView{}}
	for hash, n := range frozen {
		f := frozenView{ID: strconv.FormatUint(hash, 16), Pending: n.Pending, More: n.More}
		if f.Settings, err = a.Settings.FrozenSettings(c.r.Context(), hash); err != nil {
			f.Problem = "they cannot be shown: the key that sealed them is not among keys, or they are gone"
		}
		view.Frozen = append(view.Frozen, f)
	}
	slices.SortFunc(view.Frozen, func(x, y frozenView) int {
		return cmp.Or(cmp.Compare(y.Pending, x.Pending), cmp.Compare(x.ID, y.ID))
	})
	return c.json(200, view)
}

// frozenCount is how much goes out with older settings; More: than was counted.
type frozenCount struct {
	Pending int
	More    bool
}

// frozenHere counts what this daemon has pending for a destination with older settings, by their hash.
func (a *API) frozenHere(ctx context.Context, dest uint32) (map[uint64]frozenCount, error) {
	queues, err := a.Queues.Queues(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[uint64]frozenCount{}
	for i := range queues {
		q := queues[i].Queue
		if q.Dest != dest || q.Settings == 0 {
			continue
		}
		items, next, err := a.Queues.Due(ctx, q, store.Position{}, math.MaxInt64, mostCounted)
		if err != nil {
			return nil, err
		}
		counts[q.Settings] = frozenCount{len(items), next != 0}
	}
	return counts, nil
}

func (a *API) peerFrozen(c *call, body []byte) error {
	var dest uint32
	if err := question(body, &dest); err != nil {
		return err
	}
	counts, err := a.frozenHere(c.r.Context(), dest)
	if err != nil {
		return err
	}
	return c.json(200, counts)
}
