package client

import (
	"context"
	"errors"
	"time"
)

// Moved is what became of one delivery.
type Moved struct {
	ID   string `json:"id"`
	From string `json:"from"` // states
	To   string `json:"to"`
}

// Retry makes a delivery in any state pending again, due now, with current
// settings and a fresh schedule. While another delivery of the event to the
// destination is pending, such as a replay's, it is refused with status 409.
func (c *Client) Retry(ctx context.Context, id string) (Moved, error) {
	return c.move(ctx, id, "retry", nil)
}

// RebindOne lets a pending delivery keep its schedule but take up current settings.
func (c *Client) RebindOne(ctx context.Context, id string) (Moved, error) {
	return c.move(ctx, id, "retry", map[string]bool{"rebind": true})
}

// Cancel ends a pending delivery.
func (c *Client) Cancel(ctx context.Context, id string) (Moved, error) {
	return c.move(ctx, id, "cancel", nil)
}

func (c *Client) move(ctx context.Context, id, change string, body any) (Moved, error) {
	var m Moved
	r, err := post("/v1/deliveries/"+segment(id)+"/"+change, body)
	if err == nil {
		err = c.fetch(ctx, r, &m)
	}
	return m, err
}

// Selection says which deliveries RetryAll and CancelAll change. Times are as
// in DeliveryFilter. Without Developer and Event it must say All.
type Selection struct {
	Developer   string
	Destination string // name; needs Developer
	State       string // "": dead to retry, pending to cancel or rebind
	Event       string
	Since       time.Time
	Until       time.Time
	All         bool
	Rebind      bool // only RetryAll: pending deliveries keep their schedule and only take up current settings
	DryRun      bool // only count what is matched

	// In no index, as in a DeliveryFilter.
	Types   []string
	User    string
	Classes []string
	Codes   []int
}

// Changed counts what became of a Selection.
type Changed struct {
	Matched int `json:"matched"`
	Changed int `json:"changed"`
}

// RetryAll retries every delivery selected. It works in chunks and calls
// progress, which may be nil, after each with the sums so far. What was
// changed before an error stays changed. Matched but not changed is, among
// others, what another delivery of the event has brought since.
func (c *Client) RetryAll(ctx context.Context, s Selection, progress func(Changed)) (Changed, error) {
	return c.changeAll(ctx, "/v1/deliveries/retry", s, progress)
}

// CancelAll cancels every pending delivery selected; see RetryAll.
func (c *Client) CancelAll(ctx context.Context, s Selection, progress func(Changed)) (Changed, error) {
	return c.changeAll(ctx, "/v1/deliveries/cancel", s, progress)
}

func (c *Client) changeAll(ctx context.Context, path string, s Selection, progress func(Changed)) (Changed, error) {
	var sum Changed
	type request struct {
		Developer   string    `json:"developer,omitempty"`
		Destination string    `json:"destination,omitempty"`
		State       string    `json:"state,omitempty"`
		Event       string    `json:"event,omitempty"`
		Since       time.Time `json:"since,omitzero"`
		Until       time.Time `json:"until,omitzero"`
		All         bool      `json:"all,omitempty"`
		Rebind      bool      `json:"rebind,omitempty"`
		DryRun      bool      `json:"dry_run,omitempty"`
		Types       []string  `json:"types,omitempty"`
		User        string    `json:"user,omitempty"`
		Classes     []string  `json:"classes,omitempty"`
		Codes       []int     `json:"codes,omitempty"`
		Cursor      string    `json:"cursor,omitempty"`
	}
	r := request{s.Developer, s.Destination, s.State, s.Event, s.Since, s.Until, s.All, s.Rebind, s.DryRun, s.Types, s.User, s.Classes, s.Codes, ""}
	for {
		step, err := post(path, r)
		if err != nil {
			return sum, err
		}
		var answer struct {
			Changed
			Next string `json:"next"`
		}
		if err := c.fetch(ctx, step, &answer); err != nil {
			return sum, err
		}
		sum.Matched += answer.Matched
		sum.Changed += answer.Changed.Changed
		if progress != nil {
			progress(sum)
		}
		switch answer.Next {
		case "":
			return sum, nil
		case r.Cursor:
			return sum, errors.New("the change does not move on")
		}
		r.Cursor = answer.Next
	}
}

// act makes a call whose answer says nothing new.
func (c *Client) act(ctx context.Context, path string, body any) error {
	r, err := post(path, body)
	if err != nil {
		return err
	}
	return c.once(ctx, r, nil)
}
