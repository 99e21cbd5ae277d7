package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// Destination is one destination as the daemon runs it.
type Destination struct {
	Developer     string    `json:"developer"`
	Name          string    `json:"name"`
	Kind          string    `json:"kind"`
	State         string    `json:"state"`                // active, paused, disabled, held, removed
	Reason        string    `json:"reason,omitempty"`     // what is wrong, or was asked for; "" while the last attempt succeeded
	Since         time.Time `json:"since,omitzero"`       // of the pause or hold
	WaitsFor      string    `json:"waits_for,omitempty"`  // removed, disabled, paused, held, apart, throttled, breaker, settings, engine; "": nothing keeps it
	WaitsUntil    time.Time `json:"waits_until,omitzero"` // no attempt starts before; zero: one may, or only a person ends the wait
	Pending       int64     `json:"pending"`
	OldestPending time.Time `json:"oldest_pending,omitzero"` // acceptance of the oldest pending event
	InFlight      int       `json:"in_flight"`
	Breaker       string    `json:"breaker"` // closed, open

	LastSuccess    time.Time `json:"last_success,omitzero"` // of an attempt; zero: none known
	LastAnswer     *Answer   `json:"last_answer,omitempty"` // nil: no attempt was made with the present settings
	FailedAttempts int       `json:"failed_attempts"`       // with the present settings, since one succeeded
	Dead24h        int64     `json:"dead_24h"`              // deliveries that died in this hour of the clock and the 23 before it; not more than are dead now

	Check *Check `json:"check,omitempty"` // the last one; nil: none since the daemon's start

	Outcomes *Outcomes `json:"outcomes_24h,omitempty"` // nil: they were not asked for, or are not recorded
}

// Outcomes are the attempts of a destination over a day, in steps, the newest last; nil
// where nothing is known.
type Outcomes struct {
	From      time.Time `json:"from"`
	Seconds   int       `json:"step_seconds"`
	Delivered []*int64  `json:"delivered"`
	Failed    []*int64  `json:"failed"`
}

// Totals are how many destinations are how, and what they have to deliver.
type Totals struct {
	Destinations  int            `json:"destinations"`
	States        map[string]int `json:"states"`
	Failing       int            `json:"failing"` // active, and the last attempt failed
	Waiting       int            `json:"waiting"` // active, and something keeps attempts from starting
	Pending       int64          `json:"pending"`
	OldestPending time.Time      `json:"oldest_pending,omitzero"`
	InFlight      int            `json:"in_flight"`
	Dead24h       int64          `json:"dead_24h"`
}

// DestinationFilter selects destinations; zero fields select everything.
type DestinationFilter struct {
	Developer string
	State     string
	Failing   bool   // active, and the last attempt failed
	Query     string // a part of developer/name, or of the kind
	Worst     bool   // those first that need somebody, in place of the order of names
	Outcomes  bool   // tell Outcomes
	Limit     int    // 0: all
}

// FindDestinations lists the destinations that f selects.
func (c *Client) FindDestinations(ctx context.Context, f DestinationFilter) iter.Seq2[Destination, error] {
	q := params{}.text("developer", f.Developer).text("state", f.State).flag("failing", f.Failing).text("q", f.Query).flag("outcomes", f.Outcomes)
	if f.Worst {
		q = q.text("sort", "worst")
	}
	return list[Destination](ctx, c, "/v1/destinations", url.Values(q), extent{limit: f.Limit})
}

// DestinationTotals sums up the destinations of a developer, or of all for "".
func (c *Client) DestinationTotals(ctx context.Context, developer string) (Totals, error) {
	var page struct {
		Totals Totals `json:"totals"`
	}
	q := params{}.text("developer", developer).text("limit", "1").flag("totals", true)
	err := c.fetch(ctx, get("/v1/destinations", url.Values(q)), &page)
	return page.Totals, err
}

// Answer is how an attempt ended.
type Answer struct {
	At     time.Time `json:"at"`
	Class  string    `json:"class"` // as of an [Attempt]
	Code   int       `json:"code"`  // what the far side answered with; 0 for nothing
	Answer string    `json:"answer,omitempty"`
	Fault  string    `json:"fault,omitempty"` // why it failed; "" when it succeeded
}

// Destinations lists destinations by developer and name: those of one
// developer, or "" for all; in one state, or "" for any.
func (c *Client) Destinations(ctx context.Context, developer, state string) iter.Seq2[Destination, error] {
	q := params{}.text("developer", developer).text("state", state)
	return list[Destination](ctx, c, "/v1/destinations", url.Values(q), extent{})
}

// Pause stops attempts of a destination until Resume. Deliveries go on being
// made and wait.
func (c *Client) Pause(ctx context.Context, developer, name, reason string) error {
	return c.act(ctx, destinationPath(developer, name, "pause"), struct {
		Reason string `json:"reason,omitempty"`
	}{reason})
}

// Resume ends a pause, a hold by the daemon, and a wait that the far side asked for.
func (c *Client) Resume(ctx context.Context, developer, name string) error {
	return c.act(ctx, destinationPath(developer, name, "resume"), nil)
}

// Rebind moves the pending deliveries of a destination that are frozen to older
// settings to the current ones, and returns how many.
func (c *Client) Rebind(ctx context.Context, developer, name string) (int, error) {
	r, err := post(destinationPath(developer, name, "rebind"), nil)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Rebound int `json:"rebound"`
	}
	err = c.fetch(ctx, r, &answer)
	return answer.Rebound, err
}

func destinationPath(developer, name, action string) string {
	return "/v1/destinations/" + segment(developer) + "/" + segment(name) + "/" + action
}
