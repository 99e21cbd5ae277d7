package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// TestRequest says which event to send to a destination: Body byte for byte, or
// else one that the daemon makes up as the other fields say.
type TestRequest struct {
	Body []byte

	Type     string  // "": activity
	Provider string  // such as GARMIN
	User     string  // user_id; "": a fresh one
	Seed     *uint64 // the same one makes the same values; nil: none in particular
}

// Tested says that a test event is safely on the daemon's disk.
type Tested struct {
	ID          string      `json:"id"`
	Reference   string      `json:"reference"`
	Delivery    string      `json:"delivery"`    // its id, for Client.Delivery
	Destination Destination `json:"destination"` // as it was when the event was accepted
}

// Test hands in an event for one destination alone, whatever types that wants.
// From there on it is an event like all others. It is tried once: a second
// try could send a second event.
func (c *Client) Test(ctx context.Context, developer, name string, r TestRequest) (Tested, error) {
	q := r.madeUp().text("type", r.Type)
	var t Tested
	err := c.fetch(ctx, call{
		method: http.MethodPost, path: destinationPath(developer, name, "test"), query: url.Values(q),
		header: http.Header{"Content-Type": {"application/json"}}, body: r.Body,
	}, &t)
	return t, err
}

// madeUp says how an event is to be made up.
func (r *TestRequest) madeUp() params {
	q := params{}.text("provider", r.Provider).text("user", r.User)
	if r.Seed != nil {
		q["seed"] = []string{strconv.FormatUint(*r.Seed, 10)}
	}
	return q
}

// ExampleEvent returns the body of an event that the daemon makes up as r says, and does
// not store. r has a Type and no Body.
func (c *Client) ExampleEvent(ctx context.Context, r TestRequest) (body []byte, err error) {
	err = c.try(ctx, get("/v1/event-types/"+segment(r.Type)+"/example", url.Values(r.madeUp())), func(res *http.Response) (err error) {
		body, err = io.ReadAll(res.Body)
		return err
	})
	return body, err
}
