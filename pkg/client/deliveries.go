package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"
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

	Type       string  `json:"type,omitempty"` // of the event; in lists with Detail
	User       string  `json:"user,omitempty"` // likewise
	LastAnswer *Answer `json:"last_answer,omitempty"`

	WaitsFor    string    `json:"waits_for,omitempty"`  // why it is not tried when it is due: as of a [Destination], or rate; "": nothing keeps it
	WaitsUntil  time.Time `json:"waits_until,omitzero"` // when that ends, or is looked at again; zero: only a person ends it
	WaitsReason string    `json:"waits_reason,omitempty"`
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
	Event       string // id, or its beginning
	Since       time.Time
	Until       time.Time
	Limit       int // 0: all

	// No index knows these: the daemon reads what the others select one by one.
	Types   []string
	User    string
	Classes []string // of the last attempt
	Codes   []int    // likewise
	Detail  bool     // tell Type, User and LastAnswer

	// Pages bounds how often the daemon is asked, 0: until the end. Looked, which may be
	// nil, is told after each page down to which acceptance everything was looked at; the
	// zero time: to the end.
	Pages  int
	Looked func(back time.Time)
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
	for _, code := range f.Codes {
		q["code"] = append(q["code"], strconv.Itoa(code))
	}
	q = q.text("type", f.Types...).text("user", f.User).text("class", f.Classes...).flag("detail", f.Detail)
	return list[Delivery](ctx, c, "/v1/deliveries", url.Values(q), extent{f.Limit, f.Pages, f.Looked})
}
