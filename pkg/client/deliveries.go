package client

import (
	"context"
	"iter"
	"net/url"
	"time"
)

// Delivery is one event on its way to one destination.
type Delivery struct {
	ID          string    `json:"id"`
	Event       string    `json:"event"`
	Developer   string    `json:"developer"`
	Destination string    `json:"destination"`
	Kind        string    `json:"kind"`
	State       string    `json:"state"`            // pending, delivered, dead, cancelled
	Reason      string    `json:"reason,omitempty"` // why it is dead or cancelled
	Due         time.Time `json:"due,omitzero"`     // of the next attempt, when pending
	Changed     time.Time `json:"changed,omitzero"` // when its state or due last changed
	Tried       int       `json:"tried"`            // attempts of the present schedule that count
	Frozen      bool      `json:"frozen"`           // goes out with the settings of its first attempt
	Attempts    []Attempt `json:"attempts,omitempty"`
}

// Attempt is one try of a delivery.
type Attempt struct {
	At      time.Time `json:"at"`
	Millis  int64     `json:"ms"`
	Class   string    `json:"class"` // delivered, transient, throttled, rejected, misconfigured, interrupted, expired
	Code    int       `json:"code"`  // what the far side answered with; 0 for nothing
	Answer  string    `json:"answer,omitempty"`
	Address string    `json:"address,omitempty"`
	Counted bool      `json:"counted"` // used one attempt of the schedule

	// Requests is how many requests were made where that was more than one: 2
	// when a kept connection had ended before a byte of an answer.
	Requests int `json:"requests,omitempty"`
}

// DeliveryFilter selects deliveries; zero fields select everything. Since and
// Until compare with the acceptance of the event, Since included, Until not.
type DeliveryFilter struct {
	Developer   string
	Destination string // name; needs Developer
	States      []string
	Event       string // id
	Since       time.Time
	Until       time.Time
	Limit       int // 0: all
}

// Delivery returns one delivery with its attempts, oldest first.
func (c *Client) Delivery(ctx context.Context, id string) (Delivery, error) {
	var d Delivery
	err := c.fetch(ctx, get("/v1/deliveries/"+segment(id), nil), &d)
	return d, err
}

// Deliveries lists deliveries, newest first, without their attempts. The
// sequence ends after the first error.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter) iter.Seq2[Delivery, error] {
	q := params{}.text("developer", f.Developer).text("destination", f.Destination).text("state", f.States...).
		text("event", f.Event).time("since", f.Since).time("until", f.Until)
	return list[Delivery](ctx, c, "/v1/deliveries", url.Values(q), f.Limit)
}
