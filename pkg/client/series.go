package client

import (
	"context"
	"net/url"
	"time"
)

// SeriesFilter says what a series is of: a destination, a kind, or, where all are "",
// everything.
type SeriesFilter struct {
	Developer   string // with Destination
	Destination string
	Kind        string
	Range       string // 1h (the default), 24h or 7d; of a destination it is 24h
}

// Series is what happened over a time, one value a step. A value is nil where nothing is
// known: the daemon was down, or the destination was not recorded, which only those are
// that do most, that fail most, and that somebody has asked for. Numbers up to 4,095 are
// exact, those above less than a thousandth off.
type Series struct {
	Developer   string     `json:"developer,omitempty"`
	Destination string     `json:"destination,omitempty"`
	Kind        string     `json:"kind,omitempty"`
	Kinds       []string   `json:"kinds,omitempty"` // those that have series; only where all are meant
	From        time.Time  `json:"from"`            // the beginning of the first step
	Step        int        `json:"step_seconds"`
	Accepted    []*int64   `json:"accepted"`  // deliveries
	Delivered   []*int64   `json:"delivered"` // attempts that succeeded
	Failed      []*int64   `json:"failed"`    // attempts that failed
	Pending     []*int64   `json:"pending"`   // at the end of the step
	P50         []*float64 `json:"latency_p50_ms"`
	P99         []*float64 `json:"latency_p99_ms"` // from acceptance to delivery; nil also where nothing was delivered
}

// Series returns a series.
func (c *Client) Series(ctx context.Context, f SeriesFilter) (Series, error) {
	q := params{}
	q.text("developer", f.Developer)
	q.text("destination", f.Destination)
	q.text("kind", f.Kind)
	q.text("range", f.Range)
	var s Series
	err := c.fetch(ctx, get("/v1/series", url.Values(q)), &s)
	return s, err
}
