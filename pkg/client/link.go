package client

import (
	"context"
	"time"
)

// LinkRequest says which payload to link to.
type LinkRequest struct {
	Payload   string        // id of an event, or {event id}-{index} of one item of an event with several
	Developer string        // whose it is; needed only when the event itself is not known any more
	TTL       time.Duration // whole seconds, at most 7 days; 0: the daemon's default, an hour
}

// Link is a URL that needs no other credential until it expires. Whoever has it
// has the payload.
type Link struct {
	ID        string    `json:"id"` // of the payload
	Developer string    `json:"developer"`
	URL       string    `json:"url"`
	Expires   time.Time `json:"expires"` // sooner than asked for where credentials, or the payload, end sooner
}

// Link makes a fresh link to a payload. One that only ever went to destinations
// that carry their events is put into the payload store first.
func (c *Client) Link(ctx context.Context, r LinkRequest) (Link, error) {
	var l Link
	ask, err := post("/v1/payloads/"+segment(r.Payload)+"/link", struct {
		TTL       int64  `json:"ttl,omitempty"`
		Developer string `json:"developer,omitempty"`
	}{int64(r.TTL / time.Second), r.Developer})
	if err == nil {
		ask.safe = true // a payload is put once, and links are only worded
		err = c.fetch(ctx, ask, &l)
	}
	return l, err
}
