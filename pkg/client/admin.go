package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// AuditRow says what became of all deliveries of one destination over the
// daemon's retention: accepted = delivered + pending + dead + cancelled.
type AuditRow struct {
	Developer   string  `json:"developer"`
	Destination string  `json:"destination"`
	Kind        string  `json:"kind"`
	Accepted    int64   `json:"accepted"`
	Delivered   int64   `json:"delivered"`
	Pending     int64   `json:"pending"`
	Dead        int64   `json:"dead"`
	Cancelled   int64   `json:"cancelled"`
	Balanced    bool    `json:"balanced"`            // the sum is right and, when deep, the recount agrees
	Recounted   *Counts `json:"recounted,omitempty"` // only deep
}

// Counts are the figures of an AuditRow counted again from the deliveries themselves.
type Counts struct {
	Accepted  int64 `json:"accepted"`
	Delivered int64 `json:"delivered"`
	Pending   int64 `json:"pending"`
	Dead      int64 `json:"dead"`
	Cancelled int64 `json:"cancelled"`
}

// Audit returns one row for each destination. Deep counts everything again and
// takes about a second for each million deliveries.
func (c *Client) Audit(ctx context.Context, deep bool) ([]AuditRow, error) {
	var q params
	if deep {
		q = params{"deep": {"1"}}
	}
	var rows []AuditRow
	err := c.fetch(ctx, get("/v1/audit", url.Values(q)), &rows)
	return rows, err
}

// Erased says what Erase did.
type Erased struct {
	Events    int `json:"events"`
	Cancelled int `json:"cancelled"`
}

// Erase overwrites everything stored about a user of a developer and cancels
// what is still to be delivered. It cannot be undone; doing it again is harmless.
func (c *Client) Erase(ctx context.Context, developer, user string) (Erased, error) {
	var e Erased
	err := c.fetch(ctx, call{
		method: http.MethodDelete, path: "/v1/users/" + segment(user) + "/data",
		query: url.Values{"developer": {developer}}, safe: true,
	}, &e)
	return e, err
}

// Reload makes the daemon read its settings again. waiting names changed settings
// of the daemon that take effect at its next start. What is refused is an *Error
// that lists every fault: with the code invalid_settings nothing has changed, with
// developers_refused everything is in force but the settings of those developers,
// who go on as before.
func (c *Client) Reload(ctx context.Context) (waiting []string, err error) {
	r, err := post("/v1/reload", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Waiting []string `json:"at_next_start"`
	}
	err = c.fetch(ctx, r, &answer)
	return answer.Waiting, err
}

// Backup makes the daemon write a consistent copy of its store to dir, an
// absolute path on the daemon's machine that does not exist yet.
func (c *Client) Backup(ctx context.Context, dir string) error {
	return c.act(ctx, "/v1/backup", map[string]string{"dir": dir})
}

// Egress says where the daemon's connections to destinations come from.
type Egress struct {
	Source []string `json:"source"` // addresses; empty: the daemon's machine chooses
	Proxy  bool     `json:"proxy"`
}

// Egress returns where the daemon's connections come from, for a firewall's rules.
func (c *Client) Egress(ctx context.Context) (Egress, error) {
	var e Egress
	err := c.fetch(ctx, get("/v1/egress", nil), &e)
	return e, err
}

// Limits are the operator's bounds; 0 is no limit. Sizes are bytes, rates are of a second.
type Limits struct {
	Body          int64   `json:"body"`
	BodyRate      float64 `json:"body_rate"` // that a body must come with
	InFlight      int     `json:"in_flight"`
	InFlightBytes int64   `json:"in_flight_bytes"`
	Lag           int64   `json:"lag_ms"` // of deliveries before producers are slowed down
	PerDeveloper  struct {
		Rate         float64 `json:"rate"` // events handed in
		Pending      int64   `json:"pending"`
		Bytes        int64   `json:"bytes"`
		Destinations int     `json:"destinations"`
		Attempts     float64 `json:"attempts"`
		ShortestWait int64   `json:"shortest_wait_ms"`
		KeyBits      int     `json:"key_bits"` // of RSA keys in settings
	} `json:"per_developer"`
}

// Limits returns the limits that the daemon holds to now.
func (c *Client) Limits(ctx context.Context) (Limits, error) {
	var l Limits
	err := c.fetch(ctx, get("/v1/limits", nil), &l)
	return l, err
}

// Metrics returns the daemon's metrics in the text format of Prometheus.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) { return c.text(ctx, "/metrics") }

// Description returns the OpenAPI description of the daemon's API, in YAML.
func (c *Client) Description(ctx context.Context) ([]byte, error) {
	return c.text(ctx, "/openapi.yaml")
}

// Healthy is nil when there is a daemon at the other end; one try, no token needed.
func (c *Client) Healthy(ctx context.Context) error {
	return c.once(ctx, call{method: http.MethodGet, path: "/healthz"}, nil)
}

// Readiness says whether the daemon can take events.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Problems []string `json:"problems"` // why it cannot
	Warnings []string `json:"warnings"` // what is amiss all the same; only for tokens that may read everything
	Version  string   `json:"version"`  // likewise
}

// Readiness asks the daemon whether it can take events; one try. An error means
// that there was no answer.
func (c *Client) Readiness(ctx context.Context) (Readiness, error) {
	var r Readiness
	err := c.once(ctx, call{method: http.MethodGet, path: "/readyz", accept: http.StatusServiceUnavailable},
		func(res *http.Response) error { return c.decode(res, &r) })
	return r, err
}

// Ready is nil when the daemon can take events; one try. Otherwise the error
// says why it cannot, an *Error with status 503, or why there was no answer.
func (c *Client) Ready(ctx context.Context) error {
	r, err := c.Readiness(ctx)
	if err == nil && !r.Ready {
		err = &Error{Status: http.StatusServiceUnavailable, Code: "not_ready", Message: strings.Join(r.Problems, "; ")}
	}
	return err
}
