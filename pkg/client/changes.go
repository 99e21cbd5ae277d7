package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// Act is something that somebody did, or read.
type Act struct {
	At        time.Time `json:"at"`
	By        string    `json:"by,omitempty"`        // name of the token; "local", "daemon", "signal"; "" of a refused log-in
	Via       string    `json:"via,omitempty"`       // id of a link to the portal
	From      string    `json:"from,omitempty"`      // network of a refused log-in
	Call      string    `json:"call"`                // as openapi.yaml names it; "logIn", "reload", "start", "restore", or a notice
	Developer string    `json:"developer,omitempty"` // whose it is; "": of several, or the daemon's
	Object    string    `json:"object,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Result    string    `json:"result"`          // "ok", or the code of the refusal
	State     string    `json:"state,omitempty"` // of the destination from then on
	Count     int       `json:"count"`           // acts, or deliveries changed, that this stands for
}

// ChangeFilter selects acts; zero fields select everything.
type ChangeFilter struct {
	Developer string
	By        string
	Call      string
	Since     time.Time
	Until     time.Time
	Limit     int // at most so many; 0: all
}

// Changes lists who did what, newest first.
func (c *Client) Changes(ctx context.Context, f ChangeFilter) iter.Seq2[Act, error] {
	q := params{}.text("developer", f.Developer).text("by", f.By).text("call", f.Call).time("since", f.Since).time("until", f.Until)
	return list[Act](ctx, c, "/v1/changes", url.Values(q), extent{limit: f.Limit})
}

// History lists what moved a destination to a state and by whom, newest first; at
// most limit, 0 for all.
func (c *Client) History(ctx context.Context, developer, destination string, limit int) iter.Seq2[Act, error] {
	return list[Act](ctx, c, "/v1/destinations/"+segment(developer)+"/"+segment(destination)+"/history", nil, extent{limit: limit})
}
