package client

import (
	"context"
	"net/http"
)

// Explained is what one destination would do with an event.
type Explained struct {
	Developer   string `json:"developer"`
	Destination string `json:"destination"`
	Kind        string `json:"kind"`
	Decision    string `json:"decision"` // sends, waits, filtered, fails
	Reason      string `json:"reason,omitempty"`
	Request     *struct {
		Target  string      `json:"target"`
		Headers http.Header `json:"headers,omitempty"` // credentials redacted
		Key     string      `json:"key,omitempty"`     // object or row that would be written
		Body    string      `json:"body"`
	} `json:"request,omitempty"`
}

// Explain says who of a developer's destinations would get an event, and what exactly.
// Nothing is stored or sent.
func (c *Client) Explain(ctx context.Context, developer string, body []byte) ([]Explained, error) {
	var answer struct {
		Destinations []Explained `json:"destinations"`
	}
	err := c.fetch(ctx, call{
		method: http.MethodPost, path: "/v1/explain", body: body, safe: true,
		header: http.Header{"Content-Type": {"application/json"}, "Dev-Id": {developer}},
	}, &answer)
	return answer.Destinations, err
}

// DeliveryRequest shows the request that an attempt at a delivery makes: by the settings
// that it is frozen to, or by the current ones.
func (c *Client) DeliveryRequest(ctx context.Context, id string) (x Explained, frozen bool, err error) {
	var answer struct {
		Explained
		Frozen bool `json:"frozen"`
	}
	err = c.fetch(ctx, get("/v1/deliveries/"+segment(id)+"/request", nil), &answer)
	return answer.Explained, answer.Frozen, err
}

// EventType is a type of events that the daemon knows something of.
type EventType struct {
	Type      string `json:"type"`
	Generated bool   `json:"generated"` // a test without a body can make one up
	Data      *struct {
		Member        string   `json:"member"` // of the body, that holds the items
		Start         []string `json:"start,omitempty"`
		End           []string `json:"end,omitempty"`
		Identity      []string `json:"identity,omitempty"`
		DayIdentity   bool     `json:"day_identity,omitempty"`
		EventIdentity bool     `json:"event_identity,omitempty"`
	} `json:"data,omitempty"` // nil: it is no data
}

// EventTypes lists the daemon's catalogue of types, by name. Others may be sent, too.
func (c *Client) EventTypes(ctx context.Context) ([]EventType, error) {
	var p page[EventType]
	err := c.fetch(ctx, get("/v1/event-types", nil), &p)
	return p.Items, err
}

// Settings returns the daemon's settings as they count, with secrets taken out.
func (c *Client) Settings(ctx context.Context) (map[string]any, error) {
	var answer struct {
		Settings map[string]any `json:"settings"`
	}
	err := c.fetch(ctx, get("/v1/settings", nil), &answer)
	return answer.Settings, err
}

// DestinationSettings are the settings of a destination, with secrets taken out.
type DestinationSettings struct {
	Settings map[string]any `json:"settings"`
	Frozen   []struct {     // older ones that deliveries still go out with
		ID       string         `json:"id"`
		Pending  int            `json:"pending"`
		More     bool           `json:"more,omitempty"` // than were counted
		Settings map[string]any `json:"settings,omitempty"`
		Problem  string         `json:"problem,omitempty"` // why they cannot be shown
	} `json:"frozen"`
}

// DestinationSettings returns the settings of a destination as they count.
func (c *Client) DestinationSettings(ctx context.Context, developer, destination string) (DestinationSettings, error) {
	var s DestinationSettings
	err := c.fetch(ctx, get("/v1/destinations/"+segment(developer)+"/"+segment(destination)+"/settings", nil), &s)
	return s, err
}
