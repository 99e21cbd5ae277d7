package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// AuditRow says what became of all deliveries of one destination over the
// daemon's retention: accepted = delivered + pending + dead + cancelled.
type AuditRow struct {
	Developer   string  `json:"developer"`
	Destination string  `json:"destination"`
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

// Reload makes the daemon read its settings again: all of them or, when
// anything is wrong, none; the *Error then lists every fault.
func (c *Client) Reload(ctx context.Context) error { return c.act(ctx, "/v1/reload", nil) }

// Backup makes the daemon write a consistent copy of its store to dir, an
// absolute path on the daemon's machine that does not exist yet.
func (c *Client) Backup(ctx context.Context, dir string) error {
	return c.act(ctx, "/v1/backup", map[string]string{"dir": dir})
}

// Egress returns, as JSON, from which addresses the daemon connects to
// destinations and which it may reach.
func (c *Client) Egress(ctx context.Context) (json.RawMessage, error) {
	var raw json.RawMessage
	err := c.fetch(ctx, get("/v1/egress", nil), &raw)
	return raw, err
}

// Healthy is nil when there is a daemon at the other end; one try, no token needed.
func (c *Client) Healthy(ctx context.Context) error {
	return c.once(ctx, call{method: http.MethodGet, path: "/healthz"}, nil)
}

// Ready is nil when the daemon can take events.
func (c *Client) Ready(ctx context.Context) error {
	return c.once(ctx, call{method: http.MethodGet, path: "/readyz"}, nil) // 503 is the answer, not a reason to ask again
}
