package api

import (
	"cmp"
	"errors"

	"github.com/seed-51f8da91/fantail/internal/ingest"
	"github.com/seed-51f8da91/fantail/internal/store"
)

// retryRequest is the optional body of retrying one delivery.
type retryRequest struct {
	Rebind bool `json:"rebind"` // keep the schedule and only take up current settings
}

func (a *API) retryOne(c *call) error {
	var req retryRequest
	if err := a.decode(c, &req); err != nil {
		return err
	}
	if req.Rebind {
		return a.changeOne(c, store.Rebind)
	}
	return a.changeOne(c, store.Retry)
}

func (a *API) cancelOne(c *call) error {
	if err := a.decode(c, &struct{}{}); err != nil {
		return err
	}
	return a.changeOne(c, store.Cancel)
}

// changedView is what one delivery went through.
type changedView struct {
	ID   store.DeliveryID `json:"id"`
	From store.State      `json:"from"`
	To   store.State      `json:"to"`
}

func (a *API) changeOne(c *call, change store.Change) error {
	id, err := a.deliveryOf(c)
	if err != nil {
		return err
	}
	moved, err := a.move(c, change, []store.DeliveryID{id})
	if err != nil {
		return err
	}
	m := moved[0]
	if errors.Is(m.Err, store.ErrConflict) && change == store.Retry {
		return refuse(409, "conflict", "another delivery of the event to this destination, a replay's or the first one, is pending: what is pending is never doubled")
	}
	if errors.Is(m.Err, store.ErrConflict) && m.From != 0 {
		return refuse(409, "conflict", "the delivery is "+m.From.String()+": the change does not apply")
	}
	if m.Err != nil {
		return m.Err
	}
	return c.json(200, changedView{id, m.From, m.To})
}

// changeRequest selects the deliveries of one step of a change.
type changeRequest struct {
	Developer   string `json:"developer"`
	Destination string `json:"destination"`
	State       string `json:"state"`
	Event       string `json:"event"`
	Since       string `json:"since"`
	Until       string `json:"until"`
	All         bool   `json:"all"`
	Rebind      bool   `json:"rebind"`
	DryRun      bool   `json:"dry_run"` // only count
	Limit       *int   `json:"limit"`
	Cursor      string `json:"cursor"`

	// As of a list of deliveries, so that what was looked at can be changed.
	Types   []string `json:"types"`
	User    string   `json:"user"`
	Classes []string `json:"classes"`
	Codes   []int    `json:"codes"`
}

// stepView is what one step of a change did. The caller goes on with next
// until there is none.
type stepView struct {
	Matched int    `json:"matched"`
	Changed int    `json:"changed"`
	Next    string `json:"next"`
}

// selection checks r. A change of everything has to be said: the same request
// with a field forgotten must not do it.
func (r *changeRequest) selection(state store.State) (selection, error) {
	s := selection{
		developer: r.Developer, destination: r.Destination, event: r.Event,
		states: []string{r.State}, limit: maxLimit, cursor: r.Cursor,
		types: r.Types, user: r.User, classes: r.Classes, codes: r.Codes,
	}
	if r.Developer == "" && r.Event == "" && !r.All {
		return s, refuse(400, "unbounded", `say which developer or event is meant, or "all": true`)
	}
	if r.State == "" {
		s.states = []string{state.String()}
	}
	var since, until *ingest.Refusal
	s.since, since = parseTime("since", r.Since)
	s.until, until = parseTime("until", r.Until)
	switch {
	case since != nil:
		return s, since
	case until != nil:
		return s, until
	case r.Limit == nil:
	case *r.Limit < 1 || *r.Limit > maxLimit:
		return s, badLimit()
	default:
		s.limit = *r.Limit
	}
	return s, nil
}

// retryMany retries what is dead, unless another state is named: retrying what
// was delivered sends it again. What a replay has brought since is left out.
func (a *API) retryMany(c *call) error {
	var r changeRequest
	if err := a.decode(c, &r); err != nil {
		return err
	}
	if r.Rebind {
		return a.changeStep(c, &r, store.Rebind, store.Pending)
	}
	return a.changeStep(c, &r, store.RetryLatest, store.Dead)
}

func (a *API) cancelMany(c *call) error {
	var r changeRequest
	if err := a.decode(c, &r); err != nil {
		return err
	}
	if r.Rebind {
		return refuse(400, "invalid_request", "what is cancelled is not rebound")
	}
	return a.changeStep(c, &r, store.Cancel, store.Pending)
}

// changeStep changes one page of deliveries.
func (a *API) changeStep(c *call, r *changeRequest, change store.Change, state store.State) error {
	c.about(r.Developer, cmp.Or(r.Destination, r.Event))
	s, err := r.selection(state)
	if err != nil {
		return err
	}
	q, some, err := a.deliveryQuery(c, s)
	if err != nil {
		return err
	}
	c.idle = true // until something is changed
	if !some {
		return c.json(200, stepView{})
	}
	found, err := a.Store.Deliveries(c.r.Context(), q)
	if err != nil {
		return err
	}
	step := stepView{Matched: len(found.Items), Next: found.Next}
	if r.DryRun {
		c.before = nil // it is no act
	}
	if step.Matched == 0 || r.DryRun {
		return c.json(200, step)
	}
	ids := make([]store.DeliveryID, len(found.Items))
	for i := range found.Items {
		ids[i] = found.Items[i].ID
	}
	c.idle = false
	moved, err := a.move(c, change, ids)
	if err != nil {
		return err
	}
	for i := range moved {
		if moved[i].Err == nil {
			step.Changed++
		}
	}
	c.idle, c.act.Count = step.Changed == 0, step.Changed
	return c.json(200, step)
}
