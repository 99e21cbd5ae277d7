package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ReplayRequest says what to deliver again. Where an event has several
// deliveries to a destination, the one that changed last counts.
type ReplayRequest struct {
	Developer   string    // required unless All
	Destination string    // name; "": all destinations in the settings
	Events      []string  // ids: these alone; none: all that the rest means
	Types       []string  // of events; none: what a destination subscribes to
	Users       []string  // none: all
	States      []string  // dead, delivered, cancelled, unmatched (never meant for the destination); none: dead
	Since       time.Time // acceptance of the event; zero for no bound
	Until       time.Time
	All         bool    // of all developers
	Rate        float64 // deliveries a second; 0: the daemon's default
	DryRun      bool    // only count
}

// Replay is one replay and how far it is.
type Replay struct {
	ID          uint32    `json:"id"`
	Developer   string    `json:"developer,omitempty"` // "": all
	Destination string    `json:"destination,omitempty"`
	Events      []string  `json:"events,omitempty"`
	Types       []string  `json:"types,omitempty"`
	Users       []string  `json:"users,omitempty"` // forgotten when it ends
	States      []string  `json:"states"`
	Since       time.Time `json:"since,omitzero"`
	Until       time.Time `json:"until,omitzero"`
	Rate        float64   `json:"rate"`
	DryRun      bool      `json:"dry_run"`
	By          string    `json:"by"` // the token that asked
	Created     time.Time `json:"created"`
	State       string    `json:"state"` // running, finished, cancelled, failed
	Ended       time.Time `json:"ended,omitzero"`
	Found       int64     `json:"found"`             // deliveries that are meant
	Made        int64     `json:"made"`              // new deliveries
	Pending     int64     `json:"pending"`           // left out: one is on its way already
	Gone        int64     `json:"gone"`              // left out: the body was erased or has expired
	Waiting     string    `json:"waiting,omitempty"` // why nothing is made just now
	Error       string    `json:"error,omitempty"`   // why it failed
}

// Replay begins a replay. It goes on in the daemon, over restarts; ask
// [Client.GetReplay] how far it is.
func (c *Client) Replay(ctx context.Context, q ReplayRequest) (Replay, error) {
	var p Replay
	r, err := post("/v1/replays", struct {
		Developer   string    `json:"developer,omitempty"`
		Destination string    `json:"destination,omitempty"`
		Events      []string  `json:"events,omitempty"`
		Types       []string  `json:"types,omitempty"`
		Users       []string  `json:"users,omitempty"`
		States      []string  `json:"states,omitempty"`
		Since       time.Time `json:"since,omitzero"`
		Until       time.Time `json:"until,omitzero"`
		All         bool      `json:"all,omitempty"`
		Rate        float64   `json:"rate,omitempty"`
		DryRun      bool      `json:"dry_run,omitempty"`
	}(q))
	if err == nil { // one try: an answer that was lost may have begun it
		err = c.once(ctx, r, func(res *http.Response) error { return c.decode(res, &p) })
	}
	return p, err
}

// GetReplay returns a replay.
func (c *Client) GetReplay(ctx context.Context, id uint32) (Replay, error) {
	var p Replay
	err := c.fetch(ctx, get(replayPath(id), nil), &p)
	return p, err
}

// Replays lists the replays that the daemon remembers, newest first: those of
// one developer, or "" for all; at most limit, 0 for all.
func (c *Client) Replays(ctx context.Context, developer string, limit int) iter.Seq2[Replay, error] {
	return list[Replay](ctx, c, "/v1/replays", url.Values(params{}.text("developer", developer)), extent{limit: limit})
}

// CancelReplay ends a replay and returns how far it got. What it has made stays made.
func (c *Client) CancelReplay(ctx context.Context, id uint32) (Replay, error) {
	var p Replay
	err := c.fetch(ctx, call{method: http.MethodDelete, path: replayPath(id)}, &p)
	return p, err
}

func replayPath(id uint32) string { return "/v1/replays/" + strconv.FormatUint(uint64(id), 10) }
