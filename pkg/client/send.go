package client

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// SendRequest is one event to hand in.
type SendRequest struct {
	Developer      string    // who owns it; dev-id on the wire
	Reference      string    // up to 128 visible ASCII characters; "": the daemon makes one
	Ordering       time.Time // whole milliseconds are sent; zero: the time of acceptance
	IdempotencyKey string    // makes Send safe to repeat: see Client.Patience
	Body           []byte    // the JSON, delivered byte for byte as it is here

	// Trace holds the headers traceparent and tracestate (W3C Trace Context) of the
	// span that the event comes from; webhooks are told of it. OpenTelemetry fills it:
	// propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(trace)). nil: none.
	// Batches take it from the transport of the http.Client, as otelhttp's.
	Trace http.Header
}

// Accepted says that an event is safely on the daemon's disk.
type Accepted struct {
	ID         string `json:"id"`
	Reference  string `json:"reference"`
	Deliveries int    `json:"deliveries"` // how many destinations it goes to
	Duplicate  bool   `json:"duplicate"`  // the idempotency key was known: nothing new was stored
}

// Send hands in one event. Without an idempotency key it is tried once, since
// after a network fault nobody can tell whether the event was accepted.
func (c *Client) Send(ctx context.Context, r SendRequest) (Accepted, error) {
	h := make(http.Header)
	h.Set("Content-Type", "application/json")
	h.Set("Dev-Id", r.Developer)
	if r.Reference != "" {
		h.Set(c.Brand+"-Reference", r.Reference)
	}
	if !r.Ordering.IsZero() {
		h.Set(c.Brand+"-Ordering-Timestamp", strconv.FormatInt(r.Ordering.UnixMilli(), 10))
	}
	if r.IdempotencyKey != "" {
		h.Set("Idempotency-Key", r.IdempotencyKey)
	}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if values := r.Trace[name]; len(values) > 0 {
			h[name] = values
		}
	}
	var a Accepted
	err := c.fetch(ctx, call{
		method: http.MethodPost, path: "/v1/events", header: h, body: r.Body, safe: r.IdempotencyKey != "",
	}, &a)
	return a, err
}
