package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Event is what the daemon knows of an event, without its body.
type Event struct {
	ID           string    `json:"id"`
	Developer    string    `json:"developer"`
	Type         string    `json:"type"`
	Version      string    `json:"version,omitempty"`
	User         string    `json:"user,omitempty"`
	Reference    string    `json:"reference"`
	Accepted     time.Time `json:"accepted"`
	Ordering     time.Time `json:"ordering"`
	Size         int       `json:"size"`           // bytes of the body
	Destinations []string  `json:"destinations"`   // names of those it was accepted for
	Deliveries   []string  `json:"deliveries"`     // ids, in the same order
	Gone         string    `json:"gone,omitempty"` // "erased" or "expired" when there is no body any more
}

// EventFilter selects events; zero fields select everything. Since and Until
// compare with the time of acceptance, Since included, Until not.
type EventFilter struct {
	Developer string
	Types     []string
	User      string
	Reference string // in no index: the daemon reads what the others select one by one
	Since     time.Time
	Until     time.Time
	Unmatched bool // only those that matched no destination
	Limit     int  // 0: all

	Pages  int                  // as in a [DeliveryFilter]
	Looked func(back time.Time) // likewise
}

// Event returns one event.
func (c *Client) Event(ctx context.Context, id string) (Event, error) {
	var e Event
	err := c.fetch(ctx, get("/v1/events/"+segment(id), nil), &e)
	return e, err
}

// EventBody returns the body of an event, byte for byte as it was accepted.
func (c *Client) EventBody(ctx context.Context, id string) ([]byte, error) {
	return c.text(ctx, "/v1/events/"+segment(id)+"/body")
}

// text returns an answer as it is.
func (c *Client) text(ctx context.Context, path string) (text []byte, err error) {
	err = c.try(ctx, get(path, nil), func(res *http.Response) (err error) {
		text, err = c.whole(res)
		return err
	})
	return text, err
}

// Events lists events, newest first. The sequence ends after the first error.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	q := params{}.text("developer", f.Developer).text("type", f.Types...).text("user", f.User).text("reference", f.Reference).
		time("since", f.Since).time("until", f.Until).flag("unmatched", f.Unmatched)
	return list[Event](ctx, c, "/v1/events", url.Values(q), extent{f.Limit, f.Pages, f.Looked})
}
