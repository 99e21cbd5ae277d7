package client

import (
	"context"
	"net/url"
	"time"
)

// UsageFilter selects usage. Zero fields select everything, but the days: 30 of
// them, today included.
type UsageFilter struct {
	Developer   string
	Destination string
	Since       time.Time // its day of UTC, and later ones
	Until       time.Time // days before it; of a moment within a day that day, too
	By          string    // day, developer or destination; "": day
}

// Usage is what was accepted on some days, and what has become of it.
type Usage struct {
	Since string `json:"since"` // 2026-07-01
	Until string `json:"until"` // not included
	By    string `json:"by"`

	// Counted is the first day from which on attempts and bytes are counted; "" where
	// they are for all of it. An older daemon did not count them.
	Counted string     `json:"counted_from,omitempty"`
	Items   []UsageRow `json:"items"`
}

// UsageRow is the usage of one day, developer or destination:
// accepted = delivered + pending + dead + cancelled.
type UsageRow struct {
	Day         string `json:"day,omitempty"` // 2026-07-01, UTC
	Developer   string `json:"developer,omitempty"`
	Destination string `json:"destination,omitempty"`
	Kind        string `json:"kind,omitempty"`
	Accepted    int64  `json:"accepted"` // deliveries
	Delivered   int64  `json:"delivered"`
	Pending     int64  `json:"pending"`
	Dead        int64  `json:"dead"`
	Cancelled   int64  `json:"cancelled"`
	Attempts    *int64 `json:"attempts"` // at these deliveries; nil: not counted for all of them
	Bytes       *int64 `json:"bytes"`    // of their bodies; nil: likewise
}

// Usage returns one row for each day, developer or destination that had something.
func (c *Client) Usage(ctx context.Context, f UsageFilter) (Usage, error) {
	q := params{}
	q.text("developer", f.Developer)
	q.text("destination", f.Destination)
	q.time("since", f.Since)
	q.time("until", f.Until)
	q.text("by", f.By)
	var u Usage
	err := c.fetch(ctx, get("/v1/usage", url.Values(q)), &u)
	return u, err
}
